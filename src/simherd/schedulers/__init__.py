"""Batch schedulers: SLURM and Grid Engine behind the same few functions."""

from __future__ import annotations

from importlib import import_module

from simherd.errors import ClusterOptionError, close_matches
from simherd.schedulers.base import (
    BatchScheduler,
    JobRequest,
    JobState,
    JobStatus,
    ParallelEnvironment,
    Partition,
    Site,
    Words,
)

__all__ = [
    "SCHEDULERS",
    "BatchScheduler",
    "JobRequest",
    "JobState",
    "JobStatus",
    "ParallelEnvironment",
    "Partition",
    "Site",
    "Words",
    "find",
    "find_installed",
]

SCHEDULERS = {"sge": "simherd.schedulers.sge:GridEngine", "slurm": "simherd.schedulers.slurm:Slurm"}
"""Batch schedulers by name, and where each is."""


def find(name: str) -> BatchScheduler:
    """Return a batch scheduler by its name: "slurm" or "sge".

    Raises
    ------
    ClusterOptionError
        If there is none of that name.
    """
    if name not in SCHEDULERS:
        raise ClusterOptionError(
            f"The batch scheduler {name!r} is not known. {close_matches(name, SCHEDULERS)}",
            fix=f"choose one of {', '.join(SCHEDULERS)}.",
        )
    module, _, attribute = SCHEDULERS[name].partition(":")
    scheduler: BatchScheduler = getattr(import_module(module), attribute)()
    return scheduler


def find_installed() -> list[BatchScheduler]:
    """Return the batch schedulers whose commands are on this machine."""
    return [scheduler for scheduler in map(find, SCHEDULERS) if scheduler.is_installed()]

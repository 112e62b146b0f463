"""Batch schedulers: SLURM and Grid Engine behind the same few functions."""

from __future__ import annotations

from simherd.schedulers.base import (
    BatchScheduler,
    JobRequest,
    JobState,
    JobStatus,
    ParallelEnvironment,
    Partition,
    Site,
)

__all__ = [
    "BatchScheduler",
    "JobRequest",
    "JobState",
    "JobStatus",
    "ParallelEnvironment",
    "Partition",
    "Site",
]

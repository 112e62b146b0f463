"""What the jobs of a store used, and what only simherd knows: how many simulations came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from simherd.accounting.efficiency import HOUR_S, add_up
from simherd.accounting.query import job_usage
from simherd.accounting.usage import JobUsage
from simherd.engine.block import Status
from simherd.store.jobs import WORKERS, JobRecord, read_jobs
from simherd.store.places import as_folder
from simherd.store.reading import open_store, read_block_size, read_outcomes

__all__ = ["Simulations", "StoreUsage", "store_usage"]

ASKED = ("sge", "slurm")
"""Batch schedulers whose accounting can be read."""
LATE_S = 86400.0
"""How much earlier than it was recorded a job may have ended, in s: clocks differ."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Simulations:
    """What the simulations of a store took."""

    done: int
    """Simulations that finished."""
    failed: int
    """Simulations that failed."""
    computed_s: float
    """Time that all of them took, in s."""
    failed_s: float
    """Time that those took that failed, in s."""
    median_s: float | None
    """Half of them took longer, in s; None if there is no data."""
    block_size: int | None
    """Simulations of a block, which is the least that a task runs; None for a single simulation."""

    @property
    def settled(self) -> int:
        """Simulations that came to an end."""
        return self.done + self.failed


@dataclass(frozen=True, kw_only=True, slots=True)
class StoreUsage:
    """The jobs of a store and its simulations."""

    usages: tuple[JobUsage, ...]
    """What each attempt to run a job used."""
    unasked: tuple[JobRecord, ...]
    """Jobs of batch schedulers whose accounting cannot be read."""
    simulations: Simulations
    """Its simulations."""

    @property
    def core_hours(self) -> float:
        """Core-hours that were allocated."""
        return add_up(self.usages).core_hours

    @property
    def core_hours_per_thousand(self) -> float | None:
        """Core-hours per thousand simulations that are done."""
        done = self.simulations.done
        return 1000 * self.core_hours / done if done and self.core_hours else None

    @property
    def computing(self) -> float | None:
        """Share of the allocation in which simulations ran, a core each."""
        return self._share(self.simulations.computed_s)

    @property
    def failing(self) -> float | None:
        """Share of the allocation in which simulations ran that failed."""
        return self._share(self.simulations.failed_s)

    def _share(self, seconds: float) -> float | None:
        allocated = self.core_hours * HOUR_S
        return seconds / allocated if allocated else None


def store_usage(store: str | Path) -> StoreUsage:
    """Return what the jobs that worked on a store used.

    Raises
    ------
    StoreError
        If it is no store, or it is damaged.
    ClusterOptionError
        If the batch scheduler of its jobs is not installed on this machine.
    SchedulerError
        If that does not answer.
    """
    path = as_folder(store)
    group = open_store(path)
    records = read_jobs(path, group.attrs)
    usages = [usage for scheduler in ASKED for usage in _usages(scheduler, records)]
    return StoreUsage(
        usages=tuple(usages),
        unasked=tuple(one for one in records if one.job.scheduler not in ASKED),
        simulations=_simulations(path),
    )


def _usages(scheduler: str, records: Sequence[JobRecord]) -> list[JobUsage]:
    by_id = {one.job.job_id: one for one in records if one.job.scheduler == scheduler}
    found = job_usage(by_id, scheduler) if by_id else []
    owners = [(usage, _record_of(usage, by_id)) for usage in found]
    return [_as_worker(usage, record) for usage, record in owners if not _is_earlier(usage, record)]


def _record_of(usage: JobUsage, by_id: dict[str, JobRecord]) -> JobRecord | None:
    base = usage.job_id.partition("_")[0].partition(".")[0]
    return next((by_id[one] for one in (usage.job_id, usage.own_id, base) if one in by_id), None)


def _as_worker(usage: JobUsage, record: JobRecord | None) -> JobUsage:
    is_worker = record is not None and record.roles == (WORKERS,)
    return replace(usage, is_worker=usage.is_worker or is_worker)


def _is_earlier(usage: JobUsage, record: JobRecord | None) -> bool:
    """Return whether it is another job, which had this id before: batch schedulers begin again at 1."""
    if record is None or usage.ended is None:
        return False
    return usage.ended.timestamp() < record.since - LATE_S


def _simulations(path: Path) -> Simulations:
    (status, seconds), block_size = read_outcomes(path), read_block_size(path)
    known = np.zeros(len(status)) if seconds is None else np.nan_to_num(seconds)
    ran = known[known > 0]
    return Simulations(
        done=int((status == Status.DONE).sum()),
        failed=int((status == Status.FAILED).sum()),
        computed_s=float(known.sum()),
        failed_s=float(known[status == Status.FAILED].sum()),
        median_s=float(np.median(ran)) if len(ran) else None,
        block_size=block_size,
    )

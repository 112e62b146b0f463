"""How much of its allocation a job used: shares from 0 to 1, None where there is no data."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from simherd.accounting.usage import JobUsage
from simherd.schedulers.base import JobState

__all__ = ["Totals", "add_up", "cpu_efficiency", "memory_efficiency", "time_efficiency"]

HOUR_S = 3600.0


def cpu_efficiency(usage: JobUsage) -> float | None:
    """Return CPU time divided by wall time and cores."""
    return None if usage.is_reservation else _ratio(usage.cpu_s, usage.core_s)


def memory_efficiency(usage: JobUsage) -> float | None:
    """Return peak memory divided by allocated memory; None, too, where whole nodes are given out."""
    is_no_use = usage.has_whole_nodes or usage.is_reservation
    return None if is_no_use else _ratio(usage.memory_bytes, usage.memory_asked_bytes)


def time_efficiency(usage: JobUsage) -> float | None:
    """Return wall time divided by the walltime that was asked for."""
    return _ratio(usage.wall_s, usage.walltime_s)


def _ratio(used: float | None, given: float | None) -> float | None:
    return None if used is None or not given else used / given


@dataclass(frozen=True, kw_only=True, slots=True)
class Totals:
    """Several jobs together. Shares are weighted by core-hours: they are no means of percentages."""

    jobs: int
    """Jobs and array tasks."""
    attempts: int
    """Attempts to run them."""
    core_hours: float
    """Core-hours that were allocated."""
    lost_core_hours: float
    """Those of attempts that failed or were ended, of workers only where a limit or the node ended them."""
    cpu: float | None
    """CPU efficiency of all attempts with data."""
    memory: float | None
    """Memory efficiency of all attempts with data."""
    time: float | None
    """Share of the walltime of all attempts with data."""
    unmeasured: int
    """Attempts that ran without data of their CPU time."""


def add_up(usages: Sequence[JobUsage]) -> Totals:
    """Return the totals of jobs, weighted by core-hours."""
    return Totals(
        jobs=len({(one.scheduler, one.job_id) for one in usages}),
        attempts=len(usages),
        core_hours=_core_hours(usages),
        lost_core_hours=_core_hours(one for one in usages if _is_lost(one)),
        cpu=_weighted(usages, cpu_efficiency),
        memory=_weighted(usages, memory_efficiency),
        time=_weighted(usages, time_efficiency),
        unmeasured=sum(
            one.state.is_over and not one.never_ran and cpu_efficiency(one) is None for one in usages
        ),
    )


def _core_hours(usages: Iterable[JobUsage]) -> float:
    return math.fsum(one.core_s or 0.0 for one in usages) / HOUR_S


def _is_lost(usage: JobUsage) -> bool:
    if not usage.state.is_over or usage.state is JobState.DONE:
        return False
    return not (usage.is_worker and usage.state is JobState.CANCELLED)


def _weighted(usages: Sequence[JobUsage], share: Callable[[JobUsage], float | None]) -> float | None:
    known = [(found, one.core_s) for one in usages if (found := share(one)) is not None and one.core_s]
    weight = math.fsum(core_s for _, core_s in known)
    return math.fsum(found * core_s for found, core_s in known) / weight if weight else None

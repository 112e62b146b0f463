"""Jobs that a process left when it was killed before it could cancel them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from simherd.clusters.journal import JournalEntry, read_journals
from simherd.doctor.finding import Finding, Verdict
from simherd.errors import SchedulerError
from simherd.progress.words import counted
from simherd.schedulers import SCHEDULERS, BatchScheduler, JobStatus, find

__all__ = ["Orphans", "cancel", "find_orphans", "forget", "look"]


_NOT_KNOWN = "simherd cannot ask {kind} for them: cancel those that still run with the commands of {kind}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Orphans:
    """What one process left."""

    entry: JournalEntry
    """Its journal."""
    jobs: tuple[JobStatus, ...]
    """Those of its jobs that are not over."""
    problem: str = ""
    """Why nothing is known of its jobs, or nothing can be done here; "" if all is known."""

    @property
    def is_forgettable(self) -> bool:
        """Whether nothing but forgetting can be done: nobody here can ask for its jobs, or cancel them."""
        return self.entry.is_here and self.entry.kind not in SCHEDULERS

    @property
    def owner(self) -> str:
        """The process, in words."""
        when = datetime.fromtimestamp(self.entry.started).strftime("%Y-%m-%d %H:%M:%S")
        return f"process {self.entry.pid} on {self.entry.host}, started {when}"


def find_orphans() -> list[Orphans]:
    """Return what killed processes left; of those of other machines only that they are there.

    Journals that name no job any more are removed.
    """
    found = []
    for entry in read_journals():
        if not entry.is_here:
            problem = f"it may still run on {entry.host}: run 'simherd doctor --orphans' there"
            found.append(Orphans(entry=entry, jobs=(), problem=problem))
        elif entry.is_abandoned:
            found.append(_orphans_of(entry))
    for one in found:
        if one.entry.is_here and not one.jobs and not one.problem:
            one.entry.remove()
    return [one for one in found if one.jobs or one.problem]


def _orphans_of(entry: JournalEntry) -> Orphans:
    if not entry.jobs:
        return Orphans(entry=entry, jobs=())
    if entry.kind not in SCHEDULERS:
        return Orphans(entry=entry, jobs=(), problem=_NOT_KNOWN.format(kind=entry.kind))
    try:
        statuses = _scheduler(entry).query(entry.jobs)
    except SchedulerError as error:
        return Orphans(entry=entry, jobs=(), problem=error.message)
    return Orphans(entry=entry, jobs=tuple(one for one in statuses.values() if not one.state.is_over))


def _scheduler(entry: JournalEntry) -> BatchScheduler:
    return find(entry.kind)


def cancel(orphans: Iterable[Orphans]) -> None:
    """Cancel jobs, and forget who left them.

    Raises
    ------
    SchedulerError
        If a batch scheduler does not answer.
    """
    for one in orphans:
        if one.jobs:
            _scheduler(one.entry).cancel([job.job_id for job in one.jobs])
            one.entry.remove()


def forget(orphans: Iterable[Orphans]) -> None:
    """Forget jobs that nobody here can cancel: who was told of them must do it."""
    for one in orphans:
        if one.is_forgettable:
            one.entry.remove()


def look() -> Finding | None:
    """Return a finding if killed processes of this machine may have left jobs; no scheduler is asked."""
    left = [job for entry in read_journals() if entry.is_abandoned for job in entry.jobs]
    if not left:
        return None
    return Finding(
        topic="jobs",
        verdict=Verdict.WRONG,
        text=f"runs that were killed may have left {counted(len(left), 'job')}: {', '.join(left)}",
        fix="simherd doctor --orphans",
        data={"jobs": left},
    )

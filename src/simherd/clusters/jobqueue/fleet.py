"""The jobs of a cluster: submitted, asked for, cancelled, and written down in its journal."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from simherd.batch_jobs import BatchJob
from simherd.clusters.jobqueue.herd import Herd
from simherd.clusters.journal import Journal
from simherd.progress.words import listed
from simherd.schedulers import BatchScheduler, JobState, JobStatus

__all__ = ["INNOCENT", "Fleet", "WorkerJob"]

SILENT_S = 60.0
"""Time after which a job whose workers are all gone counts as lost, whatever the scheduler says of it."""
INNOCENT = (JobState.PREEMPTED, JobState.NODE_FAIL)
"""Ends that say nothing of what the next job would do."""


@dataclass(slots=True)
class WorkerJob:
    """A job with workers."""

    name: str
    """Name of its worker, or the part that the names of its workers have in common."""
    job_id: str
    """Its id."""
    status: JobStatus
    """What the scheduler said of it last."""
    has_served: bool = False
    """Whether a worker of it has connected."""
    is_given_back: bool = False
    """Whether it was cancelled because there was no work for it."""
    last_seen: float = field(default_factory=time.monotonic)
    """When one of its workers was connected last."""
    last_busy: float = field(default_factory=time.monotonic)
    """When one had work last."""

    def owns(self, worker: str) -> bool:
        """Return whether a worker is one of this job."""
        return worker == self.name or worker.startswith(f"{self.name}-")

    @property
    def is_failed_start(self) -> bool:
        """Whether it ended before a worker connected, and the next one may do the same."""
        state = self.status.state
        return state.is_over and not (self.has_served or self.is_given_back or state in INNOCENT)


class Fleet:
    """The jobs of a cluster, from any thread.

    Parameters
    ----------
    scheduler : BatchScheduler
        Where jobs are submitted.
    write : callable
        Gives the job script for a worker name.
    folder : Path
        Where scripts are written.
    herd : Herd
        The workers that are connected.
    journal : Journal
        Where job ids are written down.
    """

    def __init__(
        self,
        scheduler: BatchScheduler,
        write: Callable[[str], str],
        folder: Path,
        herd: Herd,
        journal: Journal,
    ) -> None:
        self.herd = herd
        self._scheduler = scheduler
        self._write = write
        self._folder = folder
        self._journal = journal
        self._numbers = itertools.count()
        self._jobs: list[WorkerJob] = []
        self._changing = threading.RLock()

    @property
    def jobs(self) -> list[WorkerJob]:
        """The jobs that are not over."""
        return [job for job in list(self._jobs) if not job.status.state.is_over]

    @property
    def ended(self) -> list[WorkerJob]:
        """The jobs that are over, in the order in which they were submitted."""
        return [job for job in list(self._jobs) if job.status.state.is_over]

    @property
    def batch_jobs(self) -> dict[BatchJob, bool]:
        """All jobs that were submitted, and whether each is over."""
        name = self._scheduler.name
        return {
            BatchJob(scheduler=name, job_id=job.job_id): job.status.state.is_over for job in list(self._jobs)
        }

    @property
    def failed_starts(self) -> list[WorkerJob]:
        """The jobs that ended without a worker, since the last one that got any."""
        failed: list[WorkerJob] = []
        for job in list(self._jobs):
            if job.has_served:
                failed.clear()
            elif job.is_failed_start:
                failed.append(job)
        return failed

    def submit(self) -> None:
        """Submit one more job.

        Raises
        ------
        SubmitError
            If it is refused.
        """
        name = f"job-{next(self._numbers)}"
        script = self._folder / f"{name}.sh"
        script.write_text(self._write(name))
        job_id = self._scheduler.submit(script)
        with self._changing:
            self._jobs.append(WorkerJob(name, job_id, JobStatus(job_id=job_id, state=JobState.PENDING)))
            self._note()

    def refresh(self) -> None:
        """Ask what became of the jobs.

        Raises
        ------
        SchedulerError
            If the scheduler does not answer.
        """
        with self._changing:
            asked = self.jobs
            statuses = self._scheduler.query([job.job_id for job in asked])
            now, connected, busy = time.monotonic(), self.herd.names(), self.herd.busy()
            for job in asked:
                if any(map(job.owns, connected)):
                    if not job.has_served:
                        job.last_busy = now  # it could have no work before
                    job.has_served, job.last_seen = True, now
                if any(map(job.owns, busy)):
                    job.last_busy = now
                self._take(job, statuses[job.job_id])
            self._note()

    def look_at(self, job: WorkerJob) -> None:
        """Ask for the state of one job now, unless it is over.

        Raises
        ------
        SchedulerError
            If the scheduler does not answer.
        """
        with self._changing:
            if not job.status.state.is_over:
                self._take(job, self._scheduler.query([job.job_id])[job.job_id])

    def _take(self, job: WorkerJob, status: JobStatus) -> None:
        is_silent = time.monotonic() - job.last_seen > SILENT_S
        is_requeued = status.state.is_waiting and not job.status.state.is_waiting
        if job.has_served and (is_silent or is_requeued) and not status.state.is_over:
            self._scheduler.cancel([job.job_id])  # another job starts sooner than this one again
            status = JobStatus(job_id=job.job_id, state=JobState.GONE, reason="its workers are gone")
        job.status = status

    def owner_of(self, worker: str) -> WorkerJob | None:
        """Return the job of a worker; None if it is of no job."""
        return next((job for job in list(self._jobs) if job.owns(worker)), None)

    def cancel(self, jobs: Iterable[WorkerJob]) -> None:
        """End jobs.

        Raises
        ------
        SchedulerError
            If the scheduler does not answer.
        """
        if ids := [job.job_id for job in jobs]:
            self._scheduler.cancel(ids)

    def give_back(self, job: WorkerJob) -> None:
        """End a job for which there is no work.

        Raises
        ------
        SchedulerError
            If the scheduler does not answer.
        """
        job.is_given_back = True
        self.herd.retire(name for name in self.herd.names() if job.owns(name))
        self.cancel([job])

    def describe(self) -> str:
        """Return how the jobs are, in words: ``"1 running (12), 2 pending for Resources (13, 14)"``."""
        groups: dict[str, list[str]] = {}
        for job in self.jobs or self.ended:
            reason = job.status.reason if job.status.state.is_waiting else ""
            word = job.status.state.value + (f" for {reason}" if reason and reason != "None" else "")
            groups.setdefault(word, []).append(job.job_id)
        return ", ".join(f"{len(ids)} {word} ({listed(ids)})" for word, ids in groups.items()) or "none"

    def _note(self) -> None:
        self._journal.write(job.job_id for job in self.jobs)

"""The jobs of a cluster: submitted, watched, and replaced while there is work for them."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from simherd.clusters.jobqueue.diagnosis import explain
from simherd.clusters.jobqueue.herd import Herd
from simherd.clusters.journal import Journal
from simherd.errors import ClusterError, SchedulerError
from simherd.progress.notices import Notices
from simherd.schedulers import BatchScheduler, JobState, JobStatus

__all__ = ["JobPool", "PoolPlan", "WorkerJob"]

SOON_S, LATER_S = 1.0, 10.0
"""How often the scheduler is asked: while jobs start or end, and else."""
FAILED_STARTS = 3
"""Jobs in a row that may end before a worker of theirs connects."""
SILENT_S = 60.0
"""Time after which a job whose workers are all gone counts as lost, whatever the scheduler says of it."""
IDLE_S = 15.0
"""Time that a job must have been idle before it is given back, with `adapt`."""
END_S = 40.0
"""Time that jobs have to end when the cluster closes."""
LEAVE_S = 2.0
"""Time that they have to end by themselves before they are cancelled."""


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
    last_seen: float = field(default_factory=time.monotonic)
    """When one was connected last."""
    last_busy: float = field(default_factory=time.monotonic)
    """When one had work last."""

    def owns(self, worker: str) -> bool:
        """Return whether a worker is one of this job."""
        return worker == self.name or worker.startswith(f"{self.name}-")


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolPlan:
    """How many jobs there are, and how they are made."""

    kind: str
    """Name of the batch scheduler for people."""
    write: Callable[[str], str]
    """Gives the job script for a worker name."""
    folder: Path
    """Where scripts are written."""
    least: int
    """Fewest jobs."""
    first: int
    """Jobs at the start."""
    most: int
    """Most jobs."""
    threads_per_job: int
    """Tasks that a job runs at once."""
    logs: Path
    """Where the logs of the jobs are."""


class JobPool:
    """Keeps jobs running while the Dask scheduler has work for them.

    Parameters
    ----------
    scheduler : BatchScheduler
        Where jobs are submitted.
    plan : PoolPlan
        What jobs there are to be.
    herd : Herd
        The workers that are connected.
    journal : Journal
        Where job ids are written down.
    """

    def __init__(self, scheduler: BatchScheduler, plan: PoolPlan, herd: Herd, journal: Journal) -> None:
        self.plan = plan
        self.failure: ClusterError | None = None
        """Why there is no hope for more workers."""
        self._scheduler = scheduler
        self._herd = herd
        self._journal = journal
        self._numbers = itertools.count()
        self._jobs: list[WorkerJob] = []
        self._failed_starts: list[WorkerJob] = []
        self._changing = threading.RLock()
        self._woken = threading.Event()
        self._is_closing = False
        self._notices = Notices()
        self._keeper = threading.Thread(target=self._keep, name="simherd-jobs", daemon=True)

    @property
    def jobs(self) -> list[WorkerJob]:
        """The jobs that are not over."""
        return [job for job in self._jobs if not job.status.state.is_over]

    @property
    def has_workers(self) -> bool:
        """Whether a worker is connected."""
        return bool(self._herd.names())

    def start(self) -> None:
        """Submit the first jobs and begin to keep them.

        Raises
        ------
        SubmitError
            If a job is refused.
        """
        self._submit(self.plan.first)
        self._keeper.start()

    def _submit(self, count: int) -> None:
        for _ in range(count):
            name = f"job-{next(self._numbers)}"
            script = self.plan.folder / f"{name}.sh"
            script.write_text(self.plan.write(name))
            job_id = self._scheduler.submit(script)
            status = JobStatus(job_id=job_id, state=JobState.PENDING)
            with self._changing:
                self._jobs.append(WorkerJob(name, job_id, status))
                self._journal.write(job.job_id for job in self.jobs)

    def describe(self) -> str:
        """Return how the jobs are, in words: ``"1 running, 2 pending (Resources)"``."""
        groups: dict[str, int] = {}
        for job in self.jobs or self._failed_starts:
            reason = job.status.reason if job.status.state.is_waiting else ""
            word = job.status.state.value + (f" ({reason})" if reason and reason != "None" else "")
            groups[word] = groups.get(word, 0) + 1
        return ", ".join(f"{count} {word}" for word, count in groups.items()) or "none"

    def refresh(self) -> None:
        """Ask what became of the jobs."""
        with self._changing:
            statuses = self._scheduler.query([job.job_id for job in self.jobs])
            now, connected, busy = time.monotonic(), self._herd.names(), self._herd.busy()
            for job in self.jobs:
                if any(map(job.owns, connected)):
                    if not job.has_served:
                        self._failed_starts.clear()
                    job.has_served, job.last_seen = True, now
                if any(map(job.owns, busy)):
                    job.last_busy = now
                self._take(job, statuses[job.job_id])
            self._journal.write(job.job_id for job in self.jobs)

    def _take(self, job: WorkerJob, status: JobStatus) -> None:
        is_silent = time.monotonic() - job.last_seen > SILENT_S
        is_requeued = status.state.is_waiting and not job.status.state.is_waiting
        if job.has_served and (is_silent or is_requeued) and not status.state.is_over:
            self._scheduler.cancel([job.job_id])  # another job starts sooner than this one again
            status = JobStatus(job_id=job.job_id, state=JobState.GONE, reason="its workers are gone")
        job.status = status
        if status.state.is_over and not job.has_served:
            self._failed_starts.append(job)

    @property
    def most_threads(self) -> int:
        """Tasks that run at once when all jobs run."""
        return self.plan.most * self.plan.threads_per_job

    def end_of(self, worker: str) -> tuple[str, bool] | None:
        """Return how the job of a worker ended, and whether what it ran is to blame; None if it has not."""
        for job in self._jobs:
            if job.owns(worker):
                self._look_at(job)
                state = job.status.state
                is_there = state is JobState.RUNNING or state.is_waiting
                return None if is_there else (state.value, state is JobState.OUT_OF_MEMORY)
        return None

    def _look_at(self, job: WorkerJob) -> None:
        """Ask for the state of a job now, unless it is over."""
        with self._changing, suppress(SchedulerError):
            if not job.status.state.is_over:
                self._take(job, self._scheduler.query([job.job_id])[job.job_id])

    def _keep(self) -> None:
        while not self._is_closing:
            self._woken.wait(self._pause())
            self._woken.clear()
            try:
                self._look_after()
            except SchedulerError as error:
                self._notices.say(f"{self.plan.kind} does not answer: {error.message}")

    def _look_after(self) -> None:
        if not self._is_closing:
            self.refresh()
            self._reconcile()

    def _pause(self) -> float:
        settled = all(job.has_served for job in self.jobs) and len(self.jobs) >= self.plan.least
        return LATER_S if settled and not self._herd.unfinished() else SOON_S

    def _reconcile(self) -> None:
        """Replace jobs that are gone, and have as many as the work needs."""
        if len(self._failed_starts) >= self._bearable():
            self._give_up_on(self._failed_starts[-1])
            return
        wanted, there = self._wanted(), len(self.jobs)
        if there < wanted and not self._is_closing:
            over = [job.status for job in self._jobs if job.status.state.is_over]
            if over:
                self._notices.say(
                    f"A job ended ({over[-1].state.value}): submitting {wanted - there} in its place."
                )
            self._submit(wanted - there)
        elif there > max(wanted, self.plan.least):
            self._give_back(there - max(wanted, self.plan.least))

    def _bearable(self) -> int:
        """Return how many jobs may end without a worker before it is clear that others would, too."""
        has_ever_served = any(job.has_served for job in self._jobs)
        return FAILED_STARTS if has_ever_served else min(FAILED_STARTS, self.plan.first)

    def _give_up_on(self, job: WorkerJob) -> None:
        """Submit no more jobs; that is the end where none runs."""
        reason = explain(job.status, self.plan.kind, self.plan.logs)
        if any(other.has_served for other in self.jobs):
            self._notices.say(f"{reason} Going on with the jobs that run.")
        elif not self.jobs:
            self.failure = reason

    def _wanted(self) -> int:
        """Return how many jobs the work needs: none are made anew while there is nothing to do."""
        unfinished = self._herd.unfinished()
        if not unfinished:
            return 0
        return min(max(self.plan.least, -(-unfinished // self.plan.threads_per_job)), self.plan.most)

    def _give_back(self, count: int) -> None:
        """End jobs that wait, or have been idle for a while, if the number of jobs may vary."""
        if self.plan.least == self.plan.most:
            return
        now = time.monotonic()
        waiting = [job for job in self.jobs if job.status.state.is_waiting]
        idle = [job for job in self.jobs if job.has_served and now - job.last_busy > IDLE_S]
        for job in [*waiting, *idle][:count]:
            self._herd.retire(name for name in self._herd.names() if job.owns(name))
            self._scheduler.cancel([job.job_id])

    def stop(self) -> None:
        """Submit nothing more, and cancel what has not begun."""
        self._is_closing = True
        self._woken.set()
        if self._keeper.is_alive():
            self._keeper.join(END_S)
        self._cancel(job for job in self.jobs if not job.has_served)

    def close(self) -> None:
        """Wait until the jobs are over, cancelling those that do not end by themselves."""
        self.stop()
        begun, is_cancelled, pause = time.monotonic(), False, 0.1
        while self.jobs and time.monotonic() - begun < END_S:
            try:
                self.refresh()
                if not is_cancelled and time.monotonic() - begun > LEAVE_S:
                    self._cancel(self.jobs)
                    is_cancelled = True
            except SchedulerError as error:
                self._notices.say(f"{self.plan.kind} does not answer: {error.message}")
            time.sleep(pause if self.jobs else 0)
            pause = min(1.5 * pause, 1.0)
        if self.jobs:
            left = " ".join(job.job_id for job in self.jobs)
            self._notices.say(f"These jobs of {self.plan.kind} have not ended yet: {left}")

    def _cancel(self, jobs: Iterable[WorkerJob]) -> None:
        ids = [job.job_id for job in jobs]
        if ids:
            self._scheduler.cancel(ids)

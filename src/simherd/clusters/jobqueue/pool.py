"""Keeping jobs: as many as there is work for, replaced when they are gone, given up when none can start."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from simherd.batch_jobs import BatchJob
from simherd.clusters.jobqueue.diagnosis import explain, log_of, shortage_in
from simherd.clusters.jobqueue.fleet import INNOCENT, Fleet, WorkerJob
from simherd.errors import ClusterError, SchedulerError, SubmitError
from simherd.progress.notices import Notices
from simherd.progress.words import counted, listed
from simherd.schedulers import JobState

__all__ = ["JobPool", "PoolPlan"]

SOON_S, LATER_S = 1.0, 10.0
"""How often the scheduler is asked: while jobs start or end, and else."""
MOST_PAUSE_S = 60.0
"""Longest time between two attempts to replace jobs that do not start."""
FAILED_STARTS = 3
"""Jobs in a row that may be refused, or end before a worker of theirs connects."""
IDLE_S = 15.0
"""Time that jobs must have been idle, or too many, before some are given back."""
END_S = 40.0
"""Time that jobs have to end when the cluster closes."""
LEAVE_S = 2.0
"""Time that they have to end by themselves before they are cancelled."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolPlan:
    """How many jobs there are to be."""

    title: str
    """Name of the batch scheduler for people."""
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
    """Keeps jobs running while the Dask scheduler has work for them, from a thread of its own.

    Only that thread submits: signals, which end up in the main thread, never come between a job that the
    scheduler took and its place in the journal.

    Parameters
    ----------
    fleet : Fleet
        The jobs.
    plan : PoolPlan
        How many there are to be.
    """

    def __init__(self, fleet: Fleet, plan: PoolPlan) -> None:
        self.plan = plan
        self.failure: Exception | None = None
        """Why there is no hope for more workers."""
        self._fleet = fleet
        self._told = 0
        self._refusals = 0
        self._needed = time.monotonic()
        self._first_submitted = threading.Event()
        self._woken = threading.Event()
        self._is_closing = False
        self._notices = Notices()
        self._thread = threading.Thread(target=self._keep, name="simherd-jobs", daemon=True)

    @property
    def most_threads(self) -> int:
        """Tasks that run at once when all jobs run."""
        return self.plan.most * self.plan.threads_per_job

    @property
    def has_workers(self) -> bool:
        """Whether a worker is connected."""
        return bool(self._fleet.herd.names())

    @property
    def jobs(self) -> list[WorkerJob]:
        """The jobs that are not over."""
        return self._fleet.jobs

    @property
    def batch_jobs(self) -> dict[BatchJob, bool]:
        """All jobs that were submitted, and whether each is over."""
        return self._fleet.batch_jobs

    def describe(self) -> str:
        """Return how the jobs are, in words: ``"1 running (12), 2 pending for Resources (13, 14)"``."""
        return self._fleet.describe()

    def start(self) -> None:
        """Submit the first jobs and begin to keep them.

        Raises
        ------
        SubmitError
            If a job is refused.
        """
        self._thread.start()
        while not self._first_submitted.wait(SOON_S):
            pass
        if self.failure is not None:
            raise self.failure

    def end_of(self, worker: str) -> tuple[str, bool] | None:
        """Return how the job of a worker ended, and whether what it ran is to blame; None if it has not."""
        job = self._fleet.owner_of(worker)
        if job is None:
            return None
        with suppress(SchedulerError):
            self._fleet.look_at(job)
        state = job.status.state
        is_there = state in (JobState.RUNNING, JobState.UNKNOWN) or state.is_waiting
        is_to_blame = state is JobState.OUT_OF_MEMORY or (
            state not in INNOCENT and bool(self.complaint_of(worker))
        )
        return None if is_there else (f"job {job.job_id}: {state.value}", is_to_blame)

    def complaint_of(self, worker: str) -> str:
        """Return what the log of a worker's job says of too little memory or threads; "" for nothing."""
        job = self._fleet.owner_of(worker)
        return "" if job is None else shortage_in(log_of(job.job_id, self.plan.logs))

    def _keep(self) -> None:
        try:
            try:
                self._submit(self.plan.first)
            finally:
                self._first_submitted.set()
            while not self._is_closing and self.failure is None:
                self._woken.wait(self._pause())
                if not self._is_closing:
                    self._look_after()
        except SubmitError as error:
            self.failure = error
        except Exception as error:  # whoever waits for workers must hear of it
            self.failure = ClusterError(f"The jobs of {self.plan.title} cannot be kept any more: {error!r}.")

    def _submit(self, count: int) -> None:
        for _ in range(count):
            if not self._is_closing:
                self._fleet.submit()

    def _pause(self) -> float:
        """Return the time until the next look, in s: longer while nothing happens, or nothing succeeds."""
        troubles = len(self._fleet.failed_starts) + self._refusals
        if troubles:
            return min(SOON_S * 2.0**troubles, MOST_PAUSE_S)
        jobs = self._fleet.jobs
        is_settled = all(job.has_served for job in jobs) and len(jobs) >= self.plan.least
        return LATER_S if is_settled and not self._fleet.herd.unfinished() else SOON_S

    def _look_after(self) -> None:
        try:
            self._fleet.refresh()
        except SchedulerError as error:
            self._notices.say(f"{self.plan.title} does not answer: {error.message}")
            return
        try:
            self._reconcile()
        except SubmitError as error:
            self._after_refusal(error)

    def _reconcile(self) -> None:
        """Replace jobs that are gone, and have as many as the work needs."""
        failed = self._fleet.failed_starts
        if len(failed) >= self._bearable():
            self._give_up(explain(failed[-1].status, self.plan.title, self.plan.logs))
            return
        wanted, there, now = self._wanted(), len(self._fleet.jobs), time.monotonic()
        if there <= max(wanted, self.plan.least) or not self._has_ever_served:
            self._needed = now
        if there < wanted:
            self._say_what_ended(wanted - there)
            self._submit(wanted - there)
            self._refusals = 0
        elif now - self._needed > IDLE_S:
            self._give_back(there - max(wanted, self.plan.least))

    @property
    def _has_ever_served(self) -> bool:
        """Whether a worker has ever connected: until then somebody waits for the first one."""
        return any(job.has_served for job in [*self._fleet.jobs, *self._fleet.ended])

    def _bearable(self) -> int:
        """Return how many jobs may end without a worker before it is clear that others would, too."""
        return FAILED_STARTS if self._has_ever_served else min(FAILED_STARTS, self.plan.first)

    def _after_refusal(self, error: SubmitError) -> None:
        self._refusals += 1
        if self._refusals >= FAILED_STARTS:
            self._give_up(error)
        else:
            self._notices.say(str(error))

    def _give_up(self, reason: ClusterError) -> None:
        """Submit no more jobs; that is the end where none is left."""
        if self._fleet.jobs:
            self._notices.say(f"{reason} Going on with the jobs that are there.")
        else:
            self.failure = reason

    def _wanted(self) -> int:
        """Return how many jobs the work needs: none are made anew while there is nothing to do."""
        unfinished = self._fleet.herd.unfinished()
        if not unfinished:
            return 0
        return min(max(self.plan.least, -(-unfinished // self.plan.threads_per_job)), self.plan.most)

    def _say_what_ended(self, new: int) -> None:
        ended = [job for job in self._fleet.ended if not job.is_given_back]
        if len(ended) > self._told:
            how = listed(f"{job.job_id} {job.status.state.value}" for job in ended[self._told :])
            count = counted(len(ended) - self._told, "job")
            said = shortage_in(log_of(ended[-1].job_id, self.plan.logs))
            why = f" Of job {ended[-1].job_id} {said}." if said else ""
            self._notices.say(f"{count} ended ({how}): submitting {counted(new, 'job')} instead.{why}")
        self._told = len(ended)

    def _give_back(self, count: int) -> None:
        """End jobs that wait, or have been idle for a while, if the number of jobs may vary."""
        if self.plan.least == self.plan.most:
            return
        now = time.monotonic()
        waiting = [job for job in self._fleet.jobs if job.status.state.is_waiting]
        idle = [job for job in self._fleet.jobs if job.has_served and now - job.last_busy > IDLE_S]
        with suppress(SchedulerError):
            for job in [*waiting, *idle][:count]:
                self._fleet.give_back(job)

    def stop(self) -> None:
        """Submit nothing more, and cancel what has not begun."""
        self._is_closing = True
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(END_S)
        self._cancel(has_begun=False)

    def close(self) -> None:
        """Wait until the jobs are over, cancelling those that do not end by themselves."""
        begun, is_cancelled, pause = time.monotonic(), False, 0.1
        while self._fleet.jobs and time.monotonic() - begun < END_S:
            with suppress(SchedulerError):
                self._fleet.refresh()
            if not is_cancelled and time.monotonic() - begun > LEAVE_S:
                is_cancelled = self._cancel(has_begun=True)
            time.sleep(pause if self._fleet.jobs else 0)
            pause = min(1.5 * pause, 1.0)
        if left := " ".join(job.job_id for job in self.jobs):
            self._notices.say(
                f"These jobs of {self.plan.title} have not ended yet: {left}. "
                "'simherd doctor --orphans' cancels them."
            )

    def _cancel(self, has_begun: bool) -> bool:
        """End the jobs, or those only that have not begun, and return whether the scheduler heard it."""
        try:
            self._fleet.cancel(job for job in self._fleet.jobs if has_begun or not job.has_served)
        except SchedulerError as error:
            self._notices.say(f"{self.plan.title} does not answer: {error.message}")
            return False
        return True

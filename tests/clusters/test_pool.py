"""What a pool of jobs does when the batch scheduler misbehaves: the schedulers here are made to."""

from __future__ import annotations

import itertools
import threading
import time
from pathlib import Path

import pytest

from simherd.batch_jobs import BatchJob
from simherd.clusters.jobqueue import pool as pool_module
from simherd.clusters.jobqueue.fleet import Fleet
from simherd.clusters.jobqueue.pool import JobPool, PoolPlan
from simherd.clusters.journal import Journal, read_journals
from simherd.errors import ClusterError, SchedulerError, SubmitError
from simherd.schedulers import JobState, JobStatus

LIMIT_S = 20


class FakeHerd:
    """Workers as the test says."""

    def __init__(self):
        self.connected: list[str] = []
        self.are_busy = True
        self.tasks = 0

    def names(self):
        return list(self.connected)

    def busy(self):
        return list(self.connected) if self.are_busy else []

    def unfinished(self):
        return self.tasks

    def retire(self, names):
        self.connected = [name for name in self.connected if name not in set(names)]


class FakeScheduler:
    """Jobs whose states the test sets."""

    name = "fake"

    def __init__(self):
        self.states: dict[str, JobState] = {}
        self.refuses = False
        self.fails_to_cancel = False
        self.refused = 0
        self._numbers = itertools.count(100)

    def submit(self, script):
        if self.refuses:
            self.refused += 1
            raise SubmitError("sbatch refused the job: no more today.")
        job_id = str(next(self._numbers))
        self.states[job_id] = JobState.PENDING
        return job_id

    def query(self, job_ids):
        return {job_id: JobStatus(job_id=job_id, state=self.states[job_id]) for job_id in job_ids}

    def cancel(self, job_ids):
        if self.fails_to_cancel:
            raise SchedulerError("scancel failed.")
        for job_id in job_ids:
            self.states[job_id] = JobState.CANCELLED


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Return a function that makes a pool on a fake scheduler, with waits that are short."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(pool_module, "SOON_S", 0.02)
    monkeypatch.setattr(pool_module, "LATER_S", 0.02)
    monkeypatch.setattr(pool_module, "MOST_PAUSE_S", 0.1)
    monkeypatch.setattr(pool_module, "IDLE_S", 0.05)
    monkeypatch.setattr(pool_module, "END_S", 1.0)
    monkeypatch.setattr(pool_module, "LEAVE_S", 0.05)
    pools = []

    def make(least=1, first=1, most=1):
        scheduler, herd, journal = FakeScheduler(), FakeHerd(), Journal("slurm")
        fleet = Fleet(scheduler, lambda name: f"#!/bin/sh\n# {name}\n", journal.folder, herd, journal)
        plan = PoolPlan(
            title="SLURM", least=least, first=first, most=most, threads_per_job=1, logs=journal.folder
        )
        pools.append(JobPool(fleet, plan))
        return pools[-1], scheduler, herd, journal

    yield make
    for pool in pools:
        pool.stop()


def until(condition):
    """Wait until something is so."""
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def serve(scheduler, herd, *jobs):
    """Let workers of jobs connect."""
    for job in jobs:
        scheduler.states[job.job_id] = JobState.RUNNING
        herd.connected.append(job.name)
    until(lambda: all(job.has_served for job in jobs))


def test_a_first_job_that_is_refused_is_the_error_of_the_start(made):
    pool, scheduler, _, _ = made()
    scheduler.refuses = True

    with pytest.raises(SubmitError, match="no more today"):
        pool.start()


def test_replacements_that_are_refused_end_the_wait_for_workers(made, capfd):
    pool, scheduler, herd, _ = made()
    pool.start()
    (job,) = pool.jobs
    serve(scheduler, herd, job)
    herd.tasks, scheduler.refuses = 3, True
    herd.connected.clear()
    scheduler.states[job.job_id] = JobState.CANCELLED

    until(lambda: pool.failure is not None)
    assert isinstance(pool.failure, SubmitError)
    assert scheduler.refused == pool_module.FAILED_STARTS
    assert "does not answer" not in capfd.readouterr().err


def test_jobs_that_end_at_once_are_given_up_after_a_few(made):
    pool, scheduler, herd, _ = made(least=5, first=5, most=5)
    pool.start()
    herd.tasks = 9
    until(lambda: _fail_all(scheduler) or pool.failure is not None)

    assert "before a worker of it connected" in str(pool.failure)
    assert len(scheduler.states) <= 5 + pool_module.FAILED_STARTS


def _fail_all(scheduler):
    for job_id, state in scheduler.states.items():
        if not state.is_over:
            scheduler.states[job_id] = JobState.FAILED


def test_jobs_that_were_given_back_while_they_waited_count_as_no_failure(made):
    pool, scheduler, herd, _ = made(least=1, first=1, most=6)
    pool.start()
    (first,) = pool.jobs
    serve(scheduler, herd, first)
    for _ in range(2):
        herd.tasks = 6
        until(lambda: len(pool.jobs) == 6)
        herd.tasks = 1
        until(lambda: len(pool.jobs) == 1)

    assert pool.failure is None
    herd.tasks = 6
    until(lambda: len(pool.jobs) == 6)


def test_time_in_the_queue_is_no_idle_time(made, monkeypatch):
    monkeypatch.setattr(pool_module, "IDLE_S", 1.0)
    pool, scheduler, herd, _ = made(least=0, first=1, most=2)
    herd.are_busy = False
    pool.start()
    (job,) = pool.jobs
    time.sleep(1.5)
    assert scheduler.states[job.job_id] is JobState.PENDING

    serve(scheduler, herd, job)
    began = time.monotonic()
    until(lambda: scheduler.states[job.job_id] is JobState.CANCELLED)
    assert time.monotonic() - began > 0.5


def test_trouble_of_the_keeper_itself_is_heard_by_who_waits(made, monkeypatch):
    pool, scheduler, _, _ = made()
    pool.start()
    monkeypatch.setattr(scheduler, "query", lambda ids: 1 / 0)

    until(lambda: pool.failure is not None)
    assert isinstance(pool.failure, ClusterError)
    assert "ZeroDivisionError" in str(pool.failure)


def test_jobs_that_could_not_be_cancelled_stay_in_the_journal(made, capfd):
    pool, scheduler, _, journal = made()
    pool.start()
    scheduler.fails_to_cancel = True
    key = journal.folder / "key.pem"
    key.touch()
    pool.stop()
    pool.close()
    journal.remove()

    (entry,) = read_journals()
    assert entry.jobs == tuple(scheduler.states)
    assert not key.exists()
    assert "doctor --orphans" in capfd.readouterr().err


def test_nothing_is_submitted_once_the_pool_closes(made):
    pool, scheduler, herd, _ = made(least=2, first=2, most=2)
    pool.start()
    herd.tasks = 5
    pool.stop()
    pool.close()
    before = len(scheduler.states)
    time.sleep(0.2)

    assert len(scheduler.states) == before
    assert not any(thread.name == "simherd-jobs" and thread.is_alive() for thread in threading.enumerate())


def test_scripts_are_written_for_each_job(made, tmp_path):
    pool, _, _, journal = made(least=2, first=2, most=2)
    pool.start()

    assert sorted(path.name for path in Path(journal.folder).glob("*.sh")) == ["job-0.sh", "job-1.sh"]


def test_jobs_are_named_in_what_is_said_of_them(made):
    pool, scheduler, _, _ = made()
    pool.start()
    waiting = pool.describe()
    scheduler.states["100"] = JobState.CANCELLED

    assert pool.batch_jobs == {BatchJob(scheduler="fake", job_id="100"): False}
    assert waiting == "1 pending (100)"
    assert pool.end_of("job-0") == ("job 100: cancelled", False)


@pytest.mark.parametrize(
    "line",
    [
        "RuntimeError: can't start new thread",
        "terminate called after throwing an instance of 'std::bad_alloc'",
        "ImportError: libx.so: failed to map segment from shared object",
        "libgomp: Thread creation failed: Resource temporarily unavailable",
    ],
)
def test_worker_that_got_no_memory_is_to_blame_and_its_log_is_quoted(made, line):
    pool, scheduler, _, journal = made()
    pool.start()
    Path(journal.folder, "simherd.o100").write_text(f"started\n{line}\nended\n")
    scheduler.states["100"] = JobState.FAILED

    assert pool.end_of("job-0") == ("job 100: failed", True)
    assert pool.complaint_of("job-0") == (
        f"its log says {line!r}: ask for more memory, for 1 GiB per slot or more where it limits address "
        "space (h_vmem)"
    )


def test_jobs_that_others_end_are_not_blamed_for_their_log(made):
    pool, scheduler, _, journal = made()
    pool.start()
    Path(journal.folder, "simherd.o100").write_text("MemoryError\n")
    scheduler.states["100"] = JobState.NODE_FAIL

    assert pool.end_of("job-0") == ("job 100: node failed", False)

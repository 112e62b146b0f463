"""What every batch scheduler must keep."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from simherd.errors import SubmitError
from simherd.schedulers import BatchScheduler, JobState, JobStatus, Site

__all__ = ["SchedulerContract"]

POLL_S = 0.3
LIMIT_S = 120.0


class SchedulerContract:
    """Clauses for a batch scheduler that is at hand: inherit them, and give the fixture ``scheduler``."""

    arguments: ClassVar[tuple[str, ...]] = ()
    """Options of the submitting command that let a job start here."""
    hold: ClassVar[tuple[str, ...]]
    """Options with which a job waits until somebody releases it."""
    refused: ClassVar[tuple[str, ...]]
    """Options with which no job is accepted."""
    forgotten: ClassVar[str] = "99999999"
    """A job id that was never given."""

    @pytest.fixture
    def scheduler(self) -> BatchScheduler:
        """Return the scheduler."""
        raise NotImplementedError

    @pytest.fixture
    def submit(self, scheduler: BatchScheduler, tmp_path: Path) -> Iterator[Callable[..., str]]:
        """Return a function that submits a job of some shell lines; its jobs are cancelled in the end."""
        jobs: list[str] = []

        def function(lines: str, *arguments: str, of_script: tuple[str, ...] = ()) -> str:
            script = tmp_path / f"job-{len(jobs)}.sh"
            script.write_text(f"#!/bin/bash\n{lines}\n")
            jobs.append(scheduler.submit(script, (*self.arguments, *arguments), of_script))
            return jobs[-1]

        yield function
        scheduler.cancel(jobs)
        _wait_for(scheduler, jobs, lambda status: status.state.is_over)

    def test_it_is_here(self, scheduler: BatchScheduler) -> None:
        assert scheduler.is_installed()
        assert scheduler.name
        assert scheduler.words.scheduler

    def test_a_job_runs_and_is_known_until_it_is_done(
        self, scheduler: Any, submit: Any, tmp_path: Path
    ) -> None:
        mark = tmp_path / "its arguments"
        job = submit('sleep 1; echo "$1" > "$2"', of_script=("one two", str(mark)))
        seen = [scheduler.query([job])[job]]
        (last,) = _wait_for(scheduler, [job], lambda status: status.state.is_over, seen)

        assert mark.read_text() == "one two\n"
        assert seen[0].job_id == job
        assert not seen[0].state.is_over
        assert last.state in (JobState.DONE, JobState.GONE)

    def test_the_exit_code_of_a_job_that_fails_is_told(self, scheduler: Any, submit: Any) -> None:
        job = submit("exit 3")
        (status,) = _wait_for(scheduler, [job], lambda status: status.exit_code is not None)

        assert status.state is JobState.FAILED
        assert status.exit_code == 3
        _wait_for(scheduler, [job], lambda status: job in scheduler.accounting([job]))

    def test_a_job_that_runs_can_be_cancelled(self, scheduler: Any, submit: Any) -> None:
        job = submit("sleep 300")
        (running,) = _wait_for(scheduler, [job], lambda status: status.state is JobState.RUNNING)
        scheduler.cancel([job])
        (over,) = _wait_for(scheduler, [job], lambda status: status.state.is_over)

        assert running.node
        assert over.state is not JobState.DONE

    def test_a_job_that_is_held_says_so_and_can_be_cancelled(self, scheduler: Any, submit: Any) -> None:
        job = submit("true", *self.hold)
        (held,) = _wait_for(scheduler, [job], lambda status: status.state is JobState.HELD)
        scheduler.cancel([job])
        (over,) = _wait_for(scheduler, [job], lambda status: status.state.is_over)

        assert held.state.is_waiting
        assert over.state is not JobState.DONE

    def test_cancelling_what_is_over_or_was_never_there_is_no_error(
        self, scheduler: Any, submit: Any
    ) -> None:
        job = submit("true")
        _wait_for(scheduler, [job], lambda status: status.state.is_over)

        scheduler.cancel([job, self.forgotten])
        scheduler.cancel([])

    def test_a_job_that_is_refused_is_an_error_with_the_words_of_the_scheduler(
        self, scheduler: Any, submit: Any
    ) -> None:
        with pytest.raises(SubmitError) as caught:
            submit("true", *self.refused)

        assert caught.value.returncode
        assert caught.value.argv
        assert caught.value.stderr.strip()

    def test_a_script_that_does_not_exist_is_an_error(self, scheduler: Any, tmp_path: Path) -> None:
        with pytest.raises(SubmitError):
            scheduler.submit(tmp_path / "nowhere.sh")

    def test_a_job_that_it_has_forgotten_is_gone(self, scheduler: Any) -> None:
        found: Mapping[str, JobStatus] = scheduler.query([self.forgotten])

        assert found[self.forgotten].state is JobState.GONE
        assert scheduler.query([]) == {}
        assert self.forgotten not in scheduler.accounting([self.forgotten])

    def test_many_are_asked_for_at_once_in_any_order(self, scheduler: Any, submit: Any) -> None:
        jobs = [submit("true", *self.hold) for _ in range(2)]
        asked = [jobs[1], self.forgotten, jobs[0], jobs[1]]
        found = scheduler.query(asked)

        assert set(found) == set(asked)
        assert all(found[job].state.is_waiting for job in jobs)

    def test_it_tells_what_it_has(self, scheduler: Any) -> None:
        site: Site = scheduler.site()

        assert site.partitions
        assert len({partition.name for partition in site.partitions}) == len(site.partitions)
        assert any(partition.is_up and partition.cores_per_node for partition in site.partitions)


def _wait_for(
    scheduler: BatchScheduler,
    jobs: list[str],
    condition: Callable[[JobStatus], bool],
    seen: list[JobStatus] | None = None,
) -> list[JobStatus]:
    """Wait until all jobs are as they shall be, and return how they are; fail if they do not become so."""
    end = time.monotonic() + LIMIT_S
    while True:
        statuses = list(scheduler.query(jobs).values())
        if seen is not None:
            seen.extend(statuses)
        if all(map(condition, statuses)):
            return statuses
        assert time.monotonic() < end, f"it did not come about within {LIMIT_S:.0f} s: {statuses}"
        time.sleep(POLL_S)

"""Sending the tasks of a map to workers in packs, and collecting what becomes of each."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from simherd.engine.failures import Failure
from simherd.errors import PicklingError, SimherdError, TaskError, TaskTimeoutError
from simherd.executors.base import JOB_LOSSES, Executor, Lost, Tasks
from simherd.executors.payload import dumps
from simherd.executors.silence import silence_after
from simherd.parallel.arguments import Arguments
from simherd.parallel.board import SLOTS, LastSeen
from simherd.parallel.load import Gate
from simherd.parallel.packs import PackSizer
from simherd.parallel.task import Job, Pack, PackReport, loaded, report_of_failed, run_pack, unread

__all__ = ["Dispatch", "Outcomes", "out_of_time"]

POLL_S = 1.0
PARTS = 8


@dataclass(slots=True)
class Outcomes:
    """What became of the tasks of a map; each list has one entry per task, in input order."""

    values: list[Any]
    """What tasks returned, None for those that have not."""
    failures: dict[int, Failure] = field(default_factory=dict)
    """Why tasks failed, by position."""
    seconds: list[float | None] = field(default_factory=list)
    """Time that each task took, in s; None for those that did not run."""
    stdout: list[str] = field(default_factory=list)
    """What each printed, if that was kept."""

    @classmethod
    def of(cls, tasks: int) -> Outcomes:
        """Return outcomes of tasks that have not run."""
        return cls(values=[None] * tasks, seconds=[None] * tasks, stdout=[""] * tasks)

    @property
    def settled(self) -> int:
        """Tasks that came to an end."""
        return sum(one is not None for one in self.seconds)

    def add(self, report: PackReport) -> None:
        """Take over what a pack gave, its values loaded."""
        rows = slice(report.tasks.start, report.tasks.stop)
        self.values[rows] = report.values
        self.seconds[rows] = report.seconds
        self.failures.update({failure.number: failure for failure in report.failures})
        if report.stdout is not None:
            self.stdout[rows] = report.stdout


class Dispatch:
    """One run of a map.

    A worker that ends costs the task that it was at; the other tasks of its pack run again. Where nobody
    can tell which task that was, the pack is split until the task is alone, and then runs alone once more.

    Parameters
    ----------
    arguments : Arguments
        Of all tasks.
    job : Job
        What packs share.
    executor : Executor
        Where they run.
    sizer : PackSizer
        How many tasks a pack has.
    gate : Gate
        Says whether to send a pack now.
    on_report : callable, optional
        Called with the report of each pack that comes back.
    """

    def __init__(
        self,
        arguments: Arguments,
        job: Job,
        executor: Executor,
        sizer: PackSizer,
        gate: Gate,
        on_report: Callable[[PackReport], object] = lambda report: None,
    ) -> None:
        self.arguments = arguments
        self.job = job
        self.executor = executor
        self.sizer = sizer
        self.gate = gate
        self.on_report = on_report
        self.outcomes = Outcomes.of(len(arguments))
        self._next = 0
        self._returned: deque[range] = deque()
        self._suspects: deque[int] = deque()
        """Tasks that may have ended a worker: each runs when nothing else does."""
        self._alone: int | None = None
        """The one that runs alone."""
        self._was_alone = False
        self._job_losses: dict[int, int] = {}
        self._slots = list(range(SLOTS))

    def run(self, shared: Any) -> Outcomes:
        """Run all tasks, or those up to the first failure if that is to stop the map.

        Parameters
        ----------
        shared : Job or Payload
            The job, as the executor takes it.

        Raises
        ------
        SimherdError
            If workers cannot be started, or are gone.
        """
        limit = self.job.limit
        silence_s = silence_after(None if limit is None else limit.seconds)
        with self.executor.tasks(run_pack, shared, silence_s) as tasks:
            try:
                self._run(tasks)
            finally:
                self.job.board.stop()  # packs that an interrupt or a failure leaves behind go no further
        return self.outcomes

    def _run(self, tasks: Tasks) -> None:
        while not self.is_ended_by_failure:
            self._send(tasks)
            if not tasks.running:
                return
            for pack, result in tasks.finished(min(POLL_S, self.gate.interval_s)):
                self._slots.append(pack.slot)
                self._take(pack, result)

    @property
    def is_ended_by_failure(self) -> bool:
        """Whether a task failed, and that ends the map."""
        return self.job.stops_at_failure and bool(self.outcomes.failures)

    @property
    def _left(self) -> int:
        return len(self.arguments) - self._next

    def _send(self, tasks: Tasks) -> None:
        """Give workers what they have room for."""
        while not self.job.board.is_stopped() and self._alone is None and tasks.room and self._slots:
            if not self._has_work(tasks):
                return
            if self.gate.admits(tasks.running):
                self._submit(tasks, self._take_next())
            elif tasks.running:
                return
            else:
                time.sleep(self.gate.interval_s)

    def _has_work(self, tasks: Tasks) -> bool:
        if self.sizer.task_s is None and tasks.running >= self.executor.workers:
            return False  # until it is known how long tasks take
        return bool(self._returned or self._left or (self._suspects and not tasks.running))

    def _take_next(self) -> range:
        if self._returned:
            return self._returned.popleft()
        if not self._left:
            self._alone = self._suspects.popleft()
            return range(self._alone, self._alone + 1)
        start = self._next
        self._next += min(self.sizer.next(self._left), self._left)
        return range(start, self._next)

    def _submit(self, tasks: Tasks, numbers: range) -> None:
        """Send tasks; one whose arguments do not pickle fails."""
        slot = self._slots.pop()
        self.job.board.clear(slot)
        pack = Pack(self.arguments.part(numbers), slot)
        try:
            tasks.submit(pack)
        except SimherdError:
            raise
        except Exception as error:
            self._slots.append(slot)
            if _pickles(pack):
                raise
            self._after_unsent(numbers, error)

    def _after_unsent(self, numbers: range, error: Exception) -> None:
        if len(numbers) > 1:
            self._returned.extend(_parts(numbers))
            return
        message = f"The arguments of task {numbers[0]} cannot be sent: {type(error).__name__}: {error}."
        self._fail(numbers[0], PicklingError(message, fix="pass something that pickles, or use threads."))

    def _take(self, pack: Pack, result: Any) -> None:
        if pack.tasks[0] == self._alone:
            self._was_alone, self._alone = True, None
        else:
            self._was_alone = False
        if isinstance(result, Lost):
            self._after_loss(pack, result)
            return
        self.sizer.add(len(result.tasks), sum(result.seconds))
        if len(result.tasks) < pack.size:  # its worker was told to stop, where this process is not reached
            self.job.board.stop()
        try:
            report = loaded(result)
        except Exception as error:
            self._after_unread(pack, result, error)
        else:
            self._settle(report)

    def _after_unread(self, pack: Pack, report: PackReport, error: Exception) -> None:
        """Find out which task gave what cannot be loaded here; the others run again."""
        if pack.size > 1 and not self.job.board.is_stopped():
            self._returned.extend(_parts(pack.tasks))
        else:
            self._settle(unread(report, error))

    def _settle(self, report: PackReport) -> None:
        self.outcomes.add(report)
        self.on_report(report)

    def _fail(self, task: int, error: BaseException, seconds: float = 0.0) -> None:
        """Let a task fail of which nothing came back."""
        self._settle(report_of_failed(task, error, seconds))

    def _after_loss(self, pack: Pack, lost: Lost) -> None:
        """Find out which task ended the worker of a pack; the others run again."""
        first = pack.tasks[0]
        if lost.is_innocent and self._bears(first):
            self._returned.append(pack.tasks)
            return
        last = self.job.board.last_seen(pack.slot)
        if last is not None:
            self._fail(last.task, self._error_of(last, lost), last.seconds)
            self._returned.extend(part for part in _around(pack.tasks, last.task) if part)
        elif pack.size > 1:
            self._returned.extend(_parts(pack.tasks))
        elif self._was_alone:
            self._fail(first, TaskError(f"Task {first} ended its worker process: {lost.reason}."))
        else:
            self._suspects.append(first)

    def _error_of(self, last: LastSeen, lost: Lost) -> TaskError:
        limit = self.job.limit
        if limit is not None and last.seconds >= limit.seconds:
            return out_of_time(last.task, limit.seconds)
        return TaskError(f"Task {last.task} ended its worker process: {lost.reason}.")

    def _bears(self, first: int) -> bool:
        """Return whether a pack may lose its job once more."""
        self._job_losses[first] = self._job_losses.get(first, 0) + 1
        return self._job_losses[first] <= JOB_LOSSES


def out_of_time(task: int, seconds: float) -> TaskTimeoutError:
    """Return the error of a task that took too long."""
    return TaskTimeoutError(
        f"Task {task} took longer than timeout_s={seconds:g} and was ended.",
        fix="give it more time (timeout_s).",
    )


def _around(tasks: range, task: int) -> Iterator[range]:
    yield range(tasks.start, task)
    yield range(task + 1, tasks.stop)


def _parts(tasks: range) -> list[range]:
    """Return up to eight parts of a range."""
    size = -(-len(tasks) // PARTS)
    return [tasks[start : start + size] for start in range(0, len(tasks), size)]


def _pickles(pack: Pack) -> bool:
    try:
        dumps(pack)
    except Exception:
        return False
    return True

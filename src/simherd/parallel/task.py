"""What runs in a worker: the tasks of a pack, sequentially, each with its own outcome."""

from __future__ import annotations

import io
import os
import pickle
import threading
import time
import uuid
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeAlias

from simherd.engine.failures import Failure, add_note, as_failure, portable
from simherd.engine.timeouts import TimeLimit
from simherd.errors import PicklingError, TaskError
from simherd.executors.payload import dumps
from simherd.parallel.arguments import Calls
from simherd.parallel.board import Board
from simherd.parallel.process_state import process_as_it_was
from simherd.parallel.streams import Streams

__all__ = [
    "Call",
    "Job",
    "Kept",
    "Pack",
    "PackReport",
    "loaded",
    "report_of_failed",
    "run_pack",
    "this_process",
    "unread",
]

Call: TypeAlias = tuple[Callable[..., Any], tuple[Any, ...], tuple[tuple[str, Any], ...]]
"""Function, positional and keyword arguments that all tasks share: of what nobody changes, if it can be."""
TaskCall: TypeAlias = Callable[[int, tuple[Any, ...], Mapping[str, Any]], Any]
"""Runs one task: called with its position, positional and keyword arguments."""
BACKEND = "MPLBACKEND"
_identity = uuid.uuid4().hex


def this_process() -> str:
    """Return what tells this process from all others, also from those of other machines."""
    return _identity


def _renew_identity() -> None:
    global _identity
    _identity = uuid.uuid4().hex


os.register_at_fork(after_in_child=_renew_identity)


class Copies(Protocol):
    """What gives each task the function and the shared arguments."""

    def copy(self) -> Call:
        """Return them."""
        ...


@dataclass(frozen=True, slots=True)
class Kept:
    """Function and shared arguments that all tasks use as they are."""

    call: Call
    """They."""

    def copy(self) -> Call:
        """Return them."""
        return self.call


@dataclass(kw_only=True, slots=True)
class Job:
    """What all packs of a map share."""

    shared: Copies
    """Gives function and shared arguments."""
    board: Board
    """Where workers say what they are at."""
    tasks: int
    """Tasks of the map."""
    client: str
    """Identity of the process that called the map."""
    copies_arguments: bool = False
    """Whether each task gets copies of its own arguments, too."""
    stops_at_failure: bool = True
    """Whether a pack ends with its first task that fails."""
    callback: Callable[[dict[str, Any]], object] | None = None
    """Called after each task."""
    globaldict: MutableMapping[Any, Any] | None = None
    """Passed to each task under that name."""
    captures: bool = False
    """Whether what tasks print is kept."""
    limit: TimeLimit | None = None
    """How long a task may take."""
    root: int | None = None
    """Root of the random streams of tasks; None leaves NumPy's global generator alone."""
    streams: Streams | None = field(default=None, init=False)
    """The random streams, made where they are used."""

    @property
    def is_elsewhere(self) -> bool:
        """Whether this is another process than the one that called the map."""
        return this_process() != self.client


@dataclass(frozen=True, slots=True)
class Pack:
    """Tasks that travel together."""

    calls: Calls
    """What they are called with."""
    slot: int
    """Place on the board."""

    @property
    def tasks(self) -> range:
        """Positions of the tasks."""
        return range(self.calls.start, self.calls.start + self.calls.size)

    @property
    def size(self) -> int:
        """Number of tasks."""
        return self.calls.size

    def __str__(self) -> str:
        first, last = self.tasks[0], self.tasks[-1]
        return f"task {first}" if first == last else f"tasks {first} to {last}"


@dataclass(kw_only=True, slots=True)
class PackReport:
    """What became of a pack."""

    tasks: range
    """Positions of the tasks that ran, from the first one of the pack on."""
    values: list[Any] | bytes
    """What they returned, None for those that failed; pickled on the way back."""
    seconds: list[float]
    """Time that each took, in s."""
    failures: list[Failure]
    """Those that failed."""
    stdout: list[str] | None
    """What each printed, if that is kept."""
    worker: str
    """Who ran it."""


def loaded(report: PackReport) -> PackReport:
    """Return a report with its values as objects of this process.

    Raises
    ------
    Exception
        What loading a value raises.
    """
    values = report.values
    return replace(report, values=pickle.loads(values)) if isinstance(values, bytes) else report


def unread(report: PackReport, error: Exception) -> PackReport:
    """Return a report whose values cannot be loaded here: all of its tasks have failed."""
    known = {failure.number for failure in report.failures}
    failures = [as_failure(task, _unread(task, error)) for task in report.tasks if task not in known]
    return replace(report, values=[None] * len(report.tasks), failures=[*report.failures, *failures])


def _unread(task: int, error: Exception) -> PicklingError:
    message = f"The result of task {task} cannot be loaded here: {type(error).__name__}: {error}."
    return PicklingError(message, fix="return something that can be loaded in other processes.")


def report_of_failed(task: int, error: BaseException, seconds: float) -> PackReport:
    """Return the report of a task of which nothing came back, after some time in s."""
    return PackReport(
        tasks=range(task, task + 1),
        values=[None],
        seconds=[seconds],
        failures=[as_failure(task, error)],
        stdout=None,
        worker="",
    )


def run_pack(job: Job, pack: Pack) -> PackReport:
    """Run the tasks of a pack until one is to be the last."""
    if not job.is_elsewhere:
        return _Run(job, pack).run()
    os.environ.setdefault(BACKEND, "Agg")  # a worker has no screen
    with process_as_it_was():
        report = _Run(job, pack).run()
    values, unsent = _pickled(report.tasks, report.values)
    failures = [portable(failure, TaskError) for failure in report.failures]
    return replace(report, values=values, failures=failures + unsent)


class _Run:
    def __init__(self, job: Job, pack: Pack) -> None:
        self.job = job
        self.pack = pack
        self.failures: list[Failure] = []
        self.stdout: list[str] | None = [] if job.captures else None

    def run(self) -> PackReport:
        job, pack, call = self.job, self.pack, self._call()
        is_stopped, begin, is_elsewhere = job.board.is_stopped, job.board.begin, job.is_elsewhere
        values: list[Any] = []
        seconds: list[float] = []
        before = time.perf_counter()
        for task, (args, kwargs) in zip(pack.tasks, pack.calls, strict=True):
            if is_stopped():
                break
            if is_elsewhere:
                begin(pack.slot, task)
            try:
                value = call(task, args, kwargs)
            except BaseException as error:
                value = None
                self._fail(task, error)
            now = time.perf_counter()
            values.append(value)
            seconds.append(now - before)
            before = now
            if job.callback is not None:
                self._call_back(task, args, kwargs, value, seconds[-1])
                before = time.perf_counter()
            if self.failures and job.stops_at_failure:
                break
        job.board.clear(pack.slot)
        return PackReport(
            tasks=pack.tasks[: len(values)],
            values=values,
            seconds=seconds,
            failures=self.failures,
            stdout=self.stdout,
            worker=f"{os.getpid()}/{threading.get_native_id()}",
        )

    def _call(self) -> TaskCall:
        """Return what runs a task, with nothing in its way that this map does not ask for."""
        job, call = self.job, _plain(self.job.shared)
        if job.copies_arguments:
            call = _with_copies(call)
        if job.globaldict is not None:
            call = _with_globals(call, job.globaldict)
        if (streams := _streams(job)) is not None:
            call = _with_stream(call, streams)
        if job.limit is not None:
            call = _limited(call, job.limit)
        if self.stdout is not None:
            call = _captured(call, self.stdout)
        return call

    def _fail(self, task: int, error: BaseException) -> None:
        if isinstance(error, KeyboardInterrupt) and not self.job.is_elsewhere:
            raise error
        self.failures.append(as_failure(task, error))
        if self.job.stops_at_failure:
            self.job.board.stop()

    def _call_back(self, task: int, args: Any, kwargs: Any, value: Any, seconds: float) -> None:
        job = self.job
        assert job.callback is not None
        failure = self.failures[-1] if self.failures and self.failures[-1].number == task else None
        data = {
            "index": task,
            "njobs": job.tasks,
            "args": args,
            "kwargs": kwargs,
            "globaldict": job.globaldict,
            "stop": False,
            "outdict": {
                "result": value,
                "success": failure is None,
                "exception": failure and failure.error,
                "elapsed": seconds,
                "skipped": False,
                "stdout": "" if self.stdout is None else self.stdout[-1],
            },
        }
        try:
            job.callback(data)
        except BaseException as error:
            add_note(error, "Raised by the callback.")
            if failure is None:
                self._fail(task, error)
        if data["stop"]:
            job.board.stop()


def _streams(job: Job) -> Streams | None:
    """Return the random streams of tasks, where these run in another process."""
    if not job.is_elsewhere or job.root is None:
        return None
    if job.streams is None:
        job.streams = Streams(job.root)
    job.streams.install()
    return job.streams


def _plain(shared: Copies) -> TaskCall:
    def call(task: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        function, rest, named = shared.copy()
        return function(*args, *rest, **dict(named, **kwargs))

    return call


def _with_copies(call: TaskCall) -> TaskCall:
    return lambda task, args, kwargs: call(task, *pickle.loads(dumps((args, kwargs))))


def _with_globals(call: TaskCall, globaldict: MutableMapping[Any, Any]) -> TaskCall:
    return lambda task, args, kwargs: call(task, args, {**kwargs, "globaldict": globaldict})


def _with_stream(call: TaskCall, streams: Streams) -> TaskCall:
    def seeded(task: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        streams.begin(task)
        return call(task, args, kwargs)

    return seeded


def _limited(call: TaskCall, limit: TimeLimit) -> TaskCall:
    def limited(task: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        with limit.simulation(task):
            return call(task, args, kwargs)

    return limited


def _captured(call: TaskCall, texts: list[str]) -> TaskCall:
    def captured(task: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        text = io.StringIO()
        try:
            with redirect_stdout(text):
                return call(task, args, kwargs)
        finally:
            texts.append(text.getvalue())

    return captured


def _pickled(tasks: range, values: list[Any] | bytes) -> tuple[bytes, list[Failure]]:
    """Return values pickled, and the tasks whose values do not pickle."""
    assert isinstance(values, list)
    try:
        return dumps(values), []
    except Exception:
        pairs = [_checked(task, value) for task, value in zip(tasks, values, strict=True)]
        return dumps([value for value, _ in pairs]), [failure for _, failure in pairs if failure is not None]


def _checked(task: int, value: Any) -> tuple[Any, Failure | None]:
    try:
        dumps(value)
    except Exception as error:
        message = f"The result of task {task} cannot be sent back: {type(error).__name__}: {error}."
        unsent = PicklingError(message, fix="return something that pickles, or use threads.")
        return None, as_failure(task, unsent)
    return value, None

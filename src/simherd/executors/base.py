"""What an executor must do: run a function on items, some at once, and tell what became of each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeAlias, TypeVar

from simherd.batch_jobs import BatchJob
from simherd.errors import ClusterError

__all__ = ["AHEAD", "JOB_LOSSES", "Executor", "Lost", "QueuedTasks", "TaskFunction", "Tasks", "workers_died"]

TaskFunction: TypeAlias = Callable[[Any, Any], Any]
"""Called with the shared object and an item; it stands in an importable module."""

F = TypeVar("F")


AHEAD = 2
"""Items on their way to each worker: one that it runs, and the next one."""
JOB_LOSSES = 20
"""How often a block may lose its worker with a job or node, before it is under suspicion, too."""


@dataclass(frozen=True, slots=True)
class Lost:
    """What is given in place of a result where the worker ended while it ran the item."""

    reason: str
    """How it ended, in words."""
    is_innocent: bool = False
    """Whether the item had nothing to do with that: its node failed, or somebody cancelled the job."""


class Tasks(ABC):
    """A function, what its calls share, and the items that it is called with."""

    @property
    @abstractmethod
    def running(self) -> int:
        """Items whose results have not been taken."""

    @property
    @abstractmethod
    def room(self) -> int:
        """How many more items may be submitted now, so that they never pile up."""

    @abstractmethod
    def submit(self, item: Any) -> None:
        """Run an item as soon as a worker is free."""

    @abstractmethod
    def finished(self, timeout: float | None = None) -> list[tuple[Any, Any]]:
        """Wait until an item ends, and return those that have, each with its result or `Lost`.

        Parameters
        ----------
        timeout : float, optional
            Time after which an empty list comes back, in s.

        Raises
        ------
        Exception
            What the function raises.
        ClusterError
            If there is nothing left that could run items.
        """

    @abstractmethod
    def close(self) -> None:
        """Drop what has not started."""


class Executor(ABC):
    """Where blocks run. A context manager: leaving it stops what it started."""

    workers: int
    """Items that run at once."""
    description: str
    """What it is, in words, such as ``"2 worker processes"``."""
    crosses_processes: bool
    """Whether shared object, items and results are pickled on their way."""
    can_end_items: bool = True
    """Whether items run in processes that can be ended, others than this one."""

    @abstractmethod
    def tasks(
        self, function: TaskFunction, shared: Any, silence_s: float | None = None
    ) -> AbstractContextManager[Tasks]:
        """Return tasks of a function with an object that all of them share; they are closed at the end.

        Parameters
        ----------
        function : callable
            Called with the shared object and an item.
        shared : object
            What all calls share.
        silence_s : float, optional
            Time after which a worker that gives no sign of life is given up, in s, and what it ran comes back
            as `Lost`; None waits for ever. It has no effect on workers that cannot be ended.
        """

    def batch_jobs(self) -> frozenset[BatchJob]:
        """Return the batch jobs of its workers so far, others than that of this process."""
        return frozenset()

    def expect(self, seconds: float | None) -> None:  # noqa: B027 (most have nothing to decide)
        """Hear how much work comes, as soon as that is known: nothing is started that it does not pay for.

        Parameters
        ----------
        seconds : float, optional
            Time that it takes in one worker, in s; None if nobody knows.
        """

    def map(self, function: TaskFunction, shared: Any, items: Iterable[Any]) -> Generator[Any, None, None]:
        """Yield ``function(shared, item)`` for all items, in the order in which they finish.

        Closing the iterator drops what has not started.

        Raises
        ------
        ClusterError
            If a worker ends while it runs an item.
        """
        waiting = iter(items)
        with self.tasks(function, shared) as tasks:
            while True:
                for item in islice(waiting, tasks.room):
                    tasks.submit(item)
                if not tasks.running:
                    return
                for item, result in tasks.finished():
                    if isinstance(result, Lost):
                        raise workers_died(result.reason, str(item))
                    yield result

    @abstractmethod
    def __enter__(self) -> Executor: ...

    @abstractmethod
    def __exit__(self, *exc_info: object) -> None: ...


class QueuedTasks(Tasks, Generic[F]):
    """Tasks that are futures, which report to one queue when they end.

    Parameters
    ----------
    limit : int
        Items that may be on their way at once.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: dict[F, Any] = {}
        self._ended: SimpleQueue[F] = SimpleQueue()

    @property
    def running(self) -> int:
        """Items whose results have not been taken."""
        return len(self._items)

    @property
    def room(self) -> int:
        """What is left of the limit."""
        return self._limit - len(self._items)

    def submit(self, item: Any) -> None:
        """Start the future of an item."""
        future = self._start(item)
        self._items[future] = item
        future.add_done_callback(self._ended.put)  # type: ignore[attr-defined]

    def finished(self, timeout: float | None = None) -> list[tuple[Any, Any]]:
        """Return the items of the futures that have ended, with what came of them."""
        with suppress(Empty):
            ended = [self._ended.get(timeout=timeout), *self._more()]
            return [pair for future in ended for pair in self._settled(future)]
        return []

    def _more(self) -> Iterator[F]:
        with suppress(Empty):
            while True:
                yield self._ended.get_nowait()

    def _settled(self, future: F) -> Iterator[tuple[Any, Any]]:
        """Yield the item of a future that ended, with what came of it."""
        item = self._items.pop(future)
        yield item, self._result(future)

    @abstractmethod
    def _start(self, item: Any) -> F:
        """Return the future of an item."""

    @abstractmethod
    def _result(self, future: F) -> Any:
        """Return the result of a future that ended, or `Lost`, or raise its error."""


def workers_died(reason: str, work: str = "simulations") -> ClusterError:
    """Return what is said when worker processes end in the middle of their work."""
    return ClusterError(
        f"A worker process ended while it ran {work}: {reason}.",
        fix="look for too little memory or a crash in compiled code; with scheduler='sync' it shows here.",
        cli_fix="look for too little memory or a crash in compiled code; with --set run.parallel=false it "
        "shows here.",
    )

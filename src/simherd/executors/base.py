"""What an executor must do: run a function on items, some at once, without ever piling them up."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Any, Protocol, TypeAlias

from simherd.errors import ClusterError

__all__ = ["Executor", "TaskFunction", "workers_died"]

TaskFunction: TypeAlias = Callable[[Any, Any], Any]
"""Called with the shared object and an item; it stands in an importable module."""


class Executor(Protocol):
    """Where blocks run. A context manager: leaving it stops what it started."""

    workers: int
    """Items that run at once."""
    description: str
    """What it is, in words, such as ``"2 worker processes"``."""
    crosses_processes: bool
    """Whether shared object, items and results are pickled on their way."""

    def map(self, function: TaskFunction, shared: Any, items: Iterable[Any]) -> Generator[Any, None, None]:
        """Yield ``function(shared, item)`` for all items, in the order in which they finish.

        Items are drawn as workers take them: never more than a few times the number of workers are
        on their way. Closing the iterator drops what has not started.
        """
        ...

    def __enter__(self) -> Executor: ...

    def __exit__(self, *exc_info: object) -> None: ...


def workers_died(error: BaseException, work: str = "simulations") -> ClusterError:
    """Return what is said when worker processes end in the middle of their work."""
    return ClusterError(
        f"Worker processes died while they ran {work} ({type(error).__name__}).",
        fix="look for too little memory or a crash in compiled code; with scheduler='sync' it shows here.",
    )

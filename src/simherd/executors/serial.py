"""One item after another, in this thread: the reference for all others."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any

from simherd.executors.base import TaskFunction
from simherd.threads import guarded_here

__all__ = ["SerialExecutor"]


class SerialExecutor:
    """Runs items where it is called."""

    workers = 1
    description = "this process, one after another"
    crosses_processes = False

    def map(self, function: TaskFunction, shared: Any, items: Iterable[Any]) -> Generator[Any, None, None]:
        """Yield results in the order of items."""
        for item in items:
            with guarded_here():
                result = function(shared, item)
            yield result

    def __enter__(self) -> SerialExecutor:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass

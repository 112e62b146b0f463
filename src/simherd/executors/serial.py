"""One item after another, in this thread: the reference for all others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from simherd.executors.base import TaskFunction

__all__ = ["SerialExecutor"]


class SerialExecutor:
    """Runs items where it is called."""

    workers = 1
    description = "serial, in this process"
    crosses_processes = False

    def map(self, function: TaskFunction, shared: Any, items: Iterable[Any]) -> Iterator[Any]:
        """Yield results in the order of items."""
        return (function(shared, item) for item in items)

    def __enter__(self) -> SerialExecutor:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass

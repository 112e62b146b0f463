"""One item after another, in this thread: the reference for all others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from simherd.executors.base import Executor, TaskFunction, Tasks
from simherd.threads import guarded_here

__all__ = ["SerialExecutor"]


class SerialExecutor(Executor):
    """Runs items where it is called."""

    workers = 1
    description = "this process, one after another"
    crosses_processes = False
    can_end_items = False

    @contextmanager
    def tasks(self, function: TaskFunction, shared: Any, silence_s: float | None = None) -> Iterator[Tasks]:
        """Give tasks that run when their results are asked for."""
        with guarded_here():
            yield _Here(function, shared)

    def __enter__(self) -> SerialExecutor:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass


class _Here(Tasks):
    def __init__(self, function: TaskFunction, shared: Any) -> None:
        self._function = function
        self._shared = shared
        self._waiting: list[Any] = []

    @property
    def running(self) -> int:
        return len(self._waiting)

    @property
    def room(self) -> int:
        return 1 - len(self._waiting)

    def submit(self, item: Any) -> None:
        self._waiting.append(item)

    def finished(self, timeout: float | None = None) -> list[tuple[Any, Any]]:
        items, self._waiting = self._waiting, []
        return [(item, self._function(self._shared, item)) for item in items]

    def close(self) -> None:
        self._waiting.clear()

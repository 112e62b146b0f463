"""A cluster that starts only if there is enough work for it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any

from simherd.batch_jobs import BatchJob
from simherd.executors.base import Executor, TaskFunction, Tasks
from simherd.executors.client import ClientExecutor
from simherd.executors.processes import ProcessExecutor

__all__ = ["DeferredExecutor"]

WORTH_A_CLUSTER_S = 3.0


class DeferredExecutor(Executor):
    """One worker process until it is known how much work comes, then a Dask client if that pays.

    Parameters
    ----------
    open_client : callable
        Gives the client, as a context manager.
    """

    crosses_processes = True

    def __init__(self, open_client: Callable[[], AbstractContextManager[Any]]) -> None:
        self._open = open_client
        self._stack = ExitStack()
        self._chosen: Executor = ProcessExecutor(1)

    @property
    def workers(self) -> int:  # type: ignore[override]
        """Items that run at once."""
        return self._chosen.workers

    @property
    def description(self) -> str:  # type: ignore[override]
        """Where items run, and why not on a cluster."""
        if isinstance(self._chosen, ProcessExecutor):
            return f"{self._chosen.description}: too little work to start a cluster for"
        return self._chosen.description

    def expect(self, seconds: float | None) -> None:
        """Open the client, unless that takes longer than the work."""
        if seconds is None or seconds >= WORTH_A_CLUSTER_S:
            client = self._stack.enter_context(self._open())
            self._chosen = self._stack.enter_context(ClientExecutor(client))

    def batch_jobs(self) -> frozenset[BatchJob]:
        """Return those of what was chosen."""
        return self._chosen.batch_jobs()

    def tasks(
        self, function: TaskFunction, shared: Any, silence_s: float | None = None
    ) -> AbstractContextManager[Tasks]:
        """Give tasks on what was chosen."""
        return self._chosen.tasks(function, shared, silence_s)

    def __enter__(self) -> DeferredExecutor:
        self._stack.enter_context(self._chosen)
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self._stack.__exit__(*exc_info)

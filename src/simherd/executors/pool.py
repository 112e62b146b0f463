"""Threads of this process, or any ``concurrent.futures`` executor that the user gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

from simherd.executors.base import AHEAD, Executor, QueuedTasks, TaskFunction, Tasks, workers_died
from simherd.executors.mainless import without_main
from simherd.executors.payload import Payload, call_packed, pack, seal
from simherd.progress.words import counted
from simherd.threads import guard_environment, guarded_here, lent_environment

__all__ = ["PoolExecutor", "starting_workers", "thread_pool"]


class PoolExecutor(Executor):
    """Runs items on a ``concurrent.futures.Executor``.

    Parameters
    ----------
    pool : concurrent.futures.Executor
        Runs the calls.
    workers : int
        Calls that it runs at once.
    description : str
        What it is, in words.
    crosses_processes : bool
        Whether calls are pickled.
    owns_pool : bool, optional
        Whether leaving the context shuts the pool down.
    """

    def __init__(
        self,
        pool: futures.Executor,
        workers: int,
        description: str,
        crosses_processes: bool,
        owns_pool: bool = True,
    ) -> None:
        self.pool = pool
        self.workers = workers
        self.description = description
        self.crosses_processes = self.can_end_items = crosses_processes
        self.owns_pool = owns_pool

    @contextmanager
    def tasks(self, function: TaskFunction, shared: Any, silence_s: float | None = None) -> Iterator[Tasks]:
        """Give tasks of which at most twice as many are on their way as there are workers."""
        if self.crosses_processes:
            payload = shared if isinstance(shared, Payload) else pack(shared)
            submit = partial(self._submit_packed, function, payload)
        else:
            submit = partial(self._submit, function, shared)
        with nullcontext() if self.crosses_processes else guarded_here():
            tasks = _PoolTasks(self, submit)
            try:
                yield tasks
            finally:
                tasks.close()

    def _submit(self, function: TaskFunction, shared: Any, item: Any) -> futures.Future[Any]:
        return self.pool.submit(_call, function, shared, item)

    def _submit_packed(self, function: TaskFunction, payload: Payload, item: Any) -> futures.Future[Any]:
        return self.pool.submit(call_packed, function, payload, seal(item))

    def __enter__(self) -> PoolExecutor:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self.owns_pool:
            self.pool.shutdown(wait=True, cancel_futures=True)


class _PoolTasks(QueuedTasks["futures.Future[Any]"]):
    def __init__(self, executor: PoolExecutor, submit: Callable[[Any], futures.Future[Any]]) -> None:
        super().__init__(AHEAD * executor.workers)
        self._starting = starting_workers if executor.crosses_processes else nullcontext
        self._call = submit

    def _start(self, item: Any) -> futures.Future[Any]:
        try:
            with self._starting():
                return self._call(item)
        except futures.BrokenExecutor as error:
            raise workers_died(str(error)) from error

    def _result(self, future: futures.Future[Any]) -> Any:
        try:
            return future.result()
        except futures.BrokenExecutor as error:
            raise workers_died(str(error)) from error

    def close(self) -> None:
        for future in self._items:
            future.cancel()


def thread_pool(workers: int) -> PoolExecutor:
    """Return an executor of threads."""
    pool = futures.ThreadPoolExecutor(workers, thread_name_prefix="simherd")
    return PoolExecutor(pool, workers, counted(workers, "thread"), crosses_processes=False)


@contextmanager
def starting_workers() -> Iterator[None]:
    """Make the environment in which worker processes start: guarded, without the user's script."""
    with without_main(), lent_environment(guard_environment()):
        yield


def _call(function: TaskFunction, shared: Any, item: Any) -> Any:
    """Call a function under the guard of this thread, which OpenMP wants besides that of the process."""
    with guarded_here():
        return function(shared, item)

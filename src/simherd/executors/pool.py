"""Threads or worker processes of this machine, or any ``concurrent.futures`` executor."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from typing import Any

from simherd.executors.base import TaskFunction
from simherd.executors.mainless import without_main
from simherd.executors.payload import Payload, pack, unpack

__all__ = ["PoolExecutor", "process_pool", "thread_pool"]

AHEAD = 2


class PoolExecutor:
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
        self.crosses_processes = crosses_processes
        self.owns_pool = owns_pool

    def map(self, function: TaskFunction, shared: Any, items: Iterable[Any]) -> Iterator[Any]:
        """Yield results as they come, at most twice as many calls on their way as there are workers."""
        call: Callable[[Any, Any, Any], Any] = _call
        if self.crosses_processes:
            shared, call = shared if isinstance(shared, Payload) else pack(shared), _call_packed
        waiting = iter(items)
        running: set[futures.Future[Any]] = set()
        try:
            while True:
                with self._submitting():
                    for item in islice(waiting, AHEAD * self.workers - len(running)):
                        running.add(self.pool.submit(call, function, shared, item))
                if not running:
                    return
                done, running = futures.wait(running, return_when=futures.FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        finally:
            for future in running:
                future.cancel()

    def _submitting(self) -> AbstractContextManager[None]:
        """Return the context in which a pool may start worker processes."""
        return without_main() if self.crosses_processes else nullcontext()

    def __enter__(self) -> PoolExecutor:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self.owns_pool:
            self.pool.shutdown(wait=True, cancel_futures=True)


def thread_pool(workers: int) -> PoolExecutor:
    """Return an executor of threads."""
    pool = futures.ThreadPoolExecutor(workers, thread_name_prefix="simherd")
    return PoolExecutor(pool, workers, _count(workers, "thread"), crosses_processes=False)


def process_pool(workers: int) -> PoolExecutor:
    """Return an executor of worker processes, which never import the user's ``__main__``."""
    context = multiprocessing.get_context("spawn")
    pool = futures.ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
    return PoolExecutor(
        pool, workers, _count(workers, "worker process", "worker processes"), crosses_processes=True
    )


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _call(function: TaskFunction, shared: Any, item: Any) -> Any:
    return function(shared, item)


def _call_packed(function: TaskFunction, payload: Payload, item: Any) -> Any:
    return function(unpack(payload), item)


def _start_worker() -> None:
    """Leave Ctrl-C to the parent, which tells workers to stop."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)

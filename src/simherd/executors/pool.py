"""Threads or worker processes of this machine, or any ``concurrent.futures`` executor."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent import futures
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import islice
from typing import Any

from simherd.executors.base import TaskFunction, workers_died
from simherd.executors.mainless import without_main
from simherd.executors.payload import Payload, pack, unpack
from simherd.progress.words import counted
from simherd.threads import guard_environment, guarded_here, lent_environment

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

    def map(self, function: TaskFunction, shared: Any, items: Iterable[Any]) -> Generator[Any, None, None]:
        """Yield results as they come, at most twice as many calls on their way as there are workers."""
        with nullcontext() if self.crosses_processes else guarded_here():
            yield from self._map(function, shared, items)

    def _map(self, function: TaskFunction, shared: Any, items: Iterable[Any]) -> Generator[Any, None, None]:
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
        except futures.BrokenExecutor as error:
            raise workers_died(error) from error
        finally:
            for future in running:
                future.cancel()

    def _submitting(self) -> AbstractContextManager[None]:
        """Return the context in which a pool may start worker processes."""
        return _starting_workers() if self.crosses_processes else nullcontext()

    def __enter__(self) -> PoolExecutor:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if not self.owns_pool:
            return
        if isinstance(exc_info[1], KeyboardInterrupt | SystemExit):
            self._stop_workers()
        self.pool.shutdown(wait=True, cancel_futures=True)

    def _stop_workers(self) -> None:
        """End worker processes in the middle of what they do: nobody waits for it any more."""
        for process in list((getattr(self.pool, "_processes", None) or {}).values()):
            process.terminate()


def thread_pool(workers: int) -> PoolExecutor:
    """Return an executor of threads."""
    pool = futures.ThreadPoolExecutor(workers, thread_name_prefix="simherd")
    return PoolExecutor(pool, workers, counted(workers, "thread"), crosses_processes=False)


def process_pool(workers: int) -> PoolExecutor:
    """Return an executor of worker processes, which never import the user's ``__main__``."""
    context = multiprocessing.get_context("spawn")
    pool = futures.ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
    return PoolExecutor(
        pool, workers, counted(workers, "worker process", "worker processes"), crosses_processes=True
    )


@contextmanager
def _starting_workers() -> Iterator[None]:
    with without_main(), lent_environment(guard_environment()):
        yield


def _call(function: TaskFunction, shared: Any, item: Any) -> Any:
    """Call a function under the guard of this thread, which OpenMP wants besides that of the process."""
    with guarded_here():
        return function(shared, item)


def _call_packed(function: TaskFunction, payload: Payload, item: Any) -> Any:
    return function(unpack(payload), item)


def _start_worker() -> None:
    """Leave Ctrl-C to the parent, which tells workers to stop."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)

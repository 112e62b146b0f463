"""Worker processes of this machine, each on its own, so that one that dies takes nothing else along."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import wait
from typing import Any

from simherd.executors.base import Executor, Lost, QueuedTasks, TaskFunction, Tasks
from simherd.executors.payload import KEPT, Payload, call_packed, pack, seal
from simherd.executors.pool import AHEAD, starting_workers
from simherd.executors.signals import leave_signals_to_client, starting_with_blocked
from simherd.progress.words import counted
from simherd.warden import warden

__all__ = ["ProcessExecutor"]

WORTH_A_WORKER_S = 1.0
EXIT_S = 1.0
KILL_S = 5.0
LEFT_TO_CLIENT = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2")
"""Signals that a terminal or a batch scheduler sends to all processes of a run."""


class ProcessExecutor(Executor):
    """Runs items in worker processes, which never import the user's ``__main__``.

    Each is a pool of one, so that it is known which item a worker ran when it ended: of those on their
    way to it, the first one. Another worker then takes its place, and the items that only waited.

    Parameters
    ----------
    workers : int
        Number of processes.
    is_most : bool, optional
        Whether fewer will do where the work is too little to pay for their start.
    """

    crosses_processes = True

    def __init__(self, workers: int, is_most: bool = False) -> None:
        self.is_most = is_most
        self._workers = [_Worker() for _ in range(workers)]

    @property
    def workers(self) -> int:  # type: ignore[override]
        """Items that run at once."""
        return len(self._workers)

    @property
    def description(self) -> str:  # type: ignore[override]
        """How many processes there are."""
        return counted(self.workers, "worker process", "worker processes")

    def expect(self, seconds: float | None) -> None:
        """Keep as many workers as have enough to do, those that run already first."""
        if self.is_most and seconds is not None:
            self._workers.sort(key=lambda worker: not worker.is_started)
            del self._workers[max(1, int(seconds / WORTH_A_WORKER_S)) :]

    @contextmanager
    def tasks(self, function: TaskFunction, shared: Any) -> Iterator[Tasks]:
        """Give tasks of which at most two are on their way to each worker."""
        payload = shared if isinstance(shared, Payload) else pack(shared)
        tasks = _ProcessTasks(self._workers, function, payload)
        try:
            yield tasks
        finally:
            tasks.close()

    def __enter__(self) -> ProcessExecutor:
        return self

    def __exit__(self, *exc_info: object) -> None:
        _stop(self._workers, 0.0 if isinstance(exc_info[1], BaseException) else EXIT_S)


class _Worker:
    """One worker process, which starts with its first item."""

    def __init__(self) -> None:
        self.is_lost = False
        self.futures: set[futures.Future[Any]] = set()
        """Items on their way to it."""
        self._known: deque[str] = deque(maxlen=KEPT)
        """Digests of the payloads that it has, in the order in which it forgets them."""
        self._pool: futures.ProcessPoolExecutor | None = None

    @property
    def is_started(self) -> bool:
        """Whether it has had an item."""
        return self._pool is not None

    def submit(self, function: TaskFunction, payload: Payload, item: Any) -> futures.Future[Any]:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = futures.ProcessPoolExecutor(1, mp_context=context, initializer=_start_worker)
        sent = replace(payload, data=None, origin=None) if payload.digest in self._known else payload
        with starting_workers(), starting_with_blocked(*LEFT_TO_CLIENT):
            future = self._pool.submit(call_packed, function, sent, seal(item))
        if sent is payload:
            self._known.append(payload.digest)
            future.add_done_callback(self._forget_if_cancelled(payload.digest))
        self.futures.add(future)
        future.add_done_callback(self.futures.discard)
        return future

    def _forget_if_cancelled(self, digest: str) -> Callable[[futures.Future[Any]], None]:
        """Return what is called with the item that takes a payload along: it never leaves if cancelled."""

        def ended(future: futures.Future[Any]) -> None:
            if future.cancelled() and digest in self._known:
                self._known.remove(digest)

        return ended

    def shut_down(self) -> list[Any]:
        """Tell the process to end, and return it if it has started."""
        if self._pool is None:
            return []
        processes = list((getattr(self._pool, "_processes", None) or {}).values())
        self._pool.shutdown(wait=False, cancel_futures=True)
        return processes


def _stop(workers: Sequence[_Worker], seconds: float) -> None:
    """End workers, those that have not ended after some time in the middle of what they do.

    A thread or process that a simulation left behind would keep a worker for ever, and one that waits for a
    file system does not even end when it is killed.
    """
    processes = [process for worker in workers for process in worker.shut_down()]
    deadline = time.monotonic() + seconds
    for process in processes:
        process.join(max(deadline - time.monotonic(), 0.0))
        process.kill()
    deadline = time.monotonic() + KILL_S
    for process in processes:
        process.join(max(deadline - time.monotonic(), 0.0))


class _ProcessTasks(QueuedTasks["futures.Future[Any]"]):
    def __init__(self, workers: list[_Worker], function: TaskFunction, payload: Payload) -> None:
        super().__init__(AHEAD * len(workers))
        self._workers = workers
        self._function = function
        self._payload = payload
        self._worker_of: dict[futures.Future[Any], _Worker] = {}

    def _start(self, item: Any) -> futures.Future[Any]:
        worker = min(self._workers, key=lambda one: len(one.futures))
        try:
            future = worker.submit(self._function, self._payload, item)
        except futures.BrokenExecutor:
            worker = self._replace(worker)
            future = worker.submit(self._function, self._payload, item)
        self._worker_of[future] = worker
        return future

    def _replace(self, worker: _Worker) -> _Worker:
        """Put a new worker in the place of one that ended."""
        _stop([worker], 0.0)
        place = self._workers.index(worker)
        self._workers[place] = _Worker()
        return self._workers[place]

    def _settled(self, future: futures.Future[Any]) -> Iterator[tuple[Any, Any]]:
        worker = self._worker_of.pop(future)
        if not isinstance(future.exception(), futures.BrokenExecutor):
            yield from super()._settled(future)
            return
        item, was_lost, worker.is_lost = self._items.pop(future), worker.is_lost, True
        if worker in self._workers:
            self._replace(worker)
        if was_lost:
            self.submit(item)
        else:
            yield item, Lost("the process ended abruptly")

    def _result(self, future: futures.Future[Any]) -> Any:
        return future.result()

    def close(self) -> None:
        for future in self._items:
            future.cancel()


def _start_worker() -> None:
    """Leave signals to the parent, which ends its workers, and end when it is gone."""
    warden()
    leave_signals_to_client(*LEFT_TO_CLIENT)
    threading.Thread(target=_end_with_parent, name="simherd-parent", daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)

"""Worker processes of this machine, each on its own, so that one that dies takes nothing else along."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent import futures
from dataclasses import replace
from multiprocessing.connection import wait
from typing import Any

from simherd.executors.base import TaskFunction
from simherd.executors.own_workers import OwnWorker, OwnWorkersExecutor, OwnWorkerTasks
from simherd.executors.payload import KEPT, Payload, call_packed, seal
from simherd.executors.pool import starting_workers
from simherd.executors.signals import leave_signals_to_client, starting_with_blocked
from simherd.executors.silence import Silence
from simherd.executors.worker_process import WorkerContext, WorkerProcess
from simherd.progress.words import counted
from simherd.warden import warden

__all__ = ["ProcessExecutor"]

WORTH_A_WORKER_S = 1.0
EXIT_S = 1.0
KILL_S = 5.0
POLL_S = 1.0
PULSE_S = 1.0
"""Time between two signs of life of a worker, in s."""
LEFT_TO_CLIENT = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2")
"""Signals that a terminal or a batch scheduler sends to all processes of a run."""


class ProcessExecutor(OwnWorkersExecutor["_Worker"]):
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

    def __init__(self, workers: int, is_most: bool = False) -> None:
        super().__init__(workers)
        self.is_most = is_most

    def _new_worker(self) -> _Worker:
        return _Worker()

    @property
    def description(self) -> str:  # type: ignore[override]
        """How many processes there are."""
        return counted(self.workers, "worker process", "worker processes")

    def expect(self, seconds: float | None) -> None:
        """Keep as many workers as have enough to do, those that run already first."""
        if self.is_most and seconds is not None:
            self._workers.sort(key=lambda worker: not worker.is_started)
            del self._workers[max(1, int(seconds / WORTH_A_WORKER_S)) :]

    def _tasks(self, function: TaskFunction, payload: Payload, silence_s: float | None) -> _ProcessTasks:
        return _ProcessTasks(self._workers, function, payload, silence_s)

    def stop(self, seconds: float = 0.0) -> None:
        """End all processes; new ones start with the next items.

        Parameters
        ----------
        seconds : float, optional
            Time that they have to end by themselves, in s.
        """
        _stop([*self._workers, *self._reserve], seconds)
        super().stop()

    def __exit__(self, *exc_info: object) -> None:
        self.stop(0.0 if isinstance(exc_info[1], BaseException) else EXIT_S)


class _Worker(OwnWorker):
    """One worker process, which starts with its first item."""

    gone = (futures.BrokenExecutor,)

    def __init__(self) -> None:
        super().__init__()
        self._known: deque[str] = deque(maxlen=KEPT)
        """Digests of the payloads that it has, in the order in which it forgets them."""
        self._pool: futures.ProcessPoolExecutor | None = None
        self._context = WorkerContext()
        self._pulse = self._context.RawValue("d", 0.0)

    @property
    def is_started(self) -> bool:
        """Whether it has had an item."""
        return self._pool is not None

    @property
    def last_sign(self) -> float:
        """When it last gave a sign of life; 0 while it starts."""
        return float(self._pulse.value)

    def submit(self, function: TaskFunction, payload: Payload, item: Any) -> futures.Future[Any]:
        if self._pool is None:
            self._pool = futures.ProcessPoolExecutor(
                1, mp_context=self._context, initializer=_start_worker, initargs=(self._pulse,)
            )
            self._pool._call_queue.cancel_join_thread()  # type: ignore[attr-defined]  # nobody may ever read it
        sent = replace(payload, data=None, origin=None) if payload.digest in self._known else payload
        with starting_workers(), starting_with_blocked(*LEFT_TO_CLIENT):
            future = self._pool.submit(call_packed, function, sent, seal(item))
        if sent is payload:
            self._known.append(payload.digest)
            future.add_done_callback(self._forget_if_cancelled(payload.digest))
        return self._count(future)

    def _forget_if_cancelled(self, digest: str) -> Callable[[futures.Future[Any]], None]:
        """Return what is called with the item that takes a payload along: it never leaves if cancelled."""

        def ended(future: futures.Future[Any]) -> None:
            if future.cancelled() and digest in self._known:
                self._known.remove(digest)

        return ended

    def give_up(self, why: str) -> None:
        """End the process, or abandon it; its items then fail as if it had ended by itself."""
        self.end = why
        if self._pool is not None and self._context.process is not None:
            _kill([self._context.process])
            self._pool.shutdown(wait=False)  # which makes the pool look at the process

    def stop(self) -> None:
        """End it at once."""
        _stop([self], 0.0)

    def shut_down(self) -> list[WorkerProcess]:
        """Tell the process to end, and return it if it has started."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        return [] if self._context.process is None else [self._context.process]


def _stop(workers: Sequence[_Worker], seconds: float) -> None:
    """End workers, those that have not ended after some time in the middle of what they do.

    A thread or process that a simulation left behind would keep a worker for ever.
    """
    processes = [process for worker in workers for process in worker.shut_down()]
    deadline = time.monotonic() + seconds
    for process in processes:
        process.join(max(deadline - time.monotonic(), 0.0))
    _kill(processes)


def _kill(processes: Sequence[WorkerProcess]) -> None:
    """Kill processes, and abandon those that do not even end then: they wait for a file system that hangs."""
    for process in processes:
        process.kill()
    deadline = time.monotonic() + KILL_S
    for process in processes:
        process.join(max(deadline - time.monotonic(), 0.0))
        if process.is_alive():
            process.abandon()


class _ProcessTasks(OwnWorkerTasks["_Worker"]):
    def __init__(
        self, workers: list[_Worker], function: TaskFunction, payload: Payload, silence_s: float | None
    ) -> None:
        super().__init__(workers, _Worker, function, payload)
        self._silence: Silence[_Worker] = Silence(silence_s)

    def finished(self, timeout: float | None = None) -> list[tuple[Any, Any]]:
        """Return what has ended, and give up workers that give no sign of life."""
        ended = super().finished(POLL_S if timeout is None else timeout)
        signs = {one: one.last_sign for one in self._workers if one.futures and one.last_sign}
        for worker in self._silence.beyond_limit(signs):
            worker.give_up(f"the process gave no sign of life for {self._silence.limit_s:.0f} s")
        return ended


def _start_worker(pulse: Any) -> None:
    """Leave signals to the parent, which ends its workers, give signs of life, and end when it is gone."""
    warden()
    leave_signals_to_client(*LEFT_TO_CLIENT)
    threading.Thread(target=_live_with_parent, args=[pulse], name="simherd-parent", daemon=True).start()


def _live_with_parent(pulse: Any) -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    pulse.value = time.monotonic()
    while not wait([parent.sentinel], PULSE_S):
        pulse.value = time.monotonic()
    os._exit(1)

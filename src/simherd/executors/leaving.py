"""Workers that leave in time: none begins what it could not finish before its job's walltime is over.

The job script says in ``SIMHERD_ENDS_AT`` when its workers have to be gone. A worker that is asked to begin
something longer than what is left takes no more work, finishes what runs, and ends; the client gives its
work to others.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable
from typing import Any

from simherd.executors.payload import Payload, call_packed
from simherd.executors.thread_watch import report_threads
from simherd.threads import guard_task

__all__ = ["ENDS_AT", "Refused", "call_in_time", "leave_when_due"]

ENDS_AT = "SIMHERD_ENDS_AT"
"""Environment variable: when workers have to be gone, in s since 1970."""
STAGGER = 0.1
"""Share of its life by which a worker may leave earlier than others, so that not all leave at once."""
HEADROOM = 1.5
"""How much longer than before a task may take."""
LOOK_S = 0.2


class Refused:
    """What a worker that is about to leave gives in place of a result."""


class _Pace:
    """The longest time that a task of this process took per simulation, in s."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._lock = threading.Lock()

    def add(self, simulations: int, seconds: float) -> None:
        with self._lock:
            self.seconds = max(self.seconds, seconds / max(simulations, 1))


_pace = _Pace()
_born = time.time()


def call_in_time(function: Callable[[Any, Any], Any], payload: Payload, item: Any) -> Any:
    """Call a function with what was packed and an item, or return `Refused` if there is no time left for it.

    A first item, and one that would not fit into the whole life of a worker, is begun in any case: with
    checkpoints, another worker goes on with it.
    """
    ends_at, size = _ends_at(), getattr(item, "size", 1)
    needed = HEADROOM * _pace.seconds * size
    if ends_at is not None and ends_at - time.time() < needed < ends_at - _born:
        _leave()
        return Refused()
    begun = time.perf_counter()
    guard_task()
    result = call_packed(function, payload, item)
    report_threads()
    _pace.add(size, time.perf_counter() - begun)
    return result


def _ends_at() -> float | None:
    text = os.environ.get(ENDS_AT, "")
    return float(text) if text.isdigit() else None


def _leave() -> None:
    """Let the worker of this task end when its other tasks have."""
    from distributed import get_worker

    worker = get_worker()
    worker.loop.add_callback(_end_tidily, worker)


def leave_when_due(worker: Any) -> None:
    """Let a worker leave when its time is over, some of them a little earlier than others."""
    ends_at = _ends_at()
    if ends_at is not None:
        life = max(ends_at - time.time(), 0.0)
        worker.loop.call_later(life * (1 - STAGGER * random.random()), _end_tidily, worker)


async def _end_tidily(worker: Any) -> None:
    """Take no more tasks, wait for those that run, and end worker and nanny."""
    import asyncio

    from distributed.core import Status

    if worker.status != Status.running:
        return
    worker.status = Status.paused
    while worker.state.executing_count:
        await asyncio.sleep(LOOK_S)
    await worker.close_gracefully(restart=False, reason="its job ends soon")

"""Workers that leave in time: none begins what it could not finish before its job's walltime is over.

The job script says in ``SIMHERD_ENDS_AT`` when its workers have to be gone. A worker that is asked to begin
something longer than what is left takes no more work, finishes what runs, and ends; the client gives its
work to others. What is longer than any life of a worker is begun by those that are new.
"""

from __future__ import annotations

import os
import random
import time
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any

from simherd.executors.payload import KEPT, Payload, Sealed, call_packed
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
RETIRE_S = 30.0
"""Time that other workers have to take what a worker that leaves holds, in s."""
REASON = "its job ends soon"
REMEMBERED = 16
"""Tasks of late that tell how long one may take: one that was slow for once is forgotten."""


class Refused:
    """What a worker that is about to leave gives in place of a result."""


class _Pace:
    """How long tasks of a run took in this process."""

    def __init__(self) -> None:
        self._latest: deque[tuple[int, float]] = deque(maxlen=REMEMBERED)
        self._later: deque[tuple[int, float]] = deque(maxlen=REMEMBERED)

    @property
    def is_known(self) -> bool:
        """Whether a task has ended."""
        return bool(self._latest)

    def add(self, simulations: int, seconds: float, is_first: bool) -> None:
        """Take a task into account; one that began before any had ended also loaded what it needs."""
        self._latest.append((simulations, seconds))
        if not is_first:
            self._later.append((simulations, seconds))

    def seconds_of(self, simulations: int) -> float:
        """Return how long a task may take: as long as the longest of late, more if it is larger."""
        latest, later = tuple(self._latest), tuple(self._later)
        longest = max((seconds * min(1.0, simulations / size) for size, seconds in latest), default=0.0)
        size = sum(size for size, _ in later)
        mean = sum(seconds for _, seconds in later) / size if size else 0.0
        return max(longest, mean * simulations)


@lru_cache(maxsize=KEPT)
def _pace_of(digest: str) -> _Pace:
    """Return the pace of the run that shares what was packed."""
    return _Pace()


_leaving: weakref.WeakSet[Any] = weakref.WeakSet()


def call_in_time(function: Callable[[Any, Any], Any], payload: Payload, item: Sealed) -> Any:
    """Call a function with what was packed and an item, or return `Refused` if there is no time left for it.

    A worker begins the first item of a run in any case, also one that does not fit into its life: with
    checkpoints, the next worker goes on with it.
    """
    ends_at, size, pace = _ends_at(), max(item.size, 1), _pace_of(payload.digest)
    if ends_at is not None and ends_at - time.time() < HEADROOM * pace.seconds_of(size):
        _leave()
        return Refused()
    begun, is_first = time.perf_counter(), not pace.is_known
    guard_task()
    result = call_packed(function, payload, item)
    report_threads()
    pace.add(size, time.perf_counter() - begun, is_first)
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

    if worker in _leaving or worker.status not in (Status.running, Status.paused):
        return
    _leaving.add(worker)
    if getattr(worker, "memory_manager", None) is not None:
        worker.memory_manager.memory_pause_fraction = False  # or it lets the worker run again
    worker.status = Status.paused
    while worker.state.executing_count:
        await asyncio.sleep(LOOK_S)
    with suppress(TimeoutError):  # the other workers hang, or are paused
        await asyncio.wait_for(_retire(worker), RETIRE_S)
    await worker.close(nanny=True, reason=REASON)


async def _retire(worker: Any) -> None:
    """Let the scheduler give what the worker has, in memory and to do, to others.

    If there is nobody to take what is in its memory, the last worker stays known to the scheduler, and what
    it was to do would count as ended by it: so it is removed as one that was expected to leave.
    """
    leaving = {"stimulus_id": f"{REASON}-{time.time()}"}
    await worker.scheduler.retire_workers(workers=[worker.address], close_workers=False, **leaving)
    await worker.scheduler.unregister(address=worker.address, expected=True, close=False, **leaving)

"""How quick a run is and how long it will take."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field

from simherd.events import BlockFinished
from simherd.progress.words import counted, format_duration, format_rate

__all__ = ["Tally"]

WINDOW_S = 20.0
WINDOW_BLOCKS = 4
ENTRIES = 200
WEIGHT_OF_NEWEST = 0.2


@dataclass(slots=True)
class Tally:
    """What has come back so far.

    The rate is that of a recent window, which is long enough to hold several blocks of each worker: so it
    follows when simulations become slower, and a slow start is soon forgotten.
    """

    simulations: int
    """Simulations that are to run."""
    done: int = 0
    """Simulations that finished."""
    failed: int = 0
    """Simulations that failed."""
    workers: dict[str, float] = field(default_factory=dict)
    """Workers that a block came back from of late, and when, in s of the monotonic clock."""
    started: float = field(default_factory=time.monotonic)
    """When the run started, in s of the monotonic clock."""
    block_s: float = 0.0
    """Time that blocks take on their workers, the newest ones counted most, in s."""
    arrivals: deque[tuple[float, int]] = field(default_factory=deque)
    """When blocks came back, in s of the monotonic clock, and how many simulations had come by then."""

    def add(self, event: BlockFinished) -> None:
        """Count a block."""
        self.done += event.done
        self.failed += event.failed
        if event.worker:
            self._follow(event)

    def _follow(self, event: BlockFinished) -> None:
        """Let a block that a worker came back with tell how quick the run is."""
        weight = WEIGHT_OF_NEWEST if self.block_s else 1.0
        self.block_s += weight * (event.seconds - self.block_s)
        self._remember(event.worker, time.monotonic())

    def _remember(self, worker: str, now: float) -> None:
        """Note a block, and forget those that lie before the window."""
        window = max(WINDOW_S, WINDOW_BLOCKS * self.block_s)
        self.workers[worker] = now
        self.workers = {name: when for name, when in self.workers.items() if when > now - window}
        if not self.arrivals:
            self.arrivals.append((self.started, 0))
        if len(self.arrivals) > 2 and now - self.arrivals[-2][0] < window / ENTRIES:
            self.arrivals.pop()
        self.arrivals.append((now, self.settled))
        while len(self.arrivals) > 2 and self.arrivals[1][0] <= now - window:
            self.arrivals.popleft()

    @property
    def settled(self) -> int:
        """Simulations that came to an end, good or bad."""
        return self.done + self.failed

    @property
    def elapsed_s(self) -> float:
        """Time since the start, in s."""
        return time.monotonic() - self.started

    @property
    def mean_rate(self) -> float:
        """Simulations per s since the start."""
        return self.settled / max(self.elapsed_s, 1e-9)

    @property
    def rate(self) -> float:
        """Simulations per s of late."""
        if not self.arrivals:
            return 0.0
        (since, before), (until, now) = self.arrivals[0], self.arrivals[-1]
        return (now - before) / max(until - since, 1e-9)

    @property
    def speed(self) -> str:
        """Rate, workers and time left, in words; "" before anything is known."""
        if not self.rate:
            return ""
        workers = f" on {counted(len(self.workers), 'worker')}" if self.workers else ""
        left = self.remaining_s
        return f"{format_rate(self.rate)}{workers}" + (f", {format_duration(left)} left" if left else "")

    @property
    def remaining_s(self) -> float | None:
        """Time left at the rate of late, in s; None before it is known."""
        return (self.simulations - self.settled) / self.rate if self.rate else None

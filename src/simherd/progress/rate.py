"""How quick a run is and how long it will take."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from simherd.events import BlockFinished
from simherd.progress.words import counted, format_duration, format_rate

__all__ = ["Tally"]


@dataclass(slots=True)
class Tally:
    """What has come back so far."""

    simulations: int
    """Simulations in the batch."""
    done: int = 0
    """Simulations that finished."""
    failed: int = 0
    """Simulations that failed."""
    workers: set[str] = field(default_factory=set)
    """Workers that a block came back from."""
    started: float = field(default_factory=time.monotonic)
    """When the run started, in s of the monotonic clock."""

    def add(self, event: BlockFinished) -> None:
        """Count a block."""
        self.done += event.done
        self.failed += event.failed
        self.workers.add(event.worker)

    @property
    def settled(self) -> int:
        """Simulations that came to an end, good or bad."""
        return self.done + self.failed

    @property
    def elapsed_s(self) -> float:
        """Time since the start, in s."""
        return time.monotonic() - self.started

    @property
    def rate(self) -> float:
        """Simulations per s."""
        return self.settled / max(self.elapsed_s, 1e-9)

    @property
    def speed(self) -> str:
        """Rate, workers and time left, in words."""
        workers = f" on {counted(len(self.workers), 'worker')}" if self.workers else ""
        left = self.remaining_s
        return f"{format_rate(self.rate)}{workers}" + (f", {format_duration(left)} left" if left else "")

    @property
    def remaining_s(self) -> float | None:
        """Time left at the present rate, in s; None before the first block."""
        return (self.simulations - self.settled) / self.rate if self.settled else None

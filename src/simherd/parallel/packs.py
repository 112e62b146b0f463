"""How many tasks travel together: long enough to be worth sending, short enough to share evenly."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PackSizer"]

PACK_S = 0.2
LEAST_SHARE = 0.05
"""Share of that work which is worth a pack of its own, also at the end."""
SHARES = 2
"""Packs into which the share of each worker is cut: it takes half of it, then half of the rest."""
WEIGHT_OF_NEWEST = 0.3


@dataclass(slots=True)
class PackSizer:
    """Sizes of packs, from how long tasks have taken so far."""

    workers: int
    """Packs that run at once."""
    pack_s: float = PACK_S
    """Work in a pack, in s: 0.2 where sending one takes a millisecond, up to 2 where it takes longer."""
    task_s: float | None = None
    """Time that a task takes, in s; None before one has come back."""

    def add(self, tasks: int, seconds: float) -> None:
        """Take tasks that have come back into account, the newest ones most.

        Parameters
        ----------
        tasks : int
            How many.
        seconds : float
            Time that they took together, in s.
        """
        if tasks:
            newest = seconds / tasks
            weight = 1.0 if self.task_s is None else WEIGHT_OF_NEWEST
            self.task_s = weight * newest + (1 - weight) * (self.task_s or 0.0)

    def next(self, left: int) -> int:
        """Return how many tasks the next pack has, at least 1.

        Parameters
        ----------
        left : int
            Tasks that have not been sent, at least 1.
        """
        if self.task_s is None:
            return 1
        task_s = max(self.task_s, 1e-9)
        by_share = left / (SHARES * self.workers)
        return max(1, round(min(self.pack_s / task_s, max(by_share, LEAST_SHARE * self.pack_s / task_s))))

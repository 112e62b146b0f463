"""How many simulations one task runs: long enough to be worth sending, short enough to share evenly."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["Pace", "TaskSizer", "part_size"]

TASK_S = 2.0
TASKS_PER_WORKER = 4
MEMORY_PER_TASK = 256 * 2**20
WEIGHT_OF_NEWEST = 0.3
PART_BYTES = 64 * 2**10
PART_SIZES = (16, 8192)
LOOPED_PART_SIZE = 1024


def part_size(nbytes: int, is_looped: bool) -> int:
    """Return how many simulations are advanced together.

    So many that calling NumPy costs little beside computing, and so few that what it computes with stays in
    the cache of a core.

    Parameters
    ----------
    nbytes : int
        Bytes of the largest value in one simulation.
    is_looped : bool
        Whether each simulation has process objects of its own, too, which take memory.
    """
    least, most = PART_SIZES
    size = min(max(PART_BYTES // max(nbytes, 1), least), most)
    return min(size, LOOPED_PART_SIZE) if is_looped else size


@dataclass(slots=True)
class Pace:
    """How long a simulation takes, as measured in the blocks that came back."""

    seconds: float | None = None
    """Time per simulation, in s; None before anything is known."""

    def add(self, simulations: int, seconds: float) -> None:
        """Take a block into account, the newest ones most."""
        if simulations:
            newest = seconds / simulations
            weight = 1.0 if self.seconds is None else WEIGHT_OF_NEWEST
            self.seconds = weight * newest + (1 - weight) * (self.seconds or 0.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskSizer:
    """Says how many chunks the next task has."""

    chunk: int
    """Simulations in a chunk."""
    nbytes: int
    """Bytes of all outputs of one simulation, and of the inputs that are its own."""
    workers: int
    """Tasks that run at once."""
    is_fixed: bool = False
    """Whether a task is one chunk, because the user said how large."""

    def chunks(self, left: int, pace: Pace) -> int:
        """Return the chunks of the next task, at least 1.

        About two seconds of work, less towards the end, so that all workers finish together, and never
        more than 256 MiB of outputs.

        Parameters
        ----------
        left : int
            Simulations not given to a worker.
        pace : Pace
            How long they take.
        """
        if self.is_fixed or pace.seconds is None:
            return 1
        by_time = TASK_S / max(pace.seconds * self.chunk, 1e-9)
        by_share = left / (TASKS_PER_WORKER * self.workers * self.chunk)
        by_memory = MEMORY_PER_TASK / max(self.nbytes * self.chunk, 1)
        return max(1, math.floor(min(by_time, by_share, by_memory)))

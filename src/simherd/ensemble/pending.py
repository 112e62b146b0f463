"""The simulations that are still to run, and the blocks that they are cut into."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np

from simherd.engine.block import Block, Numbers
from simherd.engine.plan import Array
from simherd.model.graph import Key

__all__ = ["Pending", "count_blocks", "split"]

PARTS = 8


def count_blocks(simulations: int, size: int) -> int:
    """Return the number of blocks of one size."""
    return -(-simulations // size)


class Pending:
    """The simulations of a batch that have not been given to a worker.

    Parameters
    ----------
    numbers : range or array of int
        Their positions in the batch, in rising order.
    chunk : int
        Simulations in a chunk of the store: blocks end where chunks do, wherever they can.
    inputs : mapping
        Inputs that differ, with all simulations of the batch along the first axis.
    """

    def __init__(self, numbers: Numbers, chunk: int, inputs: Mapping[Key, Array]) -> None:
        self._numbers = numbers
        self._chunk = chunk
        self._inputs = inputs
        self._returned: deque[Numbers] = deque()

    def __len__(self) -> int:
        return len(self._numbers) + sum(map(len, self._returned))

    def take(self, chunks: int) -> Block:
        """Return the next block, of so many chunks at most; simulations that were put back come first."""
        numbers = self._returned.popleft() if self._returned else self._take(chunks * self._chunk)
        rows = slice(numbers.start, numbers.stop) if isinstance(numbers, range) else numbers
        return Block(numbers=numbers, inputs={key: values[rows] for key, values in self._inputs.items()})

    def _take(self, count: int) -> Numbers:
        if count < len(self._numbers):
            count = self._up_to_a_chunk(count) or count
        taken, self._numbers = self._numbers[:count], self._numbers[count:]
        return as_range(taken)

    def _up_to_a_chunk(self, count: int) -> int:
        """Return how many of the next `count` simulations come before the last chunk that they touch."""
        boundary = self._numbers[count] // self._chunk * self._chunk
        if isinstance(self._numbers, range):
            return max(boundary - self._numbers.start, 0)
        return int(np.searchsorted(self._numbers, boundary))

    def put_back(self, parts: Sequence[Numbers]) -> None:
        """Give simulations back, each part as a block of its own."""
        self._returned.extend(as_range(part) for part in parts)


def as_range(numbers: Numbers) -> Numbers:
    """Return simulations as a range if none is left out."""
    first, last = int(numbers[0]), int(numbers[-1])
    return range(first, last + 1) if last - first + 1 == len(numbers) else numbers


def split(numbers: Numbers, suspect: int | None) -> list[Numbers]:
    """Return the parts of a block whose worker ended.

    The simulation at which it was stands alone, where that is known. Else there are up to eight parts:
    the fewest rounds of dying workers until the culprit is alone.
    """
    if suspect is not None and suspect in numbers:
        place = int(np.searchsorted(numbers, suspect))
        parts = [numbers[:place], numbers[place : place + 1], numbers[place + 1 :]]
    else:
        size = -(-len(numbers) // PARTS)
        parts = [numbers[start : start + size] for start in range(0, len(numbers), size)]
    return [part for part in parts if len(part)]

"""Outputs of a long simulation that are written while it runs, a chunk of the clock at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from simherd.engine.columns import Column
from simherd.engine.plan import Array, Tap

__all__ = ["Flush", "StreamedColumn"]

Flush: TypeAlias = Callable[["StreamedColumn", int, Array], None]

CHUNK_BYTES = 4 * 2**20
_KEPT = ("start", "is_streaming", "saves", "known", "rounds", "shape")
"""What a checkpoint says of a window besides its values."""


class StreamedColumn(Column):
    """The values of one output of one simulation, of which only a window is kept in memory.

    An output whose values all fit into its share of the memory is kept whole. Of a larger one as many
    values as make a chunk are kept; when they are complete, they are handed on and forgotten.

    Parameters
    ----------
    tap : Tap
        The output.
    budget : int
        Bytes that it may take.
    chunk : int, optional
        Values of a chunk of the store, where that is given: a window is whole chunks.
    flush : callable
        Called with the column, the position of the first value and the values of a complete window.
    """

    __slots__ = ("budget", "chunk", "flush", "is_streaming", "start", "tap")

    def __init__(self, tap: Tap, budget: int, chunk: int | None, flush: Flush) -> None:
        super().__init__(
            tap.name, 1, tap.saves, tap.dtype, tap.shape, tap.sizes, tap.fill_value, not tap.has_found_dtype
        )
        self.tap = tap
        self.budget = budget
        self.chunk = chunk
        self.flush = flush
        self.start = 0
        self.is_streaming = False

    def put(self, row: int, position: int, value: Any) -> None:
        """Save a value; hand the window on first if it is full."""
        if self.is_streaming and position - self.start == self.saves:
            self.hand_on()
        super().put(row, position - self.start, value)

    def next_free(self, row: int) -> int:
        """Return the position at which the next value is saved."""
        return self.start + self.filled[row]

    def kept(self, row: int) -> Any:
        """Return the window, and where it stands."""
        return {name: getattr(self, name) for name in _KEPT}, super().kept(row)

    def put_back(self, row: int, saved: Any) -> None:
        """Go on with a window; what was handed on before is kept elsewhere."""
        own, window = saved
        for name, value in own.items():
            setattr(self, name, value)
        super().put_back(row, window)

    def hand_on(self) -> None:
        """Hand on what is in the window, and begin the next one."""
        assert self.values is not None
        count = self.filled[0]
        if count:
            if self.known is None:
                self.known, self.rounds = self.values.dtype, False
            self.flush(self, self.start, self.values[0, :count])
            self.start += count
            self.clear(0)

    def _allocate(self, dtype: np.dtype[Any]) -> None:
        nbytes = int(np.prod(self.shape or ())) * dtype.itemsize
        if self.values is None and nbytes * self.saves > self.budget:
            self.is_streaming = True
            self.saves = self._window(nbytes)
        super()._allocate(dtype)

    def _window(self, nbytes: int) -> int:
        """Return how many values of a number of bytes are kept: one chunk, or a few if that is small."""
        window = max(1, min(CHUNK_BYTES, self.budget) // nbytes)
        if self.chunk is None:
            return window
        return max(self.chunk, window // self.chunk * self.chunk)

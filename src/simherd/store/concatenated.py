"""Outputs whose values differ in size, stored one after another: no place is lost on filling them up.

The simulations of a chunk have a row of a 2-D array: their values, one simulation after another. So a block
that owns its chunks owns its row, and writers never meet. Two arrays along the batch, and along the clock if
the output has one, say where each value begins in its row and how large it is. The row follows from the
number of the simulation, a coordinate along the batch. So readers find the values of any selection.

A row is declared far longer than it is expected to get: what nobody writes has no file, so that costs
nothing. A block that needs more comes back to the client, which declares more; after the run rows are as
long as the longest one. What a simulation has never moves: the simulations of a row that run later, or once
more, are put behind it, so that the others can be read all the time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from simherd.engine.block import Numbers
from simherd.engine.plan import Array
from simherd.engine.sized import Sized

__all__ = [
    "LAYOUT",
    "OWN_DIMS",
    "PER_ROW",
    "ROOM",
    "ConcatenatedArray",
    "item_dim",
    "row_dim",
    "size_name",
    "start_name",
]

LAYOUT = "layout"
"""Attribute that says how the values of an output lie; only those that are concatenated have it."""
PER_ROW = "simulations_per_row"
"""Attribute with the number of simulations in a row."""
OWN_DIMS = "own_dimensions"
"""Attribute with the dimensions of a value."""
ROOM = 8
"""How many times as long as expected a row is declared."""
GROWTH = 1.5


STARTS = "where each value begins in its row"
"""How the description of starts begins; in stores of earlier versions they are those of simulations."""


def start_name(name: str) -> str:
    """Return the name of the array that says where each value begins in the row of its simulation."""
    return f"{name}__start"


def row_dim(name: str) -> str:
    """Return the dimension of the rows of an output."""
    return f"{name}__row"


def item_dim(name: str) -> str:
    """Return the dimension of the values in a row."""
    return f"{name}__item"


def size_name(name: str) -> str:
    """Return the name of the array that says how large each value is."""
    return f"{name}__size"


@dataclass(slots=True)
class ConcatenatedArray:
    """The arrays of one output, Zarr's or NumPy's."""

    values: Any
    """Its values, shape (rows, items)."""
    start: Any
    """Where each value begins in its row, shape (simulations[, saves]); in stores of earlier versions where
    the first one does, shape (simulations,)."""
    size: Any
    """How large each value is, shape (simulations[, saves][, dimensions])."""
    per_row: int
    """Simulations in a row."""
    dimensions: int
    """Dimensions of a value."""
    fill_value: Any
    """What stands where there are no values."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of simulations."""
        return (int(self.start.shape[0]),)

    @property
    def items(self) -> int:
        """Numbers for which there is room in a row."""
        return int(self.values.shape[1])

    def resize(self, shape: tuple[int, ...]) -> None:
        """Make place for more simulations."""
        self.values.resize((-(-shape[0] // self.per_row), self.items))
        self.start.resize((*shape, *self.start.shape[1:]))
        self.size.resize((*shape, *self.size.shape[1:]))

    def needed(self, numbers: Numbers, sized: Sized) -> int:
        """Return the numbers for which there has to be room in a row."""
        return max((end for *_, end in self._places(numbers, sized.counts)), default=0)

    def make_room(self, items: int) -> None:
        """Let rows have room for so many numbers, and some more: that of arrays of Zarr costs nothing."""
        if items <= self.items:
            return
        items = max(items, int(GROWTH * self.items))
        if isinstance(self.values, np.ndarray):
            longer = np.full((self.values.shape[0], items), self.fill_value, self.values.dtype)
            longer[:, : self.items] = self.values
            self.values = longer
        else:
            self.values.resize((self.values.shape[0], items))

    def used(self) -> int:
        """Return how long the longest row is."""
        return self._end_of(slice(None))

    def nothing(self, simulations: int) -> Sized:
        """Return what simulations have that saved no value."""
        saves = int(np.prod(self.size.shape[1:])) // self.dimensions
        sizes = np.zeros((simulations, saves, self.dimensions), np.int64)
        return Sized(np.empty((simulations, saves, *[0] * self.dimensions), self.values.dtype), sizes)

    def write(self, numbers: Numbers, sized: Sized) -> list[Any]:
        """Write values, where they begin and their sizes, and return the arrays; there is room for them."""
        firsts = np.zeros(len(numbers), np.int64)
        counts = sized.counts
        for row, members, begin, end in self._places(numbers, counts):
            firsts[members] = begin + np.cumsum(counts[members]) - counts[members]
            if end > begin:
                self._write_row(row, begin, sized.flat(members))
        where = slice(numbers.start, numbers.stop) if isinstance(numbers, range) else numbers
        starts = firsts if self.start.ndim == 1 else firsts[:, None] + sized.offsets
        for array, values in ((self.start, starts), (self.size, sized.sizes)):
            target = array if isinstance(where, slice) else getattr(array, "oindex", array)
            target[where] = values.reshape(len(numbers), *array.shape[1:])
        return [self.values, self.start, self.size]

    def _write_row(self, row: int, begin: int, values: Array) -> None:
        """Write whole chunks where a row begins, so that nothing has to be read before."""
        rest = 0 if begin else -len(values) % getattr(self.values, "chunks", (1, 1))[1]
        padded = np.full(len(values) + rest, self.fill_value, self.values.dtype)
        padded[: len(values)] = values
        padded = padded[: self.items - begin]
        self.values[row, begin : begin + len(padded)] = padded

    def _places(self, numbers: Numbers, counts: Array) -> Iterator[tuple[int, Array, int, int]]:
        """Yield each row, which of the simulations are in it, and where their values begin and end.

        A row all of whose simulations are here is written anew; else they come behind what it has.
        """
        rows = np.asarray(numbers) // self.per_row
        for row in np.unique(rows).tolist():
            members = np.flatnonzero(rows == row)
            first, last = row * self.per_row, min((row + 1) * self.per_row, self.shape[0])
            begin = 0 if len(members) == last - first else self._end_of(slice(first, last))
            yield row, members, begin, begin + int(counts[members].sum())

    def _end_of(self, simulations: slice) -> int:
        """Return where the values of the last one of some simulations end in its row."""
        return int(self.ends(simulations).max(initial=0))

    def ends(self, simulations: slice = slice(None)) -> Array:
        """Return where the values of each simulation end in its row; 0 for those without values."""
        starts, sizes = np.asarray(self.start[simulations]), np.asarray(self.size[simulations])
        counts = sizes.reshape(len(starts), -1, self.dimensions).prod(axis=2).sum(axis=1)
        firsts = starts if starts.ndim == 1 else starts[:, 0]
        return np.where(counts > 0, firsts + counts, 0)

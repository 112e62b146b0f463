"""Values of many simulations at once: which have an axis for them, how they are cut up and put together.

The simulations of a block lie along a leading axis, the batch axis. Whether a value has one follows from
the declared dimensions of its variable, never from the numbers in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from simherd.engine.columns import Column
from simherd.engine.plan import Array
from simherd.engine.values import as_array
from simherd.errors import OutputError
from simherd.model.dims import Dims

__all__ = ["EachRow", "RowColumn", "has_rows", "rows_of", "stack"]


class EachRow(list[Any]):
    """One value for each simulation, where these are objects or arrays of different shapes."""


def has_rows(value: Any, dims: Dims, size: int) -> bool:
    """Return whether a value has one row for each of `size` simulations.

    It does if it has one dimension more than one of the declared combinations and its first one has that
    size. Where combinations differ by one dimension, a value may be read both ways: then it has rows.
    """
    if isinstance(value, EachRow):
        return len(value) == size
    shape = np.shape(value)
    return bool(shape) and shape[0] == size and any(len(one) + 1 == len(shape) for one in dims)


def rows_of(value: Any) -> Sequence[Any]:
    """Return the rows of a value that has them, scalars as Python numbers, as a simulation gets them."""
    if isinstance(value, EachRow):
        return value
    array = _with_mask(value)
    return array.tolist() if array.ndim == 1 and array.dtype.kind not in "mM" else list(array)


def stack(values: Sequence[Any]) -> Any:
    """Return the values of all simulations as one array with a leading axis, or as `EachRow`."""
    arrays = [_with_mask(value) for value in values]
    first = arrays[0]
    if any(one.shape != first.shape or one.dtype == object for one in arrays):
        return EachRow(values)
    kinds = {one.dtype.kind for one in arrays}
    is_mixed = len(kinds) > 1 and not kinds <= set("iufc")
    if is_mixed:
        return EachRow(values)
    return np.ma.stack(arrays) if any(map(np.ma.isMaskedArray, arrays)) else np.stack(arrays)


def _with_mask(value: Any) -> Array:
    """Return a value as an array, which keeps the mask that it may have."""
    return value if isinstance(value, np.ma.MaskedArray) else np.asarray(value)


def _repeated(values: Array, size: int) -> Array:
    """Return values as those of each of some simulations."""
    shape = (size, *values.shape)
    repeated = np.broadcast_to(np.asarray(values), shape)
    if not isinstance(values, np.ma.MaskedArray):
        return repeated
    return np.ma.MaskedArray(repeated, np.broadcast_to(np.ma.getmaskarray(values), shape))


class RowColumn:
    """Some rows of a column, which get their values at once.

    Parameters
    ----------
    column : Column
        Where the values gather.
    start : int
        First of the rows.
    size : int
        Number of rows.
    dims : tuple of tuple of str
        Declared dimensions of the output.
    """

    __slots__ = ("column", "dims", "size", "start")

    def __init__(self, column: Column, start: int, size: int, dims: Dims) -> None:
        self.column = column
        self.start = start
        self.size = size
        self.dims = dims

    def put(self, row: int, position: int, value: Any) -> None:
        """Save a value of all rows; one without batch axis is that of each.

        Raises
        ------
        OutputError
            If its shape fits neither with nor without a batch axis.
        """
        if isinstance(value, EachRow) and len(value) == self.size:
            for place, one in enumerate(value, self.start):
                self.column.put(place, position, one)
        else:
            self.column.put_rows(self.start, position, self._with_rows(as_array(self.column.name, value)))

    def _with_rows(self, values: Array) -> Array:
        if has_rows(values, self.dims, self.size):
            return values
        if any(len(one) == values.ndim for one in self.dims):
            return _repeated(values, self.size)
        raise OutputError(
            f"Output {self.column.name!r} has a value of shape {values.shape} for {self.size} simulations "
            f"at once; its dimensions are {' or '.join(map(str, self.dims))}, with or without {self.size} "
            f"rows in front.",
            fix="let the first axis stand for the simulations.",
        )

    def next_free(self, row: int) -> int:
        """Return the position at which the next value is saved."""
        return self.column.next_free(self.start)

    def clear(self) -> None:
        """Forget what the rows saved."""
        for row in range(self.start, self.start + self.size):
            self.column.clear(row)

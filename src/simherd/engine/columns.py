"""Where the values of outputs gather while a block runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from simherd.engine.plan import Array
from simherd.engine.values import (
    as_array,
    as_kept,
    common_types,
    converted,
    fill_value_for,
    missing_in,
    rounded,
)
from simherd.errors import OutputError

__all__ = ["Column"]


def _matches(sizes: tuple[int | None, ...], shape: tuple[int, ...]) -> bool:
    return len(sizes) == len(shape) and all(s in (None, n) for s, n in zip(sizes, shape, strict=True))


def _shown(shapes: Sequence[tuple[int | None, ...]]) -> str:
    """Return shapes in words, with * for a size that may change."""
    texts = [str(tuple("*" if n is None else n for n in shape)) for shape in shapes]
    return " or ".join(texts).replace("'", "")


def _missing_among(values: Array) -> Any:
    """Return where texts and other objects are missing; values of other types say so themselves."""
    return missing_in(values) if values.dtype.kind == "O" else False


def _first_unfitting(array: Array, column: Column) -> Any:
    """Return the first of some values that a column does not hold."""
    for one in array.ravel():
        if column._fitting(np.asarray(one, array.dtype)) is None:
            return one
    return array.ravel()[0]


_PLAIN = (np.ndarray, float, int, bool, complex)


class Column:
    """The values of one output for the simulations of a block.

    The first value decides shape and type. A later one of a wider type widens the column, so that 5
    followed by 1.7 gives 5.0 and 1.7; a longer one makes it grow, and what shorter ones lack is filled
    up. A known type stays, and so does the size of a dimension that is known. No value changes: one that
    the type does not hold exactly is an error, except that a declared floating-point type rounds.

    Parameters
    ----------
    name : str
        Name of the output, for errors.
    size : int
        Simulations in the block.
    saves : int
        Values saved in each.
    dtype : dtype-like, optional
        The known type.
    shape : tuple of int, optional
        The shape to start with.
    sizes : sequence of tuple, optional
        For each number of dimensions that a value may have its sizes, None where they may change.
    fill_value : optional
        What stands where no value was saved; by default what `fill_value_for` says.
    rounds : bool, optional
        Whether the user declared the type: a floating-point one then rounds other numbers.
    """

    __slots__ = (
        "dtype",
        "fill_value",
        "filled",
        "has_gaps",
        "kind",
        "known",
        "name",
        "rounds",
        "saves",
        "shape",
        "size",
        "sizes",
        "values",
    )

    def __init__(
        self,
        name: str,
        size: int,
        saves: int,
        dtype: Any = None,
        shape: tuple[int, ...] | None = None,
        sizes: Sequence[tuple[int | None, ...]] = (),
        fill_value: Any = None,
        rounds: bool = True,
    ) -> None:
        self.name = name
        self.size = size
        self.saves = saves
        self.known = None if dtype is None else as_kept(dtype)
        self.rounds = rounds
        self.filled = [0] * size
        self.values: Array | None = None
        self.has_gaps = False
        self.kind: type | None = None
        self.dtype: np.dtype[Any] | None = None
        self.shape = shape
        self.sizes = sizes
        self.fill_value = fill_value

    def put(self, row: int, position: int, value: Any) -> None:
        """Save a value of simulation `row` of the block; its positions are filled in their order.

        Raises
        ------
        OutputError
            If its shape differs from that of earlier values, or the type of the output does not hold it.
        """
        if value.__class__ is self.kind and (
            self.kind is not np.ndarray or (value.dtype is self.dtype and value.shape == self.shape)  # type: ignore[attr-defined]
        ):
            try:
                self.values[row, position] = value  # type: ignore[index]
            except OverflowError:  # a Python integer
                self._put_other(row, position, value)
        else:
            self._put_other(row, position, value)
        self.filled[row] = position + 1

    def put_rows(self, start: int, position: int, values: Array) -> None:
        """Save a value of each of some simulations, shape (simulations, ...), the first one's in row `start`.

        Raises
        ------
        OutputError
            As `put` does.
        """
        rows = slice(start, start + len(values))
        if (
            self.values is not None
            and values.dtype is self.dtype
            and values.dtype.kind != "O"
            and values.shape[1:] == self.shape
            and values.__class__ is np.ndarray
        ):
            self.values[rows, position] = values
        else:
            values = self._made_to_fit(as_array(self.name, values), values.shape[1:])
            self.values[(rows, position, *map(slice, values.shape[1:]))] = values  # type: ignore[index]
        self.filled[rows] = [position + 1] * len(values)

    def _put_other(self, row: int, position: int, value: Any) -> None:
        is_allocated = self.values is not None
        if is_allocated and isinstance(value, np.generic) and value.dtype == self.dtype and self.shape == ():
            self.values[row, position] = value  # type: ignore[index]
            return
        dtype = self.dtype if is_allocated else self.known
        if value is np.ma.masked and dtype is not None:  # it has no type of its own
            value = np.ma.MaskedArray(np.zeros((), dtype), True)
        array = as_array(self.name, value)
        array = self._made_to_fit(array, array.shape)
        self.values[(row, position, *map(slice, array.shape))] = array[()]  # type: ignore[index]
        self._remember(value)

    def _remember(self, value: Any) -> None:
        """Let the next value like this one take the quick way, if it fits as it is."""
        cls = type(value)
        is_plain = cls in _PLAIN or (isinstance(value, np.generic) and value.dtype.kind not in "mM")
        self.kind = (
            cls if is_plain and self.dtype != object and np.asarray(value).dtype == self.dtype else None
        )
        if self.kind is np.ndarray:
            self.dtype = value.dtype

    def _made_to_fit(self, array: Array, shape: tuple[int, ...]) -> Array:
        """Return values in the type of the column, after making room for one of their type and a shape."""
        if shape != self.shape:
            self._fit(shape)
        if self.values is None:
            self._allocate(array.dtype if self.known is None else self.known)
        values = np.asarray(array)
        fitting = self._fitting(values)
        if fitting is None:
            fitting = self._widen(values)
        is_missing = np.ma.getmask(array) | _missing_among(fitting)
        return self._with_fill(fitting, is_missing) if np.any(is_missing) else fitting

    def _fitting(self, array: Array) -> Array | None:
        """Return values in the type of the column, if it holds them."""
        assert self.dtype is not None
        if self.rounds and self.known is not None and self.known.kind in "fc":
            return rounded(array, self.dtype)
        return converted(array, self.dtype)

    def _with_fill(self, values: Array, is_missing: Array) -> Array:
        """Return values of a type that has no missing one, with the fill value where they are missing."""
        if self.dtype == bool:
            raise OutputError(
                f"Output {self.name!r} has masked values of type bool, which has no missing value.",
                fix=f"declare a type that has one: {self._encoding(np.dtype('f4'))}.",
            )
        self.has_gaps |= values.dtype.kind in "iu"
        values = np.array(values)
        values[is_missing] = self._fill(values.dtype)
        return values

    def _fit(self, shape: tuple[int, ...]) -> None:
        """Make room for a value of another shape, if it may have it."""
        known = self.shape
        free: tuple[int | None, ...] = (None,) * len(shape if known is None else known)
        allowed = [sizes for sizes in self.sizes or (free,) if known is None or len(sizes) == len(known)]
        if not any(_matches(sizes, shape) for sizes in allowed):
            raise OutputError(
                f"Output {self.name!r} has a value of shape {shape}, expected is {_shown(allowed)}.",
                fix="give values with the declared dimensions, in their sizes.",
            )
        self.shape = shape if known is None else tuple(map(max, known, shape))
        if self.values is not None and self.shape != known:
            self._reallocate(self.values, self.values)

    def _allocate(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self.kind = None
        self.values = np.full((self.size, self.saves, *(self.shape or ())), self._fill(dtype), dtype)

    def _fill(self, dtype: np.dtype[Any]) -> Any:
        try:
            return fill_value_for(dtype, self.fill_value)
        except ValueError as error:
            raise OutputError(
                f"Output {self.name!r}: {error}.", fix="declare a type that has it: encoding's 'dtype'."
            ) from error

    def _widen(self, array: Array) -> Array:
        """Let the column have a type that holds its values and others, and return these in it.

        Raises
        ------
        OutputError
            If there is none, or the type of the column is known.
        """
        old = self.values
        assert old is not None
        if self.known is not None:
            raise self._unfitting(array)
        for wide in common_types(old.dtype, array.dtype):
            found, moved = converted(array, wide), self._moved(old, wide)
            if found is not None and moved is not None:
                self._reallocate(old, moved)
                return found
        raise OutputError(
            f"Output {self.name!r} has the value {_first_unfitting(array, self)} of type {array.dtype} after "
            f"values of type {old.dtype}, and no type holds both exactly.",
            fix="give values of one type.",
        )

    def _unfitting(self, array: Array) -> OutputError:
        """Return the error of values that the known type does not hold."""
        assert self.known is not None
        origin = "declared" if self.rounds else "taken from its first values"
        types = (*common_types(self.known, array.dtype), array.dtype)
        helpful = next(dtype for dtype in types if converted(array, dtype) is not None)
        is_text = helpful.kind != "O" or all(isinstance(v, str) for v in array.ravel())
        return OutputError(
            f"Output {self.name!r} has the value {_first_unfitting(array, self)} of type {array.dtype}, "
            f"which does not fit its type {self.known} ({origin}).",
            fix=f"declare the type: {self._encoding(helpful)}."
            if is_text
            else "give values of one type: NaN for a missing number, NaT for a missing date.",
        )

    def _encoding(self, dtype: np.dtype[Any]) -> str:
        text = "str" if dtype.kind == "O" else str(dtype)
        return f"encoding={{{self.name!r}: {{'dtype': {text!r}}}}}"

    def _reallocate(self, old: Array, moved: Array) -> None:
        """Put what was saved into an array of the present shape and the type that it now has."""
        self._allocate(moved.dtype)
        assert self.values is not None
        within = tuple(map(slice, old.shape[2:]))
        for row, filled in enumerate(self.filled):
            place: Any = (row, slice(filled), *within)
            self.values[place] = moved[row, :filled]

    def _moved(self, old: Array, dtype: np.dtype[Any]) -> Array | None:
        """Return saved values in another type, with the fill value of that where there are none; or None."""
        if old.dtype == dtype:
            return old
        is_missing = self._is_missing(old)
        moved = converted(np.where(is_missing, np.zeros((), old.dtype), old), dtype)
        if moved is not None:
            moved[is_missing | _missing_among(moved)] = self._fill(dtype)
        return moved

    def _is_missing(self, old: Array) -> Array:
        """Return where nothing was saved, as far as the fill value tells."""
        is_missing = np.ones(old.shape, bool)
        for row, filled in enumerate(self.filled):
            is_missing[row, :filled] = False
        if old.dtype.kind in "iu" and (old.ndim > 2 or self.has_gaps):
            is_missing |= old == self._fill(old.dtype)
        return is_missing

    def next_free(self, row: int) -> int:
        """Return the position at which the next value of a simulation is saved."""
        return self.filled[row]

    def kept(self, row: int) -> Any:
        """Return what a simulation has saved so far, in a form for `put_back` and pickling."""
        if self.values is None:
            return ()
        saved = self.values[row, : self.filled[row]]
        return np.ma.masked_equal(saved, self._fill(saved.dtype)) if self.has_gaps else saved.copy()

    def put_back(self, row: int, saved: Any) -> None:
        """Save what a simulation had saved already, in this or another run."""
        for position, value in enumerate(saved):
            Column.put(self, row, position, value)

    def first(self, rows: int) -> Any:
        """Return what the first simulations saved, shape (simulations, saves, ...); None if none did."""
        return None if self.values is None else self.values[:rows]

    def clear(self, row: int) -> None:
        """Forget what a simulation saved, because it failed."""
        self.filled[row] = 0
        if self.values is not None:
            self.values[row] = self._fill(self.values.dtype)

"""Where the values of outputs gather while a block runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from simherd.engine.plan import Array
from simherd.errors import OutputError

__all__ = ["Column", "fill_value_for"]


def fill_value_for(dtype: np.dtype[Any], given: Any = None) -> Any:
    """Return what stands where no value was saved: NaN, NaT, the largest integer, False or "".

    Zeros stay zeros: no value that a simulation is likely to give stands for a missing one.

    Parameters
    ----------
    dtype : dtype
        Type of the values.
    given : optional
        What the user wants to stand there instead.

    Raises
    ------
    ValueError
        If what is given is no value of that type.
    """
    if given is not None:
        return _as_value_of(dtype, given)
    if dtype.kind in "fc":
        return dtype.type(np.nan)
    if dtype.kind in "mM":
        return np.array("NaT", dtype)[()]
    if dtype.kind in "iu":
        return dtype.type(np.iinfo(dtype).max)
    return {"b": np.False_, "O": ""}.get(dtype.kind, dtype.type())


def _as_value_of(dtype: np.dtype[Any], given: Any) -> Any:
    with np.errstate(invalid="ignore"):
        fill = str(given) if dtype.kind in "OUST" else np.asarray(given).astype(dtype)[()]
    if dtype.kind in "iub" and fill != given:
        raise ValueError(f"fill_value {given!r} is not a value of type {dtype}")
    return fill


def _as_stored(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type in which values are kept: texts are objects, so that no length is too long."""
    return np.dtype(object) if dtype.kind in "UST" else dtype


def _matches(sizes: tuple[int | None, ...], shape: tuple[int, ...]) -> bool:
    return len(sizes) == len(shape) and all(s in (None, n) for s, n in zip(sizes, shape, strict=True))


def _shown(shapes: Sequence[tuple[int | None, ...]]) -> str:
    """Return shapes in words, with * for a size that may change."""
    texts = [str(tuple("*" if n is None else n for n in shape)) for shape in shapes]
    return " or ".join(texts).replace("'", "")


_PLAIN = (np.ndarray, float, int, bool, complex)


class Column:
    """The values of one output for the simulations of a block.

    The first value decides shape and type. A later one of a wider type widens the column, so that 5
    followed by 1.7 gives 5.0 and 1.7; a longer one makes it grow, and what shorter ones lack is filled
    up. A type that is declared stays, and so does the size of a dimension that is known.

    Parameters
    ----------
    name : str
        Name of the output, for errors.
    size : int
        Simulations in the block.
    saves : int
        Values saved in each.
    dtype : dtype-like, optional
        The declared type.
    shape : tuple of int, optional
        The shape to start with.
    sizes : sequence of tuple, optional
        For each number of dimensions that a value may have its sizes, None where they may change.
    fill_value : optional
        What stands where no value was saved; by default what `fill_value_for` says.
    """

    __slots__ = (
        "declared",
        "dtype",
        "fill_value",
        "filled",
        "kind",
        "name",
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
    ) -> None:
        self.name = name
        self.size = size
        self.saves = saves
        self.declared = None if dtype is None else _as_stored(np.dtype(dtype))
        self.filled = [0] * size
        self.values: Array | None = None
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
            If its shape differs from that of earlier values, or its type from the declared one.
        """
        if value.__class__ is self.kind and (
            self.kind is not np.ndarray or (value.dtype is self.dtype and value.shape == self.shape)  # type: ignore[attr-defined]
        ):
            self.values[row, position] = value  # type: ignore[index]
        else:
            self._put_other(row, position, np.asarray(value))
            self._remember(value)
        self.filled[row] = position + 1

    def put_rows(self, start: int, position: int, values: Array) -> None:
        """Save a value of each of some simulations, shape (simulations, ...), the first one's in row `start`.

        Raises
        ------
        OutputError
            As `put` does.
        """
        rows = slice(start, start + len(values))
        if self.values is not None and values.dtype is self.dtype and values.shape[1:] == self.shape:
            self.values[rows, position] = values
        else:
            values = self._made_to_fit(values, values.shape[1:])
            self.values[(rows, position, *map(slice, values.shape[1:]))] = values  # type: ignore[index]
        self.filled[rows] = [position + 1] * len(values)

    def _remember(self, value: Any) -> None:
        """Let the next value like this one take the quick way, if it fits as it is."""
        cls = type(value)
        is_plain = cls in _PLAIN or isinstance(value, np.generic)
        self.kind = cls if is_plain and np.asarray(value).dtype == self.dtype else None
        if self.kind is np.ndarray:
            self.dtype = value.dtype

    def _put_other(self, row: int, position: int, array: Array) -> None:
        array = self._made_to_fit(array, array.shape)
        self.values[(row, position, *map(slice, array.shape))] = array[()]  # type: ignore[index]

    def _made_to_fit(self, array: Array, shape: tuple[int, ...]) -> Array:
        """Return values in the declared type, after making room for one of their type and a shape."""
        array = self._as_declared(array.astype(_as_stored(array.dtype), copy=False))
        if shape != self.shape:
            self._fit(shape)
        if self.values is None:
            self._allocate(array.dtype)
        elif array.dtype != self.dtype:
            self._widen(array.dtype)
        return array

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
            self._reallocate(self.values, self.values.dtype)

    def _as_declared(self, array: Array) -> Array:
        if self.declared is None or array.dtype == self.declared:
            return array
        if np.can_cast(array.dtype, self.declared, "same_kind"):
            cast = array.astype(self.declared)
            if cast.dtype.kind not in "iu" or np.array_equal(cast, array):
                return cast
        raise OutputError(
            f"Output {self.name!r} has values of type {array.dtype}, which do not fit its "
            f"type {self.declared} (declared, or found in the first simulation).",
            fix=f"declare the type: encoding={{{self.name!r}: {{'dtype': '{array.dtype}'}}}}.",
        )

    def _allocate(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self.values = np.full((self.size, self.saves, *(self.shape or ())), self._fill(dtype), dtype)

    def _fill(self, dtype: np.dtype[Any]) -> Any:
        try:
            return fill_value_for(dtype, self.fill_value)
        except ValueError as error:
            raise OutputError(
                f"Output {self.name!r}: {error}.", fix="declare a type that has it: encoding's 'dtype'."
            ) from error

    def _widen(self, dtype: np.dtype[Any]) -> None:
        old = self.values
        assert old is not None
        try:
            wide = np.result_type(old.dtype, dtype)
        except TypeError as error:
            raise OutputError(
                f"Output {self.name!r} has values of type {dtype} after values of type {old.dtype}.",
                fix="give values of one type.",
            ) from error
        if wide == old.dtype:
            return
        self._reallocate(old, wide)

    def _reallocate(self, old: Array, dtype: np.dtype[Any]) -> None:
        """Move what was saved to an array of the present shape and another type."""
        self._allocate(dtype)
        assert self.values is not None
        within = tuple(map(slice, old.shape[2:]))
        for row, filled in enumerate(self.filled):
            place: Any = (row, slice(filled), *within)
            self.values[place] = self._moved(old[row, :filled])

    def _moved(self, old: Array) -> Array:
        """Return saved values with what fills up shorter ones as the present type says it."""
        assert self.values is not None
        if old.dtype == self.values.dtype or old.ndim < 2 or old.dtype.kind not in "iu":
            return old
        new = old.astype(self.values.dtype)
        new[old == self._fill(old.dtype)] = self._fill(new.dtype)
        return new

    def next_free(self, row: int) -> int:
        """Return the position at which the next value of a simulation is saved."""
        return self.filled[row]

    def kept(self, row: int) -> Any:
        """Return what a simulation has saved so far, in a form for `put_back` and pickling."""
        return () if self.values is None else self.values[row, : self.filled[row]].copy()

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

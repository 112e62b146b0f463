"""Where the values of outputs gather while a block runs."""

from __future__ import annotations

from typing import Any

import numpy as np

from simherd.engine.plan import Array
from simherd.errors import OutputError

__all__ = ["Column", "fill_value_for"]


def fill_value_for(dtype: np.dtype[Any]) -> Any:
    """Return what stands where no value was saved: NaN, NaT, the largest integer, False or "".

    Zeros stay zeros: no value that a simulation is likely to give stands for a missing one.
    """
    if dtype.kind in "fc":
        return dtype.type(np.nan)
    if dtype.kind in "mM":
        return np.array("NaT", dtype)[()]
    if dtype.kind in "iu":
        return dtype.type(np.iinfo(dtype).max)
    return {"b": np.False_, "O": ""}.get(dtype.kind, dtype.type())


def _as_stored(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type in which values are kept: texts are objects, so that no length is too long."""
    return np.dtype(object) if dtype.kind in "UST" else dtype


_PLAIN = (np.ndarray, float, int, bool, complex)


class Column:
    """The values of one output for the simulations of a block.

    The first value decides shape and type; a later one of a wider type widens the column, so that 5
    followed by 1.7 gives 5.0 and 1.7. A type or shape that is declared stays.

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
        The declared shape of a value.
    """

    __slots__ = ("declared", "dtype", "filled", "kind", "name", "saves", "shape", "size", "values")

    def __init__(
        self,
        name: str,
        size: int,
        saves: int,
        dtype: Any = None,
        shape: tuple[int, ...] | None = None,
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

    def _remember(self, value: Any) -> None:
        """Let the next value like this one take the quick way, if it fits as it is."""
        cls = type(value)
        is_plain = cls in _PLAIN or isinstance(value, np.generic)
        self.kind = cls if is_plain and np.asarray(value).dtype == self.dtype else None
        if self.kind is np.ndarray:
            self.dtype = value.dtype

    def _put_other(self, row: int, position: int, array: Array) -> None:
        array = self._as_declared(array.astype(_as_stored(array.dtype), copy=False))
        if self.shape is None:
            self.shape = array.shape
        if array.shape != self.shape:
            raise OutputError(
                f"Output {self.name!r} has shape {array.shape}, expected is {self.shape}; "
                f"an output keeps its shape within a batch.",
                fix="give arrays of one shape, filled up with NaN where they are shorter.",
            )
        if self.values is None:
            self._allocate(array.dtype)
        elif array.dtype != self.dtype:
            self._widen(array.dtype)
        self.values[row, position] = array  # type: ignore[index]

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
        self.values = np.full((self.size, self.saves, *(self.shape or ())), fill_value_for(dtype), dtype)

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
        self._allocate(wide)
        for row, filled in enumerate(self.filled):
            self.values[row, :filled] = old[row, :filled]  # type: ignore[index]

    def clear(self, row: int) -> None:
        """Forget what a simulation saved, because it failed."""
        self.filled[row] = 0
        if self.values is not None:
            self.values[row] = fill_value_for(self.values.dtype)

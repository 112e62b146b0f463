"""Values of inputs in other units, without loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from simherd.engine.plan import Array
from simherd.errors import SetupError, shown

__all__ = ["Conversion"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversion:
    """A change of units.

    Integers become float64; floating-point and complex numbers keep their type, with at least single
    precision. An array of objects stays one: its numbers and arrays of numbers are converted, None is kept.
    """

    pair: str
    """The input and both units, for errors."""
    scale: Callable[[Any], Any]
    """Takes real numbers, and returns them in the new units."""

    @property
    def is_identity(self) -> bool:
        """Whether both units are the same under different names."""
        return np.allclose(self.scale(np.array([0.0, 1.0])), [0.0, 1.0], rtol=1e-12, atol=0.0)

    def apply(self, given: xr.Variable) -> xr.Variable:
        """Return the converted values; values that are not in memory are converted when they are read.

        Raises
        ------
        SetupError
            If values are no numbers, or their type does not hold them in the new units.
        """
        dtype = self._dtype(given.dtype)
        if given._in_memory:
            return given.copy(data=self.convert(given.values))
        lazy = given if given.chunks is not None else given.chunk("auto")
        meta = np.empty((0,) * given.ndim, dtype)
        return lazy.copy(data=lazy.data.map_blocks(self.convert, dtype=dtype, meta=meta))

    def convert(self, values: Array) -> Array:
        """Return an array of numbers or objects in the new units."""
        if values.dtype.kind == "O":
            return self._objects(values)
        dtype = self._dtype(values.dtype)
        with np.errstate(all="ignore"):
            wide = self._scaled(values.astype(np.result_type(dtype, np.float64)))
            converted = wide.astype(dtype)
        lost = (np.isfinite(values) & ~np.isfinite(converted)) | ((wide != 0) & (converted == 0))
        if lost.any():
            raise SetupError(
                f"{self.pair}: type {dtype} does not hold {values[lost][0]!s} after the conversion.",
                fix="give it in the units of the variable, or as float64.",
            )
        return converted

    def _objects(self, values: Array) -> Array:
        converted = values.copy()
        flat = converted.reshape(-1)
        for position, value in enumerate(flat):
            if value is not None:
                flat[position] = self._object(value)
        return converted

    def _object(self, value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return self.convert(value)
        number = np.asarray(value)
        if number.ndim or number.dtype.kind not in "iufc":
            raise self._no_numbers(shown(value))
        return self.convert(number).item()

    def _scaled(self, values: Array) -> Array:
        if values.dtype.kind != "c":
            return np.asarray(self.scale(values))
        if self.scale(np.zeros(1)) != 0:
            raise SetupError(
                f"{self.pair}: complex numbers are converted only between units that share their zero.",
                fix="give it in the units of the variable.",
            )
        scaled = np.empty_like(values)
        scaled.real, scaled.imag = self.scale(values.real), self.scale(values.imag)
        return scaled

    def _dtype(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        if dtype.kind in "iu":
            return np.dtype(np.float64)
        if dtype.kind in "fc":
            return np.result_type(dtype, np.float32)
        if dtype.kind == "O":
            return dtype
        raise self._no_numbers(f"values of type {dtype}")

    def _no_numbers(self, found: str) -> SetupError:
        return SetupError(
            f"{self.pair}: cannot convert {found}.",
            fix="give numbers, or give it in the units of the variable.",
        )

"""Validators for variables: give them in ``variable(validator=...)``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from simherd.errors import ModelError
from simherd.model.variables import Attribute

__all__ = ["in_bounds", "is_subdtype"]


@dataclass(frozen=True, slots=True, repr=False)
class _InBounds:
    """Raises an error where a value, or an element of an array, lies outside an interval."""

    is_elementwise: ClassVar[bool] = True
    """Whether an array may hold the values of many simulations."""

    low: Any
    high: Any
    closed: tuple[bool, bool]

    def __repr__(self) -> str:
        return f"<in_bounds validator with bounds {self}>"

    def __str__(self) -> str:
        left, right = ("[" if self.closed[0] else "("), ("]" if self.closed[1] else ")")
        return f"{left}{self.low}, {self.high}{right}"

    def __call__(self, instance: Any, attribute: Attribute, value: Any) -> None:
        is_low = self.low is not None and (value < self.low if self.closed[0] else value <= self.low)
        is_high = self.high is not None and (value > self.high if self.closed[1] else value >= self.high)
        if np.any(is_low) or np.any(is_high):
            found = f"the value {value}" if np.ndim(value) == 0 else "one or more values"
            raise ValueError(f"Variable {attribute.name!r} has {found} out of bounds {self}.")


@dataclass(frozen=True, slots=True, repr=False)
class _IsSubdtype:
    """Raises an error where an array has another type than one below a given type."""

    is_elementwise: ClassVar[bool] = True
    """Whether an array may hold the values of many simulations."""

    dtype: Any

    def __repr__(self) -> str:
        return f"<is_subdtype validator with type: {self.dtype!r}>"

    def __call__(self, instance: Any, attribute: Attribute, value: Any) -> None:
        found = getattr(value, "dtype", None) or np.asarray(value).dtype
        if not np.issubdtype(found, self.dtype):
            raise TypeError(f"Variable {attribute.name!r} has type {found}, which is no {self.dtype!r}.")


def in_bounds(bounds: tuple[Any, Any], closed: tuple[bool, bool] = (True, True)) -> Any:
    """Return a validator that allows the values of an interval, in each element of an array.

    Parameters
    ----------
    bounds : (low, high)
        The ends of the interval, in the units of the variable; None leaves an end open.
    closed : (bool, bool), optional
        Whether each end belongs to the interval.

    Raises
    ------
    ModelError
        If the interval ends before it starts.
    """
    low, high = bounds
    if low is not None and high is not None and high < low:
        raise ModelError(f"in_bounds got the interval from {low} to {high}, which ends before it starts.")
    return _InBounds(low, high, (bool(closed[0]), bool(closed[1])))


def is_subdtype(dtype: Any) -> Any:
    """Return a validator that allows arrays of a type and of those below it in NumPy's hierarchy.

    Parameters
    ----------
    dtype : dtype-like
        Such as ``np.floating``, ``"f8"`` or ``np.number``.
    """
    return _IsSubdtype(dtype)

"""A parameter of a batch: the values or the range that an input takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simherd.errors import SetupError

__all__ = ["Parameter"]

_LARGEST_INTEGER = 2**53  # float64 holds every integer up to here
_ALIKE = (set("iuf"), set("U"), set("b"), set("M"), set("m"))  # NumPy's kinds of dtype


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameter:
    """An input that differs between the simulations of a batch: its values or its range.

    Raises
    ------
    SetupError
        If the range is empty, or values and range are mixed.
    """

    name: str
    """Name of the input variable."""
    values: tuple[Any, ...] | None = None
    """All its values, in the unit of the variable; None if it has a range."""
    low: float | None = None
    """Smallest value of the range, in the unit of the variable."""
    high: float | None = None
    """Largest value of the range, in the unit of the variable."""
    scale: str = "linear"
    """``"linear"`` or ``"log"``: where in the range the values are dense."""
    num: int | None = None
    """Values along the range in a grid, dimensionless."""
    integer: bool = False
    """Only whole numbers are taken from the range, both ends included."""

    def __post_init__(self) -> None:
        for is_wrong, found, fix in _PARAMETER_FAULTS:
            if is_wrong(self):
                raise SetupError(f"Parameter '{self.name}': {found.format(self)}.", fix=fix)


def _is_mixed(values: Sequence[Any]) -> bool:
    if not all(np.isscalar(value) for value in values):
        return True
    kinds = {np.asarray(value).dtype.kind for value in values}
    return not any(kinds <= alike for alike in _ALIKE)


def _bounds(parameter: Parameter) -> tuple[float, float]:
    return (parameter.low or 0, parameter.high or 0)


_PARAMETER_FAULTS: Sequence[tuple[Callable[[Parameter], bool], str, str]] = (
    (
        lambda p: p.values is not None and (p.low, p.high, p.num) != (None, None, None),
        "has both values and a range",
        "keep 'values', or 'low' and 'high'.",
    ),
    (lambda p: p.values == (), "has no values", "list one or more."),
    (
        lambda p: p.values is not None and _is_mixed(p.values),
        "its values are not of one type: {0.values}",
        "list numbers only, texts only, or booleans only.",
    ),
    (
        lambda p: p.values is None and None in (p.low, p.high),
        "needs values, or both 'low' and 'high'; found low {0.low}, high {0.high}",
        "add what is missing.",
    ),
    (
        lambda p: not math.isfinite(_bounds(p)[1] - _bounds(p)[0]),
        "the range from {0.low} to {0.high} is not finite",
        "correct 'low' and 'high'.",
    ),
    (
        lambda p: p.values is None and _bounds(p)[0] >= _bounds(p)[1],
        "low {0.low} is not below high {0.high}",
        "correct 'low' and 'high'.",
    ),
    (
        lambda p: p.scale not in ("linear", "log"),
        "scale is '{0.scale}', allowed are 'linear' and 'log'",
        "",
    ),
    (
        lambda p: p.values is None and p.scale == "log" and _bounds(p)[0] <= 0,
        "low {0.low} is not above 0, as a log scale needs",
        "raise 'low', or set 'scale: linear'.",
    ),
    (
        lambda p: p.num is not None and p.num < 1,
        "num is {0.num}, needs 1 or more",
        "",
    ),
    (
        lambda p: p.integer and any(b != int(b) or abs(b) > _LARGEST_INTEGER for b in _bounds(p)),
        "integers need whole 'low' and 'high' of at most 2**53; found {0.low} and {0.high}",
        "correct 'low' and 'high'.",
    ),
    (
        lambda p: p.integer and (p.num or 0) > _bounds(p)[1] - _bounds(p)[0] + 1,
        "there are less than {0.num} whole numbers from {0.low} to {0.high}",
        "lower 'num', or list the values.",
    ),
)

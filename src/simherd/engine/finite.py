"""Outputs of which every value has to be finite: one that is not fails its simulation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from simherd.engine.columns import Column
from simherd.engine.plan import Array
from simherd.engine.streaming import StreamedColumn
from simherd.engine.values import as_array
from simherd.errors import OutputError

__all__ = ["FiniteColumn", "FiniteStreamedColumn"]


class FiniteColumn(Column):
    """A column that takes no NaN, no NaT, nothing infinite or masked. Who makes it sets `when`."""

    when: Callable[[int], str]
    """Gives in words the moment at which the value of a position is saved."""

    def put(self, row: int, position: int, value: Any) -> None:
        """Save a value of a simulation, see `Column.put`.

        Raises
        ------
        OutputError
            If it is not finite, or has another shape or type.
        """
        self._check(position, value)
        super().put(row, position, value)

    def put_rows(self, start: int, position: int, values: Array) -> None:
        """Save a value of each of some simulations, see `Column.put_rows`.

        Raises
        ------
        OutputError
            If one is not finite, or has another shape or type.
        """
        self._check(position, values)
        super().put_rows(start, position, values)

    def _check(self, position: int, value: Any) -> None:
        finite = np.isfinite(value) if isinstance(value, float) else _are_finite(as_array(self.name, value))
        if not finite.all():
            raise OutputError(
                f"Output {self.name!r} has {finite.size - np.count_nonzero(finite)} of {finite.size} values "
                f"that are not finite {self.when(position)}, and is declared with finite=True.",
                fix="look at the inputs of this simulation, or declare the variable without finite.",
            )


class FiniteStreamedColumn(FiniteColumn, StreamedColumn):
    """One whose values are written while the simulation runs."""


def _are_finite(values: Array) -> Array:
    """Return which values are finite and not masked; texts are."""
    if values.dtype.kind == "O":
        return np.ones(values.shape, bool)
    finite: Array = np.isfinite(np.asarray(values))
    return finite & ~np.ma.getmaskarray(values) if isinstance(values, np.ma.MaskedArray) else finite

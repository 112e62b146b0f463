"""Outputs whose values differ in size between simulations: how large each was is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from simherd.engine.columns import Column
from simherd.engine.finite import FiniteColumn
from simherd.engine.plan import Array

__all__ = ["FiniteSizedColumn", "Sized", "SizedColumn"]


@dataclass(frozen=True, slots=True)
class Sized:
    """Values of some simulations, filled up to one size, and how large each is."""

    values: Array
    """Shape (simulations, saves, ...)."""
    sizes: Array
    """Shape (simulations, saves, dimensions)."""

    @property
    def counts(self) -> Array:
        """Numbers that each simulation has, shape (simulations,)."""
        counts: Array = self.sizes.prod(axis=2).sum(axis=1)
        return counts

    @property
    def offsets(self) -> Array:
        """Numbers of each simulation that come before each of its values, shape (simulations, saves)."""
        counts = self.sizes.prod(axis=2)
        offsets: Array = counts.cumsum(axis=1) - counts
        return offsets

    def flat(self, rows: Array) -> Array:
        """Return the values of some simulations, one after another."""
        return np.concatenate(
            [
                self.values[(row, save, *map(slice, self.sizes[row, save]))].ravel()
                for row in rows.tolist()
                for save in range(self.sizes.shape[1])
            ]
        )


class SizedColumn(Column):
    """A column that knows how large each value was before it was filled up to the largest of its block."""

    value_sizes: Array | None = None
    """Shape of each value, shape (simulations, saves, dimensions), int64; 0 where nothing was saved."""

    def put(self, row: int, position: int, value: Any) -> None:
        """Save a value of a simulation and its shape, see `Column.put`."""
        super().put(row, position, value)
        self._keep_shape(slice(row, row + 1), position, np.shape(value))

    def put_rows(self, start: int, position: int, values: Array) -> None:
        """Save a value of each of some simulations and its shape, see `Column.put_rows`."""
        super().put_rows(start, position, values)
        self._keep_shape(slice(start, start + len(values)), position, values.shape[1:])

    def _keep_shape(self, rows: slice, position: int, shape: tuple[int, ...]) -> None:
        if self.value_sizes is None:
            self.value_sizes = np.zeros((self.size, self.saves, len(shape)), np.int64)
        self.value_sizes[rows, position] = np.array(shape, np.int64)

    def first(self, rows: int) -> Any:
        """Return what the first simulations saved, with its sizes; None if none did."""
        if self.values is None or self.value_sizes is None:
            return None
        return Sized(self.values[:rows], self.value_sizes[:rows])

    def kept(self, row: int) -> Any:
        """Return what a simulation has saved so far, each value as large as it was."""
        if self.values is None or self.value_sizes is None:
            return ()
        return [
            np.array(self.values[(row, position, *map(slice, self.value_sizes[row, position]))])  # type: ignore[arg-type]
            for position in range(self.filled[row])
        ]

    def put_back(self, row: int, saved: Any) -> None:
        """Save what a simulation had saved already, in this or another run."""
        for position, value in enumerate(saved):
            SizedColumn.put(self, row, position, value)

    def clear(self, row: int) -> None:
        """Forget what a simulation saved, because it failed."""
        super().clear(row)
        if self.value_sizes is not None:
            self.value_sizes[row] = 0


class FiniteSizedColumn(FiniteColumn, SizedColumn):
    """One that takes no value that is not finite."""

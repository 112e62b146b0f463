"""Results that stay in memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from simherd.store.layout import ArrayLayout
from simherd.store.writer import ArrayWriter

__all__ = ["MemoryStore"]


class MemoryStore:
    """Arrays of a Dataset that blocks are written to.

    Parameters
    ----------
    base : Dataset
        Inputs and coordinates.
    layouts : sequence of ArrayLayout
        The outputs, in the order of the plan, then status and seconds in a batch.
    """

    def __init__(self, base: xr.Dataset, layouts: Sequence[ArrayLayout]) -> None:
        self.base = base
        self.layouts = layouts
        self.arrays = [np.full(one.shape, one.fill_value, one.dtype) for one in layouts]

    def writer(self, has_clock: Sequence[bool], block_size: int) -> ArrayWriter:
        """Return what writes the blocks of a batch."""
        *outputs, status, seconds = self.arrays
        return ArrayWriter(outputs, has_clock, status, seconds, block_size, travels=False)

    def open(self) -> xr.Dataset:
        """Return the result."""
        variables = {
            one.name: xr.Variable(one.dims, array, dict(one.attrs))
            for one, array in zip(self.layouts, self.arrays, strict=True)
        }
        return self.base.drop_vars([n for n in variables if n in self.base.variables]).assign(variables)

"""Results that stay in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from simherd.engine.block import BlockResult
from simherd.engine.columns import Column, fill_value_for
from simherd.engine.plan import Array
from simherd.store.layout import ArrayLayout
from simherd.store.writer import ArrayWriter

__all__ = ["MemoryStore", "write_whole"]


class MemoryStore:
    """Arrays of a Dataset that blocks are written to.

    Parameters
    ----------
    base : Dataset
        Inputs and coordinates.
    layouts : sequence of ArrayLayout
        The outputs, in the order of the plan, then status and seconds in a batch.
    block_size : int, optional
        Simulations in a block.
    """

    travels = False

    def __init__(self, base: xr.Dataset, layouts: Sequence[ArrayLayout], block_size: int = 1) -> None:
        self.base = base
        self.layouts = layouts
        self.block_size = block_size
        self.arrays = [np.full(one.shape, one.fill_value, one.dtype) for one in layouts]

    def writer(self) -> ArrayWriter:
        """Return what writes the blocks of a batch."""
        *outputs, status, seconds = self.arrays
        has_clock = [one.has_clock for one in self.layouts[:-2]]
        return ArrayWriter(outputs, has_clock, status, seconds, self.block_size)

    def settle(self, result: BlockResult) -> None:
        """Write a block, after making room for it."""
        for number, shape in self.writer().longer(result).items():
            self.arrays[number] = _enlarged(self.arrays[number], shape)
        self.writer().write(result)

    def open(self, decoding: Mapping[str, Any] | None = None) -> xr.Dataset:
        """Return the result, which is not encoded: `decoding` says nothing of it."""
        variables = {
            one.name: xr.Variable(one.dims, array, dict(one.attrs), fastpath=True)
            for one, array in zip(self.layouts, self.arrays, strict=True)
        }
        return self.base.drop_vars([n for n in variables if n in self.base.variables]).assign(variables)


def _enlarged(array: Array, shape: tuple[int, ...]) -> Array:
    larger = np.full(shape, fill_value_for(array.dtype), array.dtype)
    larger[tuple(map(slice, array.shape))] = array
    return larger


def write_whole(array: Any, column: Column) -> None:
    """Write all values of an output of one simulation."""
    assert column.values is not None
    values = column.values[0] if array.ndim == column.values.ndim - 1 else column.values[0, 0, ...]
    array[tuple(map(slice, values.shape))] = values

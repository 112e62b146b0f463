"""Results that stay in memory."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from simherd.engine.block import BlockResult
from simherd.engine.columns import Column
from simherd.engine.plan import Array
from simherd.store.concatenated import ConcatenatedArray
from simherd.store.layout import ArrayLayout, concatenated, with_common_sizes
from simherd.store.masks import FILL_ATTR, BlockIntegers, masks_of
from simherd.store.writer import SECONDS, ArrayWriter
from simherd.user_warnings import warn_user

__all__ = ["MemoryStore", "values_of", "write_whole"]

_CF_ATTRS = {"_FillValue", "missing_value", "scale_factor", "add_offset", "coordinates"}
_DECODE_CF = frozenset(inspect.signature(xr.decode_cf).parameters)


class MemoryStore:
    """Arrays of a Dataset that blocks are written to.

    Parameters
    ----------
    base : Dataset
        Inputs and coordinates.
    layouts : sequence of ArrayLayout
        The outputs, in the order of the plan, then status and seconds in a batch.
    arrays : sequence of ndarray, optional
        The values of the outputs, where they are complete.
    """

    travels = False

    def __init__(
        self,
        base: xr.Dataset,
        layouts: Sequence[ArrayLayout],
        arrays: Sequence[Array] | None = None,
    ) -> None:
        self.base = base
        self.layouts = layouts
        self.arrays: list[Any] = [_held(one) for one in layouts] if arrays is None else list(arrays)

    def writer(self) -> ArrayWriter:
        """Return what writes the blocks of a batch."""
        *outputs, status, seconds = self.arrays
        has_clock = [one.has_clock for one in self.layouts[:-2]]
        return ArrayWriter(outputs, has_clock, status, seconds, 1)

    def settle(self, result: BlockResult) -> None:
        """Write a block, after making room for it."""
        longer = with_common_sizes(self.layouts, self.arrays, self.writer().longer(result))
        for number, shape in longer.items():
            array = self.arrays[number]
            if isinstance(array, ConcatenatedArray):
                array.make_room(shape[1])
            else:
                self.arrays[number] = _enlarged(array, shape, self.layouts[number].fill_value)
        self.writer().write(result)

    def note_integers(self, block: BlockIntegers) -> None:
        """Leave it: values in memory are looked through when the result is opened."""

    def open(self, decoding: Mapping[str, Any] | None = None) -> xr.Dataset:
        """Return the result, decoded as `xarray.open_zarr` decodes that of a store."""
        masks = {}
        if self.layouts and self.layouts[-1].name == SECONDS:
            masks = {name: {FILL_ATTR: fill} for name, fill in masks_of(self.layouts, self.arrays).items()}
        variables = {
            one.name: xr.Variable(one.dims, array, {**one.attrs, **masks.get(one.name, {})}, fastpath=True)
            for layout, held in zip(self.layouts, self.arrays, strict=True)
            for one, array in _plain_arrays(layout, held)
        }
        result = self.base.drop_vars([n for n in variables if n in self.base.variables]).assign(variables)
        return _decoded(result, decoding or {})


def _decoded(result: xr.Dataset, decoding: Mapping[str, Any]) -> xr.Dataset:
    """Return a result with dates, scales and masks as its attributes say, which few have."""
    options = {name: value for name, value in decoding.items() if name in _DECODE_CF}
    speaks_of_it = any(map(_is_encoded, result.variables.values()))
    if not decoding.get("decode_cf", True) or not (options or speaks_of_it):
        return result
    try:
        return xr.decode_cf(result, **options).load()
    except ValueError as error:  # no reason to lose the result of a long run
        warn_user(f"The result is not decoded: {error}", UserWarning)
        return result


def _is_encoded(variable: xr.Variable) -> bool:
    return not _CF_ATTRS.isdisjoint(variable.attrs) or " since " in str(variable.attrs.get("units"))


def _enlarged(array: Array, shape: tuple[int, ...], fill_value: Any) -> Array:
    larger = np.full(shape, fill_value, array.dtype)
    larger[tuple(map(slice, array.shape))] = array
    return larger


def _held(layout: ArrayLayout) -> Any:
    """Return where the values of an output are held while its batch runs."""
    if not layout.parts:
        return _empty(layout)
    nothing = np.empty((layout.shape[0], 0), layout.dtype)
    return concatenated(layout, nothing, *map(_empty, layout.parts))


def _plain_arrays(layout: ArrayLayout, held: Any) -> Iterator[tuple[ArrayLayout, Array]]:
    """Yield the arrays of an output, which are several where its values are concatenated."""
    if not isinstance(held, ConcatenatedArray):
        yield layout, held
        return
    yield layout, held.values[:, : held.used()]
    yield from zip(layout.parts, (held.start, held.size), strict=True)


def _empty(layout: ArrayLayout) -> Array:
    return np.full(layout.shape, layout.fill_value, layout.dtype)


def values_of(layout: ArrayLayout, column: Column) -> Array:
    """Return all values of an output of one simulation, not copied if they fit as they are."""
    values = _only(column, len(layout.shape))
    if (values.shape, values.dtype) == (layout.shape, layout.dtype):
        return values
    array = _empty(layout)
    write_whole(array, column)
    return array


def write_whole(array: Any, column: Column) -> None:
    """Write all values of an output of one simulation."""
    values = _only(column, array.ndim)
    array[tuple(map(slice, values.shape))] = values


def _only(column: Column, ndim: int) -> Array:
    """Return the values of the only simulation of a column, without an axis of a single value at the end."""
    assert column.values is not None
    values: Array = column.values[0] if ndim == column.values.ndim - 1 else column.values[0, 0, ...]
    return values

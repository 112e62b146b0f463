"""Reading outputs whose values are stored one after another, because they differ in size."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

from simherd.engine.plan import Array
from simherd.errors import SetupError, close_matches
from simherd.store.concatenated import LAYOUT, OWN_DIMS, PER_ROW, size_name, start_name

__all__ = ["contiguous_ragged", "read_ragged"]


def read_ragged(dataset: xr.Dataset, name: str, number: int | None = None) -> Any:
    """Return the values of an output that a store has in the layout "concatenated".

    Parameters
    ----------
    dataset : Dataset
        A result: of a run, or a store opened with `xarray.open_zarr`.
    name : str
        Name of the output.
    number : int, optional
        Position of a simulation in the batch; all of them by default.

    Returns
    -------
    ndarray, or list of ndarray, or list of these
        The value of the simulation in its own shape, or a list of them where the output has a clock, one for
        each label; nothing was saved where they are empty. A list of that, one for each simulation, if no
        number is given.

    Raises
    ------
    SetupError
        If there is no such output, or it is stored in another way.
    """
    values, starts, sizes = _arrays(dataset, name)
    per_row = int(values.attrs[PER_ROW])
    if number is not None:
        position = range(len(starts))[number]
        row, begin, shapes = position // per_row, int(starts[position]), np.asarray(sizes[position])
        end = begin + _count(shapes, values)
        return _cut(np.asarray(values[row, begin:end]), shapes, values)
    found = []
    begins, all_shapes = np.asarray(starts), np.asarray(sizes)
    for simulations, flat in _rows(values, begins, all_shapes):
        for one in simulations:
            begin, shapes = begins[one], all_shapes[one]
            found.append(_cut(flat[begin : begin + _count(shapes, values)], shapes, values))
    return found


def contiguous_ragged(dataset: xr.Dataset, name: str) -> xr.Dataset:
    """Return an output as a contiguous ragged array of the CF conventions [1]_.

    Parameters
    ----------
    dataset : Dataset
        A result: of a run, or a store opened with `xarray.open_zarr`.
    name : str
        Name of an output with one dimension and no clock, in the layout "concatenated".

    Returns
    -------
    Dataset
        All values along ``obs``, and ``row_size``: how many of them each simulation has.

    Raises
    ------
    SetupError
        If there is no such output, or it is stored in another way, or has more dimensions or a clock.

    References
    ----------
    .. [1] CF conventions 1.11, 9.3.3 "Contiguous ragged array representation".
    """
    values, _, sizes = _arrays(dataset, name)
    if sizes.ndim > 1:
        raise SetupError(
            f"{name!r} has a clock or several dimensions, which a contiguous ragged array cannot say.",
            fix="read it with read_ragged.",
        )
    parts = read_ragged(dataset, name)
    attrs = {key: value for key, value in values.attrs.items() if key not in (LAYOUT, PER_ROW, OWN_DIMS)}
    flat = np.concatenate(parts) if parts else np.empty(0, values.dtype)
    row_size = xr.Variable(sizes.dims, np.asarray(sizes), {"sample_dimension": "obs"})
    return xr.Dataset({name: ("obs", flat, attrs), "row_size": row_size})


def _arrays(dataset: xr.Dataset, name: str) -> tuple[xr.Variable, xr.Variable, xr.Variable]:
    if name not in dataset.variables:
        raise SetupError(f"There is no output {name!r}. {close_matches(name, map(str, dataset.variables))}")
    values = dataset.variables[name]
    if values.attrs.get(LAYOUT) != "concatenated":
        raise SetupError(
            f"{name!r} is not concatenated: it has dimensions {values.dims}.",
            fix="index it, as any other variable.",
        )
    return values, dataset.variables[start_name(name)], dataset.variables[size_name(name)]


def _rows(values: xr.Variable, starts: Array, sizes: Array) -> Iterator[tuple[range, Array]]:
    """Yield the simulations of each row and its values as far as any of them has some."""
    per_row = int(values.attrs[PER_ROW])
    for row in range(math.ceil(len(starts) / per_row)):
        simulations = range(row * per_row, min((row + 1) * per_row, len(starts)))
        ends = [int(starts[one]) + _count(sizes[one], values) for one in simulations]
        yield simulations, np.asarray(values[row, : max(ends)])


def _shapes(sizes: Array, values: xr.Variable) -> list[tuple[int, ...]]:
    return [tuple(shape) for shape in sizes.reshape(-1, len(values.attrs[OWN_DIMS])).tolist()]


def _count(sizes: Array, values: xr.Variable) -> int:
    return sum(map(math.prod, _shapes(sizes, values)))


def _cut(flat: Array, sizes: Array, values: xr.Variable) -> Any:
    """Return the values of one simulation: one, or one for each label of its clock."""
    shapes = _shapes(sizes, values)
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    parts = np.split(flat, ends[:-1])
    found = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
    has_clock = sizes.ndim > (len(values.attrs[OWN_DIMS]) > 1)
    return found if has_clock else found[0]

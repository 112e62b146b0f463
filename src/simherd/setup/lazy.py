"""Inputs along the batch that are too large to load: kept as arrays of Dask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from simherd.engine.plan import Array

__all__ = ["LOADED_BYTES", "RowLabels", "as_chunked", "labelled_rows", "stays_lazy", "with_chunks"]

LOADED_BYTES = 16 * 2**20
CHUNK_BYTES = 2**20
MAX_CHUNKS = 4096


def stays_lazy(variable: xr.Variable) -> bool:
    """Return whether values stay where they are: those of more than 16 MiB that are not in memory."""
    is_plain = variable.dtype.kind in "biufcmM"
    return is_plain and not variable._in_memory and variable.nbytes > LOADED_BYTES


def as_chunked(variable: xr.Variable, dim: str) -> xr.Variable:
    """Return a variable backed by Dask, values of a file in chunks that are a part of a block.

    Parameters
    ----------
    variable : Variable
        One that is not in memory.
    dim : str
        The batch dimension. There are about 1 MiB in a chunk, whole chunks of the file where it has any.
    """
    if variable.chunks is not None:
        return variable
    simulations = variable.sizes[dim]
    rows = max(CHUNK_BYTES // max(variable.nbytes // simulations, 1), simulations // MAX_CHUNKS, 1)
    stored = variable.encoding.get("preferred_chunks", {}).get(dim, 1)
    return variable.chunk({dim: -(-rows // stored) * stored})


def with_chunks(dataset: xr.Dataset, dim: str) -> xr.Dataset:
    """Return a dataset whose large variables along a dimension are backed by Dask, not by files alone."""
    large = {n: v for n, v in dataset.data_vars.items() if dim in v.dims and stays_lazy(v.variable)}
    return dataset.assign({name: as_chunked(one.variable, dim) for name, one in large.items()})


@dataclass(frozen=True, slots=True)
class RowLabels:
    """The labels of an input, by which each of its rows becomes a DataArray."""

    dims: tuple[str, ...]
    """Its dimensions, the batch first."""
    coords: xr.Dataset
    """Its coordinates."""
    name: str
    """Its name."""
    attrs: dict[Any, Any]
    """Its attributes."""

    @classmethod
    def of(cls, labelled: xr.DataArray) -> RowLabels:
        """Return the labels of an array."""
        dims = tuple(map(str, labelled.dims))
        return cls(dims, labelled.coords.to_dataset(), str(labelled.name), dict(labelled.attrs))

    def __getitem__(self, rows: Any) -> RowLabels:
        """Return the labels of some rows."""
        return RowLabels(self.dims, self.coords.isel({self.dims[0]: rows}), self.name, self.attrs)

    def __call__(self, values: Array) -> Array:
        """Return rows as an array of DataArrays."""
        coords = self.coords.coords
        return labelled_rows(xr.DataArray(values, coords, self.dims, self.name, self.attrs))


def labelled_rows(labelled: xr.DataArray) -> Array:
    """Return the rows of an array as an array of objects: rows with their labels."""
    rows = np.empty(len(labelled), object)
    for number, row in enumerate(labelled.compute()):
        rows[number] = row
    return rows

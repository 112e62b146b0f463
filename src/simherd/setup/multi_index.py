"""Dimensions with several labels each: taken apart before a run, put together after it.

A store has no multi-index, so that a batch made by `Dataset.stack` runs with its levels as plain coordinates.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import xarray as xr
from xarray.indexes import PandasMultiIndex

__all__ = ["MultiIndexes", "join_levels", "split_levels"]

MultiIndexes = Mapping[str, pd.MultiIndex]


def split_levels(dataset: xr.Dataset) -> tuple[xr.Dataset, MultiIndexes]:
    """Return a dataset without multi-indexes, and those that it had by dimension."""
    found = {
        str(name): index.index
        for name, index in dataset.xindexes.items()
        if isinstance(index, PandasMultiIndex) and name == index.dim
    }
    return dataset.reset_index(list(found)) if found else dataset, found


def join_levels(dataset: xr.Dataset, indexes: MultiIndexes) -> xr.Dataset:
    """Return a dataset with its multi-indexes again, where all their levels are still coordinates."""
    for dim, index in indexes.items():
        if all(name in dataset.coords for name in index.names):
            attrs = {name: dataset[name].attrs for name in index.names}
            levels = xr.Coordinates.from_pandas_multiindex(index, dim)
            dataset = dataset.drop_vars(index.names).assign_coords(levels)
            for name in index.names:
                dataset[name].attrs.update(attrs[name])
    return dataset

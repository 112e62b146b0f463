"""Inputs of column types that only pandas has: nullable numbers, categories."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

__all__ = ["in_numpy_types"]


def in_numpy_types(dataset: xr.Dataset) -> xr.Dataset:
    """Return a dataset whose variables have types of NumPy, which processes compute with and stores hold.

    Nullable integers and booleans become plain ones, or floats with NaN where a value is missing; categories
    become what they stand for.
    """
    found = {
        name: variable.copy(data=_in_numpy_type(variable.data))
        for name, variable in dataset.variables.items()
        if not isinstance(variable.dtype, np.dtype)
    }
    return dataset.assign(found) if found else dataset


def _in_numpy_type(values: Any) -> Any:
    column = pd.Series(values)
    if not pd.api.types.is_numeric_dtype(column.dtype):
        return np.asarray(values)
    if column.isna().any():
        return column.to_numpy(float, na_value=np.nan)
    return column.to_numpy(column.dtype.numpy_dtype)

"""Inputs of column types that only pandas has: nullable numbers, categories."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

__all__ = ["in_numpy_type", "in_numpy_types"]


def in_numpy_types(dataset: xr.Dataset) -> xr.Dataset:
    """Return a dataset whose variables have types of NumPy, which processes compute with and stores hold.

    Nullable integers and booleans become plain ones, or floats with NaN where a value is missing; categories
    become what they stand for.
    """
    made = {name: in_numpy_type(variable) for name, variable in dataset.variables.items()}
    found = {name: variable for name, variable in made.items() if variable is not dataset.variables[name]}
    return dataset.assign(found) if found else dataset


def in_numpy_type(variable: xr.Variable) -> xr.Variable:
    """Return a variable with a type of NumPy, as `in_numpy_types` does for a dataset."""
    if isinstance(variable.dtype, np.dtype):
        return variable
    return variable.copy(data=_as_numpy(variable.data))


def _as_numpy(values: Any) -> Any:
    column = pd.Series(values)
    if not pd.api.types.is_numeric_dtype(column.dtype):
        return np.asarray(values)
    if column.isna().any():
        return column.to_numpy(float, na_value=np.nan)
    return column.to_numpy(getattr(column.dtype, "numpy_dtype", None))

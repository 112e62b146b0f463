"""Inputs in a store: copied as a stream where they are large, left where they are where they are huge."""

from __future__ import annotations

import json
import math
from typing import Any

import xarray as xr

__all__ = ["ELSEWHERE", "aligned", "without_huge"]

ELSEWHERE = "inputs_elsewhere"
"""Attribute of a store: JSON, by name what is known of the inputs that it has no copy of."""
COPIED_BYTES = 2**30
CHUNK_BYTES = 4 * 2**20


def without_huge(dataset: xr.Dataset) -> xr.Dataset:
    """Return a dataset without the inputs of more than 1 GiB that are not in memory.

    What they are, and the file they come from where it is known, is said in an attribute.
    """
    huge = {
        str(name): variable
        for name, variable in dataset.variables.items()
        if variable.chunks is not None and variable.nbytes > COPIED_BYTES
    }
    if not huge:
        return dataset
    said = json.dumps({name: _said_of(variable) for name, variable in huge.items()})
    return dataset.drop_vars(list(huge)).assign_attrs({ELSEWHERE: said})


def _said_of(variable: xr.Variable) -> dict[str, Any]:
    return {
        "dims": list(variable.dims),
        "shape": list(variable.shape),
        "dtype": str(variable.dtype),
        "source": variable.encoding.get("source"),
    }


def aligned(variable: xr.Variable) -> xr.Variable:
    """Return values that are not in memory in chunks as a store can have them: of one size, about 4 MiB."""
    if variable.chunks is None:
        return variable
    sizes = [max(along) for along in variable.chunks]
    nbytes = math.prod(sizes) * variable.dtype.itemsize
    sizes[0] *= max(1, CHUNK_BYTES // nbytes)
    return variable.chunk(dict(zip(variable.dims, sizes, strict=True)))

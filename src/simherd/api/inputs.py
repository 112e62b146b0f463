"""What blocks take their inputs from."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from simherd.ensemble.lazy import LazyInput
from simherd.model.graph import Key
from simherd.setup.lazy import RowLabels
from simherd.setup.planning import Setup

__all__ = ["block_inputs"]


def block_inputs(setup: Setup) -> dict[Key, Any]:
    """Return the inputs that differ between simulations; rows of large ones are read where they run."""
    return {key: _sliceable(values) for key, values in setup.batch_inputs.items()}


def _sliceable(values: Any) -> Any:
    if isinstance(values, np.ndarray):
        return values
    if isinstance(values, xr.DataArray):
        return LazyInput(values.data, RowLabels.of(values))
    return LazyInput(values)

"""The attributes by which a Dataset is known as a setup: xarray-simlab's outside, ours inside."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import xarray as xr

from simherd.setup.clocks import CLOCK_ATTR, MAIN_CLOCK_ATTR, OUTPUTS_ATTR

__all__ = ["CLOCK", "MASTER_CLOCK", "OUTPUT_VARS", "to_ours", "to_theirs"]

CLOCK = "__xsimlab_output_clock__"
MASTER_CLOCK = "__xsimlab_master_clock__"
OUTPUT_VARS = "__xsimlab_output_vars__"

_TO_OURS = {
    CLOCK: CLOCK_ATTR,
    MASTER_CLOCK: MAIN_CLOCK_ATTR,
    "__xsimlab_main_clock__": MAIN_CLOCK_ATTR,  # the unreleased version after 0.5.0
    OUTPUT_VARS: OUTPUTS_ATTR,
}
_TO_THEIRS = {CLOCK_ATTR: CLOCK, MAIN_CLOCK_ATTR: MASTER_CLOCK, OUTPUTS_ATTR: OUTPUT_VARS}


def to_ours(dataset: xr.Dataset) -> xr.Dataset:
    """Return a setup in which our own functions find clocks and outputs."""
    return _renamed(dataset, _TO_OURS)


def to_theirs(dataset: xr.Dataset) -> xr.Dataset:
    """Return a setup in which xarray-simlab 0.5.0 finds clocks and outputs."""
    return _renamed(dataset, _TO_THEIRS)


def _renamed(dataset: xr.Dataset, names: dict[str, str]) -> xr.Dataset:
    dataset = dataset.copy()
    for bearer in _bearers(dataset):
        bearer.attrs = {names.get(str(name), name): value for name, value in bearer.attrs.items()}
    return dataset


def _bearers(dataset: xr.Dataset) -> Iterator[Any]:
    yield dataset
    yield from dataset.coords.values()

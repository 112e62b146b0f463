"""Which integers xarray may mask: those of simulations that are not done, where that changes no other value.

Integers have no NaN, so that their fill value looks like a result. xarray reads an array that has the
attribute ``_FillValue`` as floats with NaN in its place, all of the array. So an output has it only while
simulations are missing, and only if no value of the others is changed by that: none equals the fill value,
and all are exact as floats. While a run writes, nothing is masked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from simherd.engine.block import Status
from simherd.engine.plan import Array
from simherd.engine.values import fill_value_for
from simherd.store.layout import ArrayLayout

__all__ = ["FILL_ATTR", "mask_of", "masks_of"]

FILL_ATTR = "_FillValue"
"""Attribute with the value that xarray reads as missing."""
MAX_BYTES = 4 * 2**30
"""Larger outputs are not looked through, and not masked."""
EXACT = 2**53
"""Largest integer up to which floats have all."""


def masks_of(layouts: Sequence[ArrayLayout], arrays: Sequence[Any]) -> dict[str, int]:
    """Return by name the fill value of each integer output of a batch that is to be masked.

    Parameters
    ----------
    layouts : sequence of ArrayLayout
        The outputs, then status and seconds.
    arrays : sequence of array
        Their arrays, Zarr's or NumPy's.
    """
    is_done = np.asarray(arrays[-2]) == Status.DONE
    if is_done.all():
        return {}
    pairs = zip(layouts[:-2], arrays[:-2], strict=True)
    found = {one.name: mask_of(one, array, is_done) for one, array in pairs if not one.parts}
    return {name: fill for name, fill in found.items() if fill is not None}


def mask_of(layout: ArrayLayout, array: Any, is_done: Array) -> int | None:
    """Return the fill value of an output if it may be masked, else None."""
    if layout.dtype.kind not in "iu" or layout.nbytes > MAX_BYTES:
        return None
    fill = int(fill_value_for(layout.dtype))
    if layout.fill_value != fill:  # the user's own
        return None
    step = getattr(array, "chunks", array.shape)[0]
    for start in range(0, len(is_done), step):
        rows = is_done[start : start + step]
        if rows.any() and not _are_kept(np.asarray(array[start : start + step])[rows], fill):
            return None
    return fill


def _are_kept(values: Array, fill: int) -> bool:
    """Return whether integers stay the same where the fill value is masked."""
    if not values.size:
        return True
    smallest, largest = int(values.min()), int(values.max())
    is_exact = values.dtype.itemsize < 8 or -EXACT <= smallest <= largest <= EXACT
    return is_exact and largest < fill

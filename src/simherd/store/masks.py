"""Which integers xarray may mask: missing ones, where that changes no other value.

Integers have no NaN, so that their fill value looks like a result. xarray reads an array that has the
attribute ``_FillValue`` as floats with NaN in its place, all of the array. So an output has it only while
values are missing, and only if no other value is changed by that: all are exact as floats, and none equals
the fill value. Of 64 bits that is beyond the exact ones, so that where a finished simulation has it, it
stands for what a mask hides, or for where an array is short. A narrower one may be a result, and is not
masked then. While a run writes, nothing is masked.
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
WIDE = 8
"""Bytes of integers of which floats have not all."""


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
    pairs = zip(layouts[:-2], arrays[:-2], strict=True)
    found = {one.name: mask_of(one, array, is_done) for one, array in pairs if not one.parts}
    return {name: fill for name, fill in found.items() if fill is not None}


def mask_of(layout: ArrayLayout, array: Any, is_done: Array) -> int | None:
    """Return the fill value of an output if values are missing and may be masked, else None."""
    if layout.dtype.kind not in "iu" or layout.nbytes > MAX_BYTES:
        return None
    fill = int(fill_value_for(layout.dtype))
    is_missing = not is_done.all()
    is_wide = layout.dtype.itemsize == WIDE
    if layout.fill_value != fill or not (is_wide or is_missing):  # the user's own, or nothing to mask
        return None
    step = getattr(array, "chunks", array.shape)[0]
    for start in range(0, len(is_done), step):
        rows = is_done[start : start + step]
        values = np.asarray(array[start : start + step])[rows] if rows.any() else np.empty(0, layout.dtype)
        if is_wide and values.size and values.max() == fill:
            is_missing = True
            values = values[values != fill]
        if not _are_kept(values, fill):
            return None
    return fill if is_missing else None


def _are_kept(values: Array, fill: int) -> bool:
    """Return whether integers stay the same where the fill value is masked."""
    if not values.size:
        return True
    smallest, largest = int(values.min()), int(values.max())
    is_exact = values.dtype.itemsize < WIDE or -EXACT <= smallest <= largest <= EXACT
    return is_exact and largest < fill

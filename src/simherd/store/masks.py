"""Which integers xarray may mask: missing ones, where that changes no other value.

Integers have no NaN, so that their fill value looks like a result. xarray reads an array that has the
attribute ``_FillValue`` as floats with NaN in its place, all of the array. So an output has it only while
values are missing, and only if no other value is changed by that: all are exact as floats, and none equals
the fill value. Of 64 bits that is beyond the exact ones, so that where a finished simulation has it, it
stands for what a mask hides, or for where an array is short. A narrower one may be a result, and is not
masked then. While a run writes, nothing is masked.

Workers note the range of what they write. Only what other runs have written is read for this at the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from simherd.engine.block import BlockResult, Numbers, Status
from simherd.engine.plan import Array
from simherd.engine.values import fill_value_for
from simherd.store.layout import ArrayLayout

__all__ = ["FILL_ATTR", "BlockIntegers", "IntegerRange", "Noted", "mask_of", "masks_of"]

FILL_ATTR = "_FillValue"
"""Attribute with the value that xarray reads as missing."""
MAX_BYTES = 4 * 2**30
"""Larger outputs are not looked through, and not masked."""
EXACT = 2**53
"""Largest integer up to which floats have all."""
WIDE = 8
"""Bytes of integers of which floats have not all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class IntegerRange:
    """The values that finished simulations have of an integer output, its fill value left out."""

    dtype: np.dtype[Any]
    """Their type, in memory."""
    sizes: tuple[int, ...]
    """Smallest size along each axis but the batch."""
    smallest: int
    """Smallest value, or more than `largest` if there is none."""
    largest: int
    """Largest value."""
    has_fill: bool
    """Whether the fill value occurs."""

    @classmethod
    def of(cls, values: Array) -> IntegerRange:
        """Return the range of values that have the simulations along the first axis."""
        fill, smallest, largest = int(fill_value_for(values.dtype)), 1, 0
        has_fill = bool(values.size) and int(values.max()) == fill
        others = values[values != fill] if has_fill else values
        if others.size:
            smallest, largest = int(others.min()), int(others.max())
        sizes = values.shape[1:]
        return cls(dtype=values.dtype, sizes=sizes, smallest=smallest, largest=largest, has_fill=has_fill)

    def joined(self, other: IntegerRange) -> IntegerRange:
        """Return the range of the values of both."""
        filled = [one for one in (self, other) if one.smallest <= one.largest] or [self]
        return replace(
            self,
            sizes=tuple(map(min, self.sizes, other.sizes)),
            smallest=min(one.smallest for one in filled),
            largest=max(one.largest for one in filled),
            has_fill=self.has_fill or other.has_fill,
        )

    @property
    def is_exact(self) -> bool:
        """Whether floats have all of these values."""
        return self.dtype.itemsize < WIDE or (self.smallest >= -EXACT and self.largest <= EXACT)


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockIntegers:
    """The ranges of a block, noted by who writes it: then nobody has to read it for that."""

    numbers: Numbers
    """The simulations."""
    ranges: tuple[IntegerRange | None, ...]
    """One for each output, None where it has no integers."""

    @classmethod
    def of(cls, result: BlockResult) -> BlockIntegers:
        """Return the ranges of what a block gives."""
        is_done = result.status == Status.DONE
        ranges = (
            IntegerRange.of(_rows(values, is_done)) if _are_integers(values) else None
            for values in result.values
        )
        return cls(numbers=result.numbers, ranges=tuple(ranges))


@dataclass(slots=True)
class Noted:
    """What is known of an integer output without reading it."""

    rows: Array
    """Which simulations of the batch are known, shape (simulations,)."""
    range: IntegerRange | None = None
    """The range of those that finished."""

    def add(self, numbers: Numbers, found: IntegerRange) -> None:
        """Take a block into account."""
        self.rows[np.asarray(numbers)] = True
        self.range = found if self.range is None else self.range.joined(found)


def masks_of(
    layouts: Sequence[ArrayLayout], arrays: Sequence[Any], noted: Mapping[str, Noted] | None = None
) -> dict[str, int]:
    """Return by name the fill value of each integer output of a batch that is to be masked.

    Parameters
    ----------
    layouts : sequence of ArrayLayout
        The outputs, then status and seconds.
    arrays : sequence of array
        Their arrays, Zarr's or NumPy's.
    noted : mapping, optional
        What need not be read, by output.
    """
    is_done = np.asarray(arrays[-2]) == Status.DONE
    pairs = zip(layouts[:-2], arrays[:-2], strict=True)
    known = noted or {}
    found = {
        one.name: mask_of(one, array, is_done, known.get(one.name)) for one, array in pairs if not one.parts
    }
    return {name: fill for name, fill in found.items() if fill is not None}


def mask_of(layout: ArrayLayout, array: Any, is_done: Array, noted: Noted | None = None) -> int | None:
    """Return the fill value of an output if values are missing and may be masked, else None."""
    if layout.dtype.kind not in "iu" or layout.nbytes > MAX_BYTES:
        return None
    fill = int(fill_value_for(layout.dtype))
    is_missing = not is_done.all()
    is_wide = layout.dtype.itemsize == WIDE
    if layout.fill_value != fill or not (is_wide or is_missing):  # the user's own, or nothing to mask
        return None
    for found in _ranges(array, is_done, noted):
        has_fill = found.has_fill or found.sizes != array.shape[1:]
        if not found.is_exact or (has_fill and not is_wide):
            return None
        is_missing = is_missing or has_fill
    return fill if is_missing else None


def _ranges(array: Any, is_done: Array, noted: Noted | None) -> Iterator[IntegerRange]:
    """Yield the ranges of the finished simulations: what was noted, then what has to be read."""
    is_read = is_done
    if noted is not None and noted.range is not None:
        yield noted.range
        is_read = is_done & ~noted.rows
    step = getattr(array, "chunks", array.shape)[0]
    for start in range(0, len(is_done), step):
        rows = is_read[start : start + step]
        if rows.any():
            yield IntegerRange.of(_rows(np.asarray(array[start : start + step]), rows))


def _are_integers(values: Any) -> bool:
    return isinstance(values, np.ndarray) and values.dtype.kind in "iu"


def _rows(values: Any, rows: Array) -> Array:
    found: Array = values if rows.all() else values[rows]
    return found

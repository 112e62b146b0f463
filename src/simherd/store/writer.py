"""Writing the values of blocks: to the arrays of a Zarr group, or of a Dataset in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from simherd.engine.block import BlockResult
from simherd.engine.plan import Array
from simherd.errors import StoreError
from simherd.store.journal import record_failures

__all__ = ["SECONDS", "STATUS", "ArrayWriter", "BlockStore", "BlockWriter"]

STATUS = "simulation_status"
SECONDS = "simulation_seconds"


class BlockWriter(Protocol):
    """What writes the results of blocks."""

    def has_room(self, result: BlockResult) -> bool:
        """Return whether the arrays are large enough."""
        ...

    def write(self, result: BlockResult) -> None:
        """Write the values of a block, then its status."""
        ...


class BlockStore(Protocol):
    """What results end up in."""

    travels: bool
    """Whether workers write for themselves; else results come back and are written here."""

    def writer(self) -> BlockWriter:
        """Return what writes blocks where they run."""
        ...

    def settle(self, result: BlockResult) -> None:
        """Write a block that came back, after making room for it."""
        ...


@dataclass(frozen=True, slots=True)
class ArrayWriter:
    """Writes blocks into arrays that can be assigned to: Zarr's or NumPy's.

    Safe from several workers: a block owns its chunks [1]_.

    References
    ----------
    .. [1] Zarr core specification v3, "Chunk grids".
    """

    outputs: Sequence[Any]
    """The arrays of the outputs, in the order of the plan."""
    has_clock: Sequence[bool]
    """Whether each has an axis for its clock."""
    status: Any
    """The array of ``simulation_status``."""
    seconds: Any
    """The array of ``simulation_seconds``."""
    block_size: int
    """Simulations in a block."""
    journal: Path | None = None
    """Folder whose journal tells why simulations failed."""

    def has_room(self, result: BlockResult) -> bool:
        """Return whether no value is longer than its array."""
        return all(values is None or not _is_longer(array, values) for array, values in self._pairs(result))

    def longer(self, result: BlockResult) -> dict[int, tuple[int, ...]]:
        """Return the shapes that outputs need, by number, where their arrays are too short."""
        return {
            number: (array.shape[0], *map(max, array.shape[1:], values.shape[1:]))
            for number, (array, values) in enumerate(self._pairs(result))
            if values is not None and _is_longer(array, values)
        }

    def _pairs(self, result: BlockResult) -> Iterator[tuple[Any, Array | None]]:
        for array, values, has_clock in zip(self.outputs, result.values, self.has_clock, strict=True):
            yield array, values if values is None or has_clock else values[:, 0]

    def write(self, result: BlockResult) -> None:
        """Write the values of a block, why simulations failed, then their status.

        What is said to be done is there, whenever the run is cut off.

        Raises
        ------
        StoreError
            If the block is not aligned with the chunks of the store.
        """
        where = self._rows(result)
        for array, values in self._pairs(result):
            if values is not None:
                array[(where, *map(slice, values.shape[1:]))] = _as_stored(values, array.dtype)
        if self.journal is not None:
            record_failures(self.journal, result.failures)
        self.seconds[where] = result.seconds
        self.status[where] = result.status

    def _rows(self, result: BlockResult) -> slice:
        stop = result.start + len(result.status)
        total = self.status.shape[0]
        if (
            result.start % self.block_size
            or not (stop % self.block_size == 0 or stop == total)
            or stop > total
        ):
            raise StoreError(
                f"Simulations {result.start} to {stop - 1} are not whole blocks of {self.block_size} "
                f"out of {total}."
            )
        return slice(result.start, stop)


def _is_longer(array: Any, values: Array) -> bool:
    return any(size > room for size, room in zip(values.shape[1:], array.shape[1:], strict=True))


def _as_stored(values: Array, dtype: Any) -> Array:
    """Return texts and objects as texts, which is what Zarr can store of them."""
    if values.dtype.kind == "O" and np.dtype(dtype).kind != "O":
        return np.array([str(v) for v in values.ravel()], dtype=dtype).reshape(values.shape)
    return values

"""Writing the values of blocks: to the arrays of a Zarr group, or of a Dataset in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from simherd.engine.block import BlockResult, Numbers
from simherd.engine.plan import Array
from simherd.errors import StoreError
from simherd.reserved import FINGERPRINT, MODEL, SECONDS, STATUS
from simherd.store.concatenated import ConcatenatedArray
from simherd.store.durable import sync_folder
from simherd.store.journal import record_failures
from simherd.store.masks import BlockIntegers
from simherd.store.os_errors import os_errors_named

__all__ = [
    "FINGERPRINT",
    "MODEL",
    "SECONDS",
    "STATUS",
    "UNFINISHED",
    "ArrayWriter",
    "BlockStore",
    "BlockWriter",
    "chunk_files",
]

UNFINISHED = "pending"
"""What the group of a single simulation says under the name of the status until all is written."""


class BlockWriter(Protocol):
    """What writes the results of blocks."""

    def owns(self, numbers: Numbers) -> bool:
        """Return whether simulations are whole chunks, which nobody else writes."""
        ...

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

    def note_integers(self, block: BlockIntegers) -> None:
        """Hear the range of the integers of a block that was written."""
        ...


@dataclass(frozen=True, slots=True)
class ArrayWriter:
    """Writes blocks into arrays that can be assigned to: Zarr's or NumPy's.

    Safe from several workers for whole chunks: a block owns its chunks [1]_. Other simulations are for
    the client to write, one block after another.

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
    chunk: int
    """Simulations in a chunk."""
    folder: Path | None = None
    """Folder of the store, where the journal tells why simulations failed."""

    def owns(self, numbers: Numbers) -> bool:
        """Return whether simulations are whole chunks."""
        return (
            isinstance(numbers, range)
            and numbers.start % self.chunk == 0
            and (numbers.stop % self.chunk == 0 or numbers.stop == self.status.shape[0])
        )

    def has_room(self, result: BlockResult) -> bool:
        """Return whether no value is longer than its array."""
        return all(
            values is None or not _is_longer(array, result.numbers, values)
            for array, values in self._pairs(result)
        )

    def longer(self, result: BlockResult) -> dict[int, tuple[int, ...]]:
        """Return the shapes that outputs need, by number, where their arrays are too short."""
        return {
            number: _needed(array, result.numbers, values)
            for number, (array, values) in enumerate(self._pairs(result))
            if values is not None and _is_longer(array, result.numbers, values)
        }

    def _pairs(self, result: BlockResult) -> Iterator[tuple[Any, Any]]:
        for array, values, has_clock in zip(self.outputs, result.values, self.has_clock, strict=True):
            yield array, values if values is None or has_clock else values[:, 0]  # type: ignore[index]

    def write(self, result: BlockResult) -> None:
        """Write the values of simulations, why some failed, then their status.

        Each is on the disk before the next begins: what is said to be done is there, whenever the run,
        or the machine, is cut off.

        Raises
        ------
        StoreError
            If there are no such simulations, or the disk does not take them.
        """
        if not len(result.numbers):
            return
        if result.numbers[-1] >= self.status.shape[0]:
            raise StoreError(
                f"Simulation {result.numbers[-1]} is beyond the store, which has {self.status.shape[0]}."
            )
        first, last = result.numbers[0], result.numbers[-1]
        with os_errors_named(f"write simulations {first} to {last} of", self.folder):
            self._write(result)

    def _write(self, result: BlockResult) -> None:
        values = [(array, v) for array, v in self._pairs(result) if v is not None]
        self._put([*values, *self._without_values(result)], result.numbers)
        if self.folder is not None:
            record_failures(self.folder, result.failures)
        self._put([(self.seconds, result.seconds)], result.numbers)
        self._put([(self.status, result.status)], result.numbers)

    def _without_values(self, result: BlockResult) -> Iterator[tuple[Any, Any]]:
        """Yield arrays in which all simulations failed, where an earlier run may have left values."""
        if self.folder is None:
            return
        for array in (array for array, values in self._pairs(result) if values is None):
            size = array.size if isinstance(array, ConcatenatedArray) else array
            if any(path.exists() for path in chunk_files(size, result.numbers, size.shape)):
                yield array, _nothing(array, len(result.numbers))

    def _put(self, pairs: Sequence[tuple[Any, Any]], numbers: Numbers) -> None:
        """Assign values to the rows of arrays, and wait until they are on the disk if there is one."""
        arrays: list[Any] = []
        for array, values in pairs:
            if isinstance(array, ConcatenatedArray):
                arrays += array.write(numbers, values)
            else:
                values = _with_a_chunk(values, array)
                _assign(array, numbers, _as_stored(values, array.dtype))
                arrays.append(array)
        if self.folder is not None:
            for array in arrays:
                sync_folder(Path(array.store.root) / array.path)


def _assign(array: Any, numbers: Numbers, values: Array) -> None:
    rest = tuple(map(slice, values.shape[1:]))
    try:
        if isinstance(numbers, range):
            array[(slice(numbers.start, numbers.stop), *rest)] = values
        else:
            getattr(array, "oindex", array)[(numbers, *rest)] = values
    except (ValueError, RuntimeError) as error:  # what codecs raise of a chunk that is there already
        _name_damaged_chunk(array, numbers, error)
        raise


def _name_damaged_chunk(array: Any, numbers: Numbers, error: Exception) -> None:
    """Raise an error that names the chunk of an array which cannot be read, if there is one."""
    from simherd.store.opening import chunk_path, damages, unreadable_chunk

    if not hasattr(array, "cdata_shape"):
        return
    rows = np.unique(np.asarray(numbers) // array.chunks[0]).tolist()
    places = ((row, *inner) for row in rows for inner in np.ndindex(array.cdata_shape[1:]))
    for place, said in damages(array, places):
        raise unreadable_chunk(chunk_path(array, place), said) from error


def _with_a_chunk(values: Array, array: Any) -> Array:
    """Return values of which something is written, also if they are empty: no file means that it is lost."""
    if values.size or 0 in array.shape:
        return values
    return np.full([max(size, 1) for size in values.shape], array.fill_value, array.dtype)


def _nothing(array: Any, simulations: int) -> Any:
    """Return what stands in an array where simulations have no value."""
    if isinstance(array, ConcatenatedArray):
        return array.nothing(simulations)
    return np.full((simulations, *array.shape[1:]), array.fill_value, array.dtype)


def chunk_files(array: Any, numbers: Numbers, shape: tuple[int, ...]) -> Iterator[Path]:
    """Yield the files of a Zarr array that hold some of its rows, up to a shape along other axes."""
    folder = Path(array.store.root) / array.path
    rows = np.unique(np.asarray(numbers) // array.chunks[0]).tolist()
    others = (range(-(-size // chunk)) for size, chunk in zip(shape[1:], array.chunks[1:], strict=True))
    for place in product(rows, *others):
        yield folder / array.metadata.encode_chunk_key(place)


def _is_longer(array: Any, numbers: Numbers, values: Any) -> bool:
    if isinstance(array, ConcatenatedArray):
        return array.needed(numbers, values) > array.items
    return any(size > room for size, room in zip(values.shape[1:], array.shape[1:], strict=True))


def _needed(array: Any, numbers: Numbers, values: Any) -> tuple[int, ...]:
    if isinstance(array, ConcatenatedArray):
        return (array.shape[0], array.needed(numbers, values))
    return (array.shape[0], *map(max, array.shape[1:], values.shape[1:]))


def _as_stored(values: Array, dtype: Any) -> Array:
    """Return texts and objects as texts, which is what Zarr can store of them."""
    if values.dtype.kind == "O" and np.dtype(dtype).kind != "O":
        return np.array([str(v) for v in values.ravel()], dtype=dtype).reshape(values.shape)
    return values

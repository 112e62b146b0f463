"""Values of finished simulations that are not in the store any more: chunks whose files are missing.

All chunks that a block writes become files, also those that hold nothing but the fill value. So a file that
is not there was removed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from zarr.codecs import Crc32cCodec

from simherd.engine.block import Status
from simherd.engine.plan import Array
from simherd.store.batch_store import read_fingerprint
from simherd.store.concatenated import ConcatenatedArray, size_name, start_name
from simherd.store.opening import Place, chunk_path, open_array, open_folder
from simherd.store.writer import FINGERPRINT, MODEL, SECONDS, STATUS
from simherd.store.zarr_store import ZarrStore

__all__ = [
    "MissingChunk",
    "NeededChunks",
    "chunk_path",
    "find_lost",
    "lost_inputs",
    "lost_simulations",
    "missing_chunks",
    "needed_chunks",
    "needed_inputs",
    "written_chunks",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class MissingChunk:
    """A chunk without a file, though finished simulations have values in it."""

    path: Path | str
    """Where its file was."""
    simulations: Array
    """Positions of those simulations in the batch."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NeededChunks:
    """The chunks of an array that hold values of finished simulations."""

    array: Any
    """The array of Zarr."""
    simulations: dict[int, Array]
    """Positions of the finished simulations, by the row of chunks that they are in."""
    places: set[Place]
    """Numbers of the chunks along the leading axes. Along the others there are as many as values need."""


def find_lost(store: ZarrStore, status: Array) -> list[MissingChunk]:
    """Return which chunks of finished simulations are missing in the store of a batch.

    Parameters
    ----------
    store : ZarrStore
        A store in a folder.
    status : ndarray, shape (simulations,)
        What became of each simulation.

    Raises
    ------
    StoreError
        If an array that tells which chunks are needed cannot be read.
    """
    return [
        MissingChunk(path=chunk_path(needed.array, place), simulations=needed.simulations[place[0]])
        for needed in needed_chunks(store, status)
        for place in missing_chunks(written_chunks(needed.array), needed.places, needed.array.ndim)
    ]


def lost_simulations(chunks: Sequence[MissingChunk]) -> Array:
    """Return the finished simulations that have values in missing chunks, in the order of the batch."""
    return np.unique(np.concatenate([np.empty(0, np.int64), *(chunk.simulations for chunk in chunks)]))


def needed_chunks(store: ZarrStore, status: Array) -> Iterator[NeededChunks]:
    """Yield the chunks of the outputs that hold values of finished simulations, array by array."""
    is_done = status == Status.DONE
    if not is_done.any():
        return
    for layout, array in zip(store.layouts[:-2], store.arrays[:-2], strict=True):
        if isinstance(array, ConcatenatedArray):
            yield from _needed_of_concatenated(array, is_done)
        elif 0 not in array.shape:
            rows = _rows(is_done, array.chunks[0])
            clock = [range(array.cdata_shape[1])] if layout.has_clock else []
            yield NeededChunks(array=array, simulations=rows, places=set(product(rows, *clock)))


def needed_inputs(folder: Path) -> Iterator[NeededChunks]:
    """Yield the chunks of the inputs and coordinates of a store in a folder, array by array.

    They are all chunks of those that have checksums; earlier versions of simherd wrote none, and no chunks
    with nothing but zeros.
    """
    group = open_folder(folder)
    outputs = read_fingerprint(folder)["outputs"] if (folder / FINGERPRINT).exists() else {}
    parts = {part(name) for name in outputs for part in (start_name, size_name)}
    others = {STATUS, SECONDS, MODEL, *outputs, *parts}
    for name in sorted(path.parent.name for path in folder.glob("*/zarr.json")):
        if name not in others:
            array = open_array(group, name)
            is_whole = any(isinstance(codec, Crc32cCodec) for codec in array.metadata.codecs)
            places = set(np.ndindex(array.cdata_shape)) if is_whole else written_chunks(array)
            yield NeededChunks(array=array, simulations={}, places=places)


def lost_inputs(folder: Path) -> list[str]:
    """Return the names of the inputs and coordinates of a store of which chunks are missing."""
    return [
        needed.array.basename
        for needed in needed_inputs(folder)
        if missing_chunks(written_chunks(needed.array), needed.places, needed.array.ndim)
    ]


def _needed_of_concatenated(array: ConcatenatedArray, is_done: Array) -> Iterator[NeededChunks]:
    for part in (array.start, array.size):
        rows = _rows(is_done, part.chunks[0])
        inner = map(range, part.cdata_shape[1:])
        yield NeededChunks(array=part, simulations=rows, places=set(product(rows, *inner)))
    rows, ends = _rows(is_done, array.per_row), array.ends()
    chunk = array.values.chunks[1]
    used = {row: -(-int(ends[members].max()) // chunk) for row, members in rows.items()}
    places: set[Place] = {(row, number) for row, count in used.items() for number in range(count)}
    yield NeededChunks(array=array.values, simulations=rows, places=places)


def _rows(is_done: Array, chunk: int) -> dict[int, Array]:
    """Return the finished simulations by the row of chunks that they are in."""
    numbers = np.flatnonzero(is_done)
    rows = numbers // chunk
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    return dict(zip(rows[starts].tolist(), np.split(numbers, starts[1:]), strict=True))


def missing_chunks(present: set[Place], leading: set[Place], ndim: int) -> list[Place]:
    """Return the chunks of an array that are missing, in order.

    Parameters
    ----------
    present : set of tuple of int
        Chunks that have files.
    leading : set of tuple of int
        Numbers, along the leading axes, of the chunks that are needed.
    ndim : int
        Axes of the array. Values can end anywhere along those that are not leading ones, but they begin at
        0 and have no gap.
    """
    known = len(next(iter(leading), ()))
    wanted = {(*place, *[0] * (ndim - known)) for place in leading}
    for place in present:
        if place[:known] in leading:
            wanted.update(_before(place, axis) for axis in range(known, ndim) if place[axis])
    return sorted(wanted - present)


def _before(place: Place, axis: int) -> Place:
    return (*place[:axis], place[axis] - 1, *place[axis + 1 :])


def written_chunks(array: Any) -> set[Place]:
    """Return the chunks of an array in a folder that have files."""
    with os.scandir(Path(array.store.root) / array.path) as entries:
        keys = [entry.name.split(".") for entry in entries]
    return {tuple(map(int, key[1:])) for key in keys if key[0] == "c" and all(map(str.isdecimal, key[1:]))}

"""Reading all that a store holds of what is done, to see whether it is whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import zarr

from simherd.errors import SimherdError
from simherd.store.batch_store import is_begun, open_as_written, outcomes_of, read_fingerprint
from simherd.store.lost import NeededChunks, missing_chunks, needed_chunks, needed_inputs, written_chunks
from simherd.store.opening import chunk_path, damages, open_array, unreadable_chunk
from simherd.store.reading import open_store
from simherd.store.writer import FINGERPRINT, STATUS, UNFINISHED

__all__ = ["CheckedArray", "Damage", "check_store", "naming_damaged_inputs"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Damage:
    """A chunk that is missing or cannot be read."""

    path: Path | str
    """Its file."""
    is_there: bool
    """Whether there is a file."""
    problem: str
    """What is wrong with it."""
    simulations: tuple[int, ...]
    """Finished simulations that have values in it; none where all simulations have them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckedArray:
    """What was found in an array of a store."""

    name: str
    """Name of the array."""
    chunks: int
    """Chunks that have to be there."""
    damages: tuple[Damage, ...]
    """Those that are not, or cannot be read."""


def check_store(path: Path) -> Iterator[CheckedArray]:
    """Read all inputs of a store, and all outputs of finished simulations; yield what is found.

    Every chunk has a checksum, so one that can be read is as it was written.

    Raises
    ------
    StoreError
        If it is no store, or its metadata is damaged.
    """
    group = open_store(path)
    for needed in (*_outputs(group, path), *needed_inputs(path)):
        yield _checked(needed)


@contextmanager
def naming_damaged_inputs(path: Path) -> Iterator[None]:
    """Let an error that comes of a damaged input, or coordinate, name its file.

    Raises
    ------
    StoreError
        If there was such an error.
    """
    try:
        yield
    except SimherdError:
        raise
    except Exception as error:  # xarray and Zarr raise errors of many kinds
        checked = (_checked(needed) for needed in needed_inputs(path))
        damage = next((damage for array in checked for damage in array.damages), None)
        if damage is None:
            raise
        raise unreadable_chunk(damage.path, damage.problem) from error


def _outputs(group: zarr.Group, path: Path) -> Iterator[NeededChunks]:
    if is_begun(path):
        store = open_as_written(path)
        yield from needed_chunks(store, outcomes_of(store, STATUS))
    elif group.attrs.get(STATUS) != UNFINISHED and (path / FINGERPRINT).exists():
        for name, (clock, _) in read_fingerprint(path)["outputs"].items():
            yield _of_one_simulation(open_array(group, name), clock is not None)


def _of_one_simulation(array: Any, has_clock: bool) -> NeededChunks:
    axes = [range(array.cdata_shape[0])] if has_clock else []
    places = set(product(*axes)) if 0 not in array.shape else set()
    return NeededChunks(array=array, simulations={}, places=places)


def _checked(needed: NeededChunks) -> CheckedArray:
    array, present = needed.array, written_chunks(needed.array)
    known = len(next(iter(needed.places), ()))
    missing = missing_chunks(present, needed.places, array.ndim)
    there = sorted(place for place in present if place[:known] in needed.places)
    problems = [(place, False, "it is missing") for place in missing]
    problems += [(place, True, said) for place, said in damages(array, there)]
    found = [
        Damage(
            path=chunk_path(array, place),
            is_there=is_there,
            problem=said,
            simulations=tuple(map(int, needed.simulations.get(place[0], ()))) if place else (),
        )
        for place, is_there, said in problems
    ]
    return CheckedArray(name=array.basename, chunks=len(missing) + len(there), damages=tuple(found))

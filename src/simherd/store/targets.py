"""What users give as a store, checked before the first simulation."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from fsspec import FSMap
from fsspec.implementations.local import LocalFileSystem
from zarr.abc.store import Store
from zarr.storage import FsspecStore, LocalStore, MemoryStore

from simherd.errors import StoreError, StoreExistsError
from simherd.store.places import as_folder, check_replaceable, check_writable

__all__ = ["as_target", "check_names", "emptied"]

PROBE = "simherd_probe"


def as_target(store: Any, may_exist: bool = False, overwrite: bool = False) -> Any:
    """Return a path as a folder that can be made, and all else as a group that can be written.

    Parameters
    ----------
    store : path, mapping, zarr store or zarr.Group
        Where results are to be written.
    may_exist : bool, optional
        Whether the folder may be there, because a run goes on in it.
    overwrite : bool, optional
        Whether a folder may be there, because the new store replaces it.

    Raises
    ------
    StoreError
        If it is an address, a place where nothing can be written, or none of these.
    """
    if isinstance(store, str | Path):
        folder = as_folder(store)
        if overwrite:
            check_replaceable(folder)
        elif not (may_exist and folder.exists()):
            check_writable(folder)
        return folder
    group = _as_group(store)
    _check_group(group)
    return group


def _as_group(store: Any) -> zarr.Group:
    if isinstance(store, zarr.Group):
        return _opened(store.store, store.path)
    if isinstance(store, FSMap):
        is_folder = isinstance(store.fs, LocalFileSystem)
        store = LocalStore(store.root) if is_folder else FsspecStore.from_mapper(store)
    elif isinstance(store, MutableMapping):
        store = MemoryStore(store)
    if not isinstance(store, Store):
        raise StoreError(
            f"Cannot write to a store of type {type(store).__name__}.",
            fix="give a path, a store of Zarr or a zarr.Group.",
        )
    return _opened(store, "")


def _opened(store: Store, path: str) -> zarr.Group:
    """Return a group as it is, not as consolidated metadata says that it was."""
    _check_can_replace(store)
    try:
        return zarr.open_group(store, path=path, mode="a", use_consolidated=False)
    except Exception as error:  # each store raises errors of its own
        raise _unusable(store, error) from error


def _check_can_replace(store: Store) -> None:
    if store.read_only or not store.supports_writes:
        raise StoreError(
            f"Cannot write to {_named(store)}: it is read-only.", fix="open it for writing, with mode='a'."
        )
    if not store.supports_deletes:
        raise StoreError(
            f"Cannot write to {_named(store)}: it cannot replace what it holds, as a run does.",
            fix="write to a folder, and pack that afterwards.",
        )


def _check_group(group: zarr.Group) -> None:
    """Raise an error if a group cannot take arrays, before any simulation runs for it."""
    if group.metadata.zarr_format != 3:
        raise StoreError(
            f"Cannot write to a group of Zarr format {group.metadata.zarr_format}.",
            fix="give one of format 3: zarr.open_group(..., zarr_format=3).",
        )
    try:
        _probe(group)
    except Exception as error:  # each store raises errors of its own
        raise _unusable(group.store, error) from error


def _probe(group: zarr.Group) -> None:
    """Do all that a run does to a group once, and leave nothing of it."""
    array = group.create_array(PROBE, shape=(1,), chunks=(1,), dtype="u1", overwrite=True)
    for value in (1, 2):
        array[:] = value
    array.resize((2,))
    if np.asarray(array).tolist() != [2, 0]:
        raise ValueError("it does not give back what was written to it")
    del group[PROBE]


def _unusable(store: Store, error: Exception) -> StoreError:
    said = " ".join(str(error).split()).removesuffix(".") or type(error).__name__
    return StoreError(f"Cannot write to {_named(store)}: {said}.", fix="give a store that can be written.")


def _named(store: Store) -> str:
    return f"a store of type {type(store).__name__}"


def check_names(group: zarr.Group, names: Iterable[str], overwrite: bool) -> None:
    """Raise an error if a group has arrays with the names of those of a run already.

    Parameters
    ----------
    group : zarr.Group
        Where results are to be written.
    names : iterable of str
        Arrays that a run will make.
    overwrite : bool
        Whether those of an earlier run may be there.

    Raises
    ------
    StoreExistsError
        If it has.
    """
    if overwrite and "simherd_version" in group.attrs:
        return
    taken = sorted(set(names) & set(group.keys()))
    if taken:
        raise StoreExistsError(
            f"The store already contains {', '.join(taken)}.",
            fix="give an empty group, or replace what simherd wrote to this one with overwrite=True.",
        )


def emptied(group: zarr.Group) -> zarr.Group:
    """Return a group after removing all that an earlier run of simherd wrote to it."""
    if "simherd_version" in group.attrs:
        for name in list(group.keys()):
            del group[name]
        group.attrs.clear()
    return group

"""Opening what a run wrote: damage of any kind is one error that names the file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import zarr
from zarr.errors import ArrayNotFoundError, GroupNotFoundError
from zarr.storage import LocalStore

from simherd.engine.plan import Array
from simherd.errors import StoreError
from simherd.store.checkpoints import CHECKPOINTS
from simherd.store.journal import JOURNAL
from simherd.store.marks import FOLDER

__all__ = [
    "Place",
    "check_own_folders",
    "chunk_path",
    "damages",
    "open_array",
    "open_folder",
    "read_array",
    "unreadable_chunk",
]

Place: TypeAlias = tuple[int, ...]

METADATA = "zarr.json"


def open_folder(folder: Path, store: LocalStore | None = None) -> zarr.Group:
    """Return the group in a folder.

    Parameters
    ----------
    folder : Path
        Folder of a store.
    store : LocalStore, optional
        The folder as a store of Zarr that can be written; a read-only one by default.

    Raises
    ------
    StoreError
        If there is no group, or its metadata is damaged.
    """
    is_read_only = store is None
    store = store or LocalStore(folder, read_only=True)
    try:
        return zarr.open_group(store, mode="r" if is_read_only else "r+", use_consolidated=False)
    except Exception as error:  # Zarr raises errors of many kinds for metadata of the wrong form
        raise _no_group(folder, error) from error


def _no_group(folder: Path, error: Exception) -> StoreError:
    path = folder / METADATA
    if path.exists():
        return _unreadable(path, _said_of_json(path) or str(error))
    if any(folder.glob(f"*/{METADATA}")):
        return _unreadable(path, "it is missing")
    there = "it is not a Zarr group" if folder.exists() else "no such folder"
    return StoreError(
        f"Cannot read the store {str(folder)!r}: {there}.",
        fix="give the folder that a run wrote (run.store of its experiment, or --store).",
    )


def _said_of_json(path: Path) -> str:
    """Return what is wrong with a file of metadata as JSON; "" if nothing is."""
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        return str(error.strerror)
    except (ValueError, RecursionError) as error:
        return f"it is no JSON ({error})" if path.stat().st_size else "it is empty"
    return "" if isinstance(found, dict) else "it holds no JSON object"


def open_array(group: zarr.Group, name: str) -> Any:
    """Return an array of a group.

    Raises
    ------
    StoreError
        If it is missing, or its metadata is damaged.
    """
    try:
        return zarr.open_array(group.store, path=_joined(group.path, name), mode=_mode(group))
    except Exception as error:  # as above
        path = _path(group, f"{name}/{METADATA}")
        is_missing = isinstance(error, ArrayNotFoundError | GroupNotFoundError | FileNotFoundError)
        said = "it is missing" if is_missing else str(error)
        if isinstance(path, Path) and path.exists():
            said = _said_of_json(path) or str(error)
        raise _unreadable(path, said) from error


def _mode(group: zarr.Group) -> Any:
    return "r" if group.store.read_only else "r+"


def _joined(*parts: str) -> str:
    return "/".join(part for part in parts if part)


def _path(group: zarr.Group, name: str) -> Path | str:
    """Return where something in a group is: a file, if the group is in a folder."""
    key = _joined(group.path, name)
    return Path(group.store.root) / key if isinstance(group.store, LocalStore) else key


def read_array(array: Any) -> Array:
    """Return all values of an array.

    Raises
    ------
    StoreError
        If a chunk cannot be read; names its file.
    """
    try:
        return np.asarray(array[...])
    except Exception as error:  # as above
        found = next(damages(array, np.ndindex(array.cdata_shape)), None)
        if found is None:
            raise
        raise unreadable_chunk(chunk_path(array, found[0]), found[1]) from error


def unreadable_chunk(path: Path | str, said: str) -> StoreError:
    """Return the error for a chunk that cannot be read."""
    return StoreError(
        f"Cannot read {str(path)!r}: {said}.",
        fix="remove that file and run with resume=True, which makes what it held again.",
        cli_fix="remove that file and run with --resume, which makes what it held again.",
    )


def damages(array: Any, places: Iterable[Place]) -> Iterator[tuple[Place, str]]:
    """Yield those of some chunks of an array that cannot be read, and why.

    Parameters
    ----------
    array : zarr.Array
        The array.
    places : iterable of tuple of int
        Numbers of the chunks along each axis.
    """
    for place in places:
        try:
            array.blocks[place] if place else array[...]
        except Exception as error:  # each codec raises errors of its own
            path = chunk_path(array, place)
            is_empty = isinstance(path, Path) and path.is_file() and not path.stat().st_size
            yield place, "it is empty" if is_empty else str(error) or type(error).__name__


def chunk_path(array: Any, place: Place) -> Path | str:
    """Return where a chunk of an array is: a file, if the array is in a folder."""
    key = _joined(array.path, array.metadata.encode_chunk_key(place))
    return Path(array.store.root) / key if isinstance(array.store, LocalStore) else key


def _unreadable(path: Path | str, said: str) -> StoreError:
    """Return the error for metadata that cannot be read."""
    return StoreError(
        f"Cannot read {str(path)!r}: {said}.",
        fix="restore that file from a copy, or write to another store. The arrays are left as they are.",
    )


def check_own_folders(store: Path) -> None:
    """Raise an error if a folder that a run needs in its store is a symbolic link, or something else.

    A link that another user has planted would lead the run to files of this user. The store itself, and the
    folders above it, may be links.

    Raises
    ------
    StoreError
        If so.
    """
    for path in sorted(store.iterdir()):
        is_own = path.name in (FOLDER, CHECKPOINTS, JOURNAL)
        if path.is_symlink() and (is_own or not path.is_file()):
            raise StoreError(
                f"Cannot write the store {str(store)!r}: {str(path)!r} is a symbolic link, and no folder in "
                "a store may be one.",
                fix="remove that link, which another user may have planted. To keep results elsewhere, let "
                "the path of the whole store be a link.",
            )
        if is_own and not path.is_dir():
            raise StoreError(
                f"Cannot write the store {str(store)!r}: {str(path)!r} has to be a folder, it is a file.",
                fix="move that file elsewhere.",
            )

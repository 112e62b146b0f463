"""Where stores are: paths, groups that users give, and what shows from outside."""

from __future__ import annotations

import os
import tempfile
from collections.abc import MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.abc.store import Store
from zarr.storage import MemoryStore

from simherd.engine.block import Status
from simherd.engine.plan import Array
from simherd.errors import StoreError, StoreExistsError
from simherd.store.opening import open_array, open_folder, read_array
from simherd.store.writer import STATUS

__all__ = ["as_folder", "as_target", "check_writable", "read_status", "store_size"]


def check_writable(path: Path) -> None:
    """Raise an error if a new store cannot be made at a path.

    Raises
    ------
    StoreExistsError
        If something is there already.
    StoreError
        If its folder cannot be written.
    """
    if os.path.exists(path) and (not path.is_dir() or any(path.iterdir())):
        raise _exists(path)
    parent = next(p for p in (path, *path.absolute().parents) if os.path.exists(p))
    try:
        # Making one is the only proof: permissions say nothing of a read-only file system
        os.rmdir(tempfile.mkdtemp(prefix=".simherd-", dir=parent))
    except OSError as error:
        raise StoreError(
            f"Cannot write the store {str(path)!r}: no folder can be made in {str(parent)!r} "
            f"({error.strerror}).",
            fix="write to another folder (--store PATH).",
        ) from error


def _exists(path: Path) -> StoreExistsError:
    status = read_status(str(path)) if path.is_dir() else None
    if status is not None and (pending := np.count_nonzero(status == Status.PENDING)):
        return StoreExistsError(
            f"Cannot write the store {str(path)!r}: it exists already, and {pending} of its {len(status)} "
            "simulations have not run yet.",
            fix="go on in it (--resume), or write to another one (--store PATH).",
        )
    return StoreExistsError(
        f"Cannot write the store {str(path)!r}: it exists already.",
        fix="write to another one (--store PATH), or remove this one first.",
    )


def as_target(store: Any, may_exist: bool = False) -> Any:
    """Return a path as a folder that can be made, and a mapping or a store of Zarr as the group in it.

    Parameters
    ----------
    store : path, mapping, zarr store or zarr.Group
        Where results are to be written.
    may_exist : bool, optional
        Whether the folder may be there, because a run goes on in it.

    Raises
    ------
    StoreError
        If it is an address, a place where nothing can be written, or none of these.
    """
    if isinstance(store, str | Path):
        folder = as_folder(store)
        if not (may_exist and folder.exists()):
            check_writable(folder)
        return folder
    if isinstance(store, MutableMapping):
        store = MemoryStore(store)
    if isinstance(store, Store):
        return zarr.open_group(store, mode="a")
    if not isinstance(store, zarr.Group):
        raise StoreError(
            f"Cannot write to a store of type {type(store).__name__}.",
            fix="give a path, a store of Zarr or a zarr.Group.",
        )
    return store


def as_folder(store: str | Path) -> Path:
    """Return the one path of a store: absolute and without links, wherever the process goes from here.

    Raises
    ------
    StoreError
        If it is an address such as ``s3://...``, or the root of the file system.
    """
    if "://" in str(store):
        raise StoreError(
            f"Cannot write the store {str(store)!r}: only folders of a file system can be written.",
            fix="give a path, or a zarr.Group of your own.",
        )
    folder = Path(os.path.realpath(store))
    if not folder.name:
        raise StoreError(
            f"{str(store)!r} is no store: it is the root of the file system.",
            fix="name a folder (--store PATH).",
        )
    return folder


def store_size(path: Path) -> tuple[int, int]:
    """Return bytes and number of files of a store."""
    sizes = []
    for folder, _, names in os.walk(path):
        for name in names:
            with suppress(FileNotFoundError):  # a run that ends at this moment removes its marks
                sizes.append(os.stat(os.path.join(folder, name)).st_size)
    return sum(sizes), len(sizes)


def read_status(store: str | None) -> Array | None:
    """Return what became of the simulations of a store, or None if it has none yet.

    Raises
    ------
    StoreError
        If it is damaged.
    """
    if store is None or not (Path(store) / STATUS).is_dir():
        return None
    return read_array(open_array(open_folder(Path(store)), STATUS))

"""Where stores are: which paths a run can write, and what shows of them from outside."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import numpy as np

from simherd.engine.block import Status
from simherd.engine.plan import Array
from simherd.errors import StoreError, StoreExistsError
from simherd.store.beside import UNBORN, name_beside
from simherd.store.opening import open_array, open_folder, read_array
from simherd.store.writer import STATUS

__all__ = ["as_folder", "check_replaceable", "check_writable", "read_status", "store_size"]

NETCDF = (".nc", ".nc4", ".cdf", ".h5", ".hdf5")
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z")
TABLES = (".csv", ".parquet", ".json", ".npz", ".npy", ".pkl")


def check_writable(path: Path) -> None:
    """Raise an error if a new store cannot be made at a path.

    Raises
    ------
    StoreExistsError
        If something is there already.
    StoreError
        If its folder cannot be written, or its name is that of a file of another kind.
    """
    _check_name(path)
    if os.path.exists(path) and (not path.is_dir() or any(path.iterdir())):
        raise _exists(path)
    _check_folder(path, next(p for p in (path, *path.absolute().parents) if os.path.exists(p)))


def check_replaceable(path: Path) -> None:
    """Raise an error if a new store cannot take the place of what is at a path.

    Raises
    ------
    StoreExistsError
        If that is something else than a store that simherd made.
    StoreError
        If the folder that it is in cannot be written.
    """
    if not os.path.exists(path) or (path.is_dir() and not any(path.iterdir())):
        check_writable(path)
    elif not is_made_by_simherd(path):
        raise StoreExistsError(
            f"Cannot replace {str(path)!r}: it is not a store that simherd made.",
            fix="write to another store, or remove it first.",
            cli_fix="write to another store (--store PATH), or remove it first.",
        )
    else:
        _check_folder(path, path.parent)


def is_made_by_simherd(path: Path) -> bool:
    """Return whether a folder is a store that simherd made, also if that is damaged."""
    if (path / "fingerprint.json").is_file() or (path / STATUS / "zarr.json").is_file():
        return True
    try:
        return "simherd_version" in open_folder(path).attrs
    except StoreError:
        return False


def _check_name(path: Path) -> None:
    kind = path.suffix.lower()
    fixes = {
        NETCDF: "name it NAME.zarr. Then xarray.open_zarr('NAME.zarr').to_netcdf('NAME.nc') converts it.",
        ARCHIVES: "name it NAME.zarr, and pack that folder after the run.",
        TABLES: "name it NAME.zarr.",
    }
    for kinds, fix in fixes.items():
        if kind in kinds:
            raise StoreError(
                f"Cannot write the store {str(path)!r}: it is a folder, not a file of the kind {kind!r}.",
                fix=fix,
            )


def _check_folder(path: Path, parent: Path) -> None:
    try:
        # Making one is the only proof: permissions say nothing of a read-only file system
        probe = name_beside(parent / path.name, UNBORN)
        probe.mkdir()
        with suppress(FileNotFoundError):  # a share that cleans up has removed it
            probe.rmdir()
    except OSError as error:
        raise StoreError(
            f"Cannot write the store {str(path)!r}: no folder can be made in {str(parent)!r} "
            f"({error.strerror}).",
            fix="write to another folder.",
            cli_fix="write to another folder (--store PATH).",
        ) from error


def _exists(path: Path) -> StoreExistsError:
    if not is_made_by_simherd(path):
        return StoreExistsError(
            f"Cannot write the store {str(path)!r}: something else is there, which simherd did not make.",
            fix="write to another store.",
            cli_fix="write to another store (--store PATH).",
        )
    return StoreExistsError(
        f"Cannot write the store {str(path)!r}: it exists already{_left_in(path)}.",
        fix="go on in it with resume=True, replace it with overwrite=True, or write to another store.",
        cli_fix="go on in it (--resume), replace it (--overwrite), or write to another store (--store PATH).",
    )


def _left_in(path: Path) -> str:
    try:
        status = read_status(str(path))
    except StoreError:  # a damaged store exists, too
        return ""
    if status is None or not (pending := np.count_nonzero(status == Status.PENDING)):
        return ""
    return f", and {pending} of its {len(status)} simulations have not run yet"


def as_folder(store: str | Path) -> Path:
    """Return the one path of a store: absolute and without links, wherever the process goes from here.

    Raises
    ------
    StoreError
        If it is an address such as ``s3://...``, or the root of the file system.
    """
    if "://" in str(store):
        raise StoreError(
            f"Cannot use the store {str(store)!r}: a text is the path of a folder.",
            fix="give a path, or a store of Zarr such as zarr.storage.FsspecStore.from_url(...).",
            cli_fix="give a path; run(..., store=...) of Python takes stores of Zarr, too.",
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

"""The store of a batch: born whole, opened again when a run goes on, made longer for a larger batch."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr

from simherd.engine.block import Numbers, Status
from simherd.engine.plan import Array
from simherd.errors import StoreMismatchError
from simherd.setup.fingerprint import is_fingerprint
from simherd.store.beside import UNBORN, name_beside
from simherd.store.concatenated import LAYOUT, size_name, start_name
from simherd.store.durable import make_folders, replace_file, sync_files, sync_folder
from simherd.store.durable_store import DurableStore
from simherd.store.inputs import without_huge
from simherd.store.layout import ArrayLayout
from simherd.store.opening import open_array, open_folder, read_array
from simherd.store.os_errors import os_errors_named
from simherd.store.replacing import put_back, set_aside
from simherd.store.signing import IDENTITY
from simherd.store.writer import FINGERPRINT, MODEL, SECONDS, STATUS
from simherd.store.zarr_store import ZarrStore

__all__ = [
    "FINGERPRINT",
    "SECONDS",
    "STATUS",
    "bear_store",
    "create_batch_store",
    "identity_of",
    "is_begun",
    "lengthen",
    "open_as_written",
    "outcomes_of",
    "read_fingerprint",
    "reopen_batch_store",
    "set_pending",
    "write_fingerprint",
]


def create_batch_store(
    target: Path,
    base: xr.Dataset,
    layouts: Sequence[ArrayLayout],
    fingerprint: Mapping[str, Any],
    *,
    replaces: bool = False,
) -> ZarrStore:
    """Make the store of a batch, under another name until it is complete and on the disk.

    Parameters
    ----------
    target : Path
        Its folder.
    base : Dataset
        Inputs and coordinates.
    layouts : sequence of ArrayLayout
        The outputs, in the order of the plan, then status and seconds.
    fingerprint : mapping
        What tells the run from others.
    replaces : bool, optional
        Whether it takes the place of a store that is there.

    Raises
    ------
    StoreError
        If it cannot be written, or there is something in the folder.
    """
    bear_store(target, base, layouts, fingerprint, replaces=replaces)
    has_clock = {one.name: one.has_clock for one in layouts[:-2]}
    return reopen_batch_store(target, base, has_clock)


def bear_store(
    target: Path,
    base: xr.Dataset,
    layouts: Sequence[ArrayLayout],
    fingerprint: Mapping[str, Any],
    *,
    is_durable: bool = True,
    replaces: bool = False,
) -> None:
    """Make a store that is whole, or not there, whenever this is cut off; see `create_batch_store`.

    Not durable is one that has to be whole after a kill only, not when the machine goes down.
    """
    unborn = name_beside(target, UNBORN)
    try:
        with os_errors_named("make", target):
            make_folders(target.parent)
            unborn.mkdir()  # fails where anything has that name, a planted link too
            ZarrStore(unborn, base, layouts)
            write_fingerprint(unborn, fingerprint, is_durable=False)
            if is_durable:
                sync_files(path for path in unborn.rglob("*") if path.is_file())
            if replaces:
                set_aside(target)
            unborn.rename(target)
            if is_durable:
                sync_folder(target.parent)
    finally:
        shutil.rmtree(unborn, ignore_errors=True)
        if not target.exists():
            put_back(target)


def is_begun(folder: Path) -> bool:
    """Return whether a folder is the store of a batch, also if that is damaged."""
    return (folder / STATUS).is_dir() or (
        (folder / FINGERPRINT).exists() and read_fingerprint(folder)["batch_dim"] is not None
    )


def read_fingerprint(folder: Path) -> dict[str, Any]:
    """Return what a store says of the run that it is of.

    Raises
    ------
    StoreMismatchError
        If it says nothing, or what it says has another form than simherd writes.
    """
    try:
        found = json.loads((folder / FINGERPRINT).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise _unknown_run(folder, str(error)) from error
    if not is_fingerprint(found):
        raise _unknown_run(folder, "it has another form than simherd writes")
    return dict(found)


def _unknown_run(folder: Path, said: str) -> StoreMismatchError:
    return StoreMismatchError(
        f"The store {str(folder)!r} does not say what run it is of: {str(folder / FINGERPRINT)!r} cannot be "
        f"read ({said}).",
        fix="restore that file from a copy, or write to another store.",
        cli_fix="restore that file from a copy, or write to another store (--store PATH).",
    )


def write_fingerprint(folder: Path, fingerprint: Mapping[str, Any], *, is_durable: bool = True) -> None:
    """Let a store say what run it is of. It keeps its identity; one that says nothing yet gets one."""
    is_new = not (folder / FINGERPRINT).exists()
    identity = {IDENTITY: secrets.token_hex(16)} if is_new else identity_of(folder)
    said = json.dumps({**fingerprint, **identity})
    replace_file(folder / FINGERPRINT, said.encode(), is_durable=is_durable)


def identity_of(folder: Path) -> dict[str, str]:
    """Return the part of the fingerprint of a store that is its identity, empty where it has none."""
    stored = read_fingerprint(folder)
    return {IDENTITY: stored[IDENTITY]} if IDENTITY in stored else {}


def reopen_batch_store(folder: Path, base: xr.Dataset, has_clock: Mapping[str, bool]) -> ZarrStore:
    """Open the store of a batch for writing.

    Parameters
    ----------
    folder : Path
        Its folder.
    base : Dataset
        Inputs and coordinates, as they are in memory.
    has_clock : mapping
        The outputs by name, in the order of the plan, and whether each has an axis for its clock.

    Raises
    ------
    StoreError
        If the operating system refuses.
    """
    with os_errors_named("open", folder):
        group = open_folder(folder, DurableStore(folder))
        layouts = [_layout_of_output(group, name, is_along) for name, is_along in has_clock.items()]
        layouts += [_layout_of(open_array(group, name), False) for name in (STATUS, SECONDS)]
        return ZarrStore.of(group, base, layouts)


def open_as_written(folder: Path) -> ZarrStore:
    """Return the store of a batch as it says itself that it was written, without its inputs.

    Raises
    ------
    StoreError
        If it is damaged.
    """
    outputs = read_fingerprint(folder)["outputs"]
    return reopen_batch_store(
        folder, xr.Dataset(), {n: clock is not None for n, (clock, _) in outputs.items()}
    )


def _layout_of_output(group: zarr.Group, name: str, has_clock: bool) -> ArrayLayout:
    layout = _layout_of(open_array(group, name), has_clock)
    if LAYOUT not in layout.attrs:
        return layout
    parts = tuple(_layout_of(open_array(group, part), False) for part in (start_name(name), size_name(name)))
    return replace(layout, has_clock=True, parts=parts)


def _layout_of(array: Any, has_clock: bool) -> ArrayLayout:
    return ArrayLayout(
        name=array.basename,
        dims=tuple(array.metadata.dimension_names),
        shape=array.shape,
        chunks=array.chunks,
        dtype=np.dtype(object) if array.dtype.kind == "T" else array.dtype,
        fill_value=array.fill_value,
        attrs=dict(array.attrs),
        has_clock=has_clock,
    )


def lengthen(store: ZarrStore, base: xr.Dataset, dim: str, fingerprint: Mapping[str, Any]) -> None:
    """Make a store longer along the batch, for a larger one that begins with the same simulations.

    Readers see the old batch or the new one: they take sizes from the consolidated metadata, one file, which
    is replaced when all arrays are longer. The fingerprint is last, so that a resumed run does again what was
    cut off.

    Parameters
    ----------
    store : ZarrStore
        The store of the smaller batch.
    base : Dataset
        Inputs and coordinates of the larger one.
    dim : str
        The batch dimension.
    fingerprint : mapping
        What tells the larger batch from other runs.

    Raises
    ------
    StoreError
        If the operating system refuses.
    """
    with os_errors_named("lengthen", store.folder):
        _lengthen(store, base, dim, fingerprint)


def _lengthen(store: ZarrStore, base: xr.Dataset, dim: str, fingerprint: Mapping[str, Any]) -> None:
    size, folder = base.sizes[dim], store.folder
    assert folder is not None
    others = [n for n, v in base.variables.items() if dim not in v.dims or str(n) not in store.group]
    along = base.drop_vars(others)
    for name, variable in along.variables.items():
        array: Any = store.group[str(name)]
        array.resize(variable.shape)
    store.write_rows(along.drop_attrs(deep=False), dim, int(read_fingerprint(folder)["simulations"]))
    for array in store.arrays[:-2] + store.arrays[:-3:-1]:
        array.resize((size, *array.shape[1:]))
    versions: Any = store.group.get(MODEL)
    if versions is not None:
        versions.resize((size,))
    for path in folder.glob("*/zarr.json"):
        sync_folder(path.parent)
    store.publish({**store.group.attrs, **without_huge(base).attrs})
    write_fingerprint(folder, fingerprint)
    sync_folder(folder)


def outcomes_of(store: ZarrStore, name: str) -> Array:
    """Return what the store of a batch says of each simulation, shape (simulations,).

    Parameters
    ----------
    store : ZarrStore
        Store of a batch.
    name : str
        `STATUS` for what became of them, `SECONDS` for how long they took, NaN if they did not run.

    Raises
    ------
    StoreError
        If it is damaged, or the operating system refuses.
    """
    place = {STATUS: -2, SECONDS: -1}[name]
    with os_errors_named(f"read {name} of", store.folder):
        return read_array(store.arrays[place])


def set_pending(store: ZarrStore, numbers: Numbers) -> None:
    """Say of simulations that are to run again that they are pending, so that it can be gone on with.

    Parameters
    ----------
    store : ZarrStore
        Store of a batch.
    numbers : range or array of int
        Positions of the simulations.

    Raises
    ------
    StoreError
        If the operating system refuses.
    """
    with os_errors_named("mark simulations as pending in", store.folder):
        _set_pending(store, numbers)


def _set_pending(store: ZarrStore, numbers: Numbers) -> None:
    *_, status, seconds = store.arrays
    chunk, again = status.chunks[0], np.asarray(numbers)
    rows = slice(again[0] // chunk * chunk, (again[-1] // chunk + 1) * chunk)  # other runs may write the rest
    if not status[rows].any():
        return
    assert store.folder is not None
    for name, array, nothing in ((SECONDS, seconds, np.nan), (STATUS, status, Status.PENDING)):
        values = np.asarray(array[rows]).copy()
        values[again - rows.start] = nothing
        array[rows] = values
        sync_folder(store.folder / name)

"""The store of a batch: born whole, opened again when a run goes on, made longer for a larger batch."""

from __future__ import annotations

import glob
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from zarr.storage import LocalStore

from simherd.engine.block import Numbers, Status
from simherd.engine.plan import Array
from simherd.errors import StoreError, StoreMismatchError
from simherd.store.concatenated import LAYOUT, size_name, start_name
from simherd.store.durable import remove_leftovers, sync_files
from simherd.store.inputs import without_huge
from simherd.store.layout import ArrayLayout
from simherd.store.marks import remove_marks
from simherd.store.writer import SECONDS, STATUS
from simherd.store.zarr_store import ZarrStore

__all__ = [
    "FINGERPRINT",
    "bear_store",
    "clean_up",
    "create_batch_store",
    "is_begun",
    "lengthen",
    "partial_folder",
    "read_fingerprint",
    "reopen_batch_store",
    "set_pending",
    "status_of",
]

FINGERPRINT = "fingerprint.json"


def create_batch_store(
    target: Path, base: xr.Dataset, layouts: Sequence[ArrayLayout], fingerprint: Mapping[str, Any]
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

    Raises
    ------
    StoreError
        If it cannot be written, or there is something in the folder.
    """
    bear_store(target, base, layouts, fingerprint)
    has_clock = {one.name: one.has_clock for one in layouts[:-2]}
    return reopen_batch_store(target, base, has_clock)


def bear_store(
    target: Path,
    base: xr.Dataset,
    layouts: Sequence[ArrayLayout],
    fingerprint: Mapping[str, Any],
    *,
    is_durable: bool = True,
) -> None:
    """Make a store that is whole, or not there, whenever this is cut off; see `create_batch_store`.

    Not durable is one that has to be whole after a kill only, not when the machine goes down.
    """
    unborn = partial_folder(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        ZarrStore(unborn, base, layouts)
        _write_fingerprint(unborn, fingerprint)
        if is_durable:
            sync_files(path for path in unborn.rglob("*") if path.is_file())
        unborn.rename(target)
    except OSError as error:
        raise StoreError(f"Cannot write the store {str(target)!r}: {error}.") from error
    finally:
        shutil.rmtree(unborn, ignore_errors=True)


def partial_folder(target: Path) -> Path:
    """Return where a store is while it is not whole; `clean_up` removes it."""
    return target.with_name(f".{target.name}.{os.getpid()}.partial")


def is_begun(folder: Path) -> bool:
    """Return whether a folder is the store of a batch."""
    return (folder / STATUS / "zarr.json").exists()


def read_fingerprint(folder: Path) -> dict[str, Any]:
    """Return what a store says of the run that it is of.

    Raises
    ------
    StoreMismatchError
        If it says nothing.
    """
    try:
        return dict(json.loads((folder / FINGERPRINT).read_text()))
    except (OSError, ValueError) as error:
        raise StoreMismatchError(
            f"Cannot go on in the store {str(folder)!r}: it does not say what run it is of ({error}).",
            fix="write to another store (--store PATH).",
        ) from error


def _write_fingerprint(folder: Path, fingerprint: Mapping[str, Any]) -> None:
    unfinished = folder / f"{FINGERPRINT}.partial"
    unfinished.write_text(json.dumps(fingerprint))
    unfinished.rename(folder / FINGERPRINT)


def clean_up(target: Path) -> None:
    """Remove what killed runs left of a store and in it, while nobody writes to it."""
    for unborn in target.parent.glob(f".{glob.escape(target.name)}.*.partial"):
        if unborn.name.removeprefix(f".{target.name}.").removesuffix(".partial").isdecimal():
            shutil.rmtree(unborn, ignore_errors=True)
    if target.exists():
        remove_marks(target)
        remove_leftovers(target)


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
    """
    group = zarr.open_group(LocalStore(folder), mode="r+", use_consolidated=False)
    layouts = [_layout_of_output(group, name, is_along) for name, is_along in has_clock.items()]
    layouts += [_layout_of(group[name], False) for name in (STATUS, SECONDS)]
    return ZarrStore.of(group, base, layouts)


def _layout_of_output(group: zarr.Group, name: str, has_clock: bool) -> ArrayLayout:
    layout = _layout_of(group[name], has_clock)
    if LAYOUT not in layout.attrs:
        return layout
    parts = tuple(_layout_of(group[part], False) for part in (start_name(name), size_name(name)))
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

    Readers see the old size until all arrays have the new one; the fingerprint is last, so that what was
    cut off is done again.

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
    """
    size = base.sizes[dim]
    kept = [name for name in base.variables if str(name) in store.group]
    along = base[[name for name in kept if dim in base.variables[name].dims]]
    for name, variable in along.variables.items():
        array: Any = store.group[str(name)]
        array.resize(variable.shape)
        if variable.chunks is not None:
            along[name] = variable.chunk(dict(zip(variable.dims, array.chunks, strict=True)))
    store.group.attrs.update(without_huge(base).attrs)
    store.write_region(along.drop_attrs(deep=False), dim)
    for array in store.arrays[:-2] + store.arrays[:-3:-1]:
        array.resize((size, *array.shape[1:]))
    store.consolidate()
    folder = store.folder
    assert folder is not None
    written = [path for name in along.variables for path in (folder / str(name)).iterdir()]
    sync_files({*written, *folder.glob("*/zarr.json"), folder / "zarr.json"})
    _write_fingerprint(folder, fingerprint)
    sync_files([folder / FINGERPRINT])


def status_of(store: ZarrStore) -> Array:
    """Return what became of the simulations of a batch, shape (simulations,)."""
    return np.asarray(store.arrays[-2])


def set_pending(store: ZarrStore, numbers: Numbers) -> None:
    """Say of simulations that are to run again that they are pending, so that it can be gone on with.

    Parameters
    ----------
    store : ZarrStore
        Store of a batch.
    numbers : range or array of int
        Positions of the simulations.
    """
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
        sync_files((store.folder / name).iterdir())

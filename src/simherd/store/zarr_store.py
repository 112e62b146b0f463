"""The Zarr v3 group that a run writes and xarray opens.

The client makes the group and all its arrays before the first block runs. Workers only write chunks:
never metadata, never the size of an array. So the store is valid at every moment.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.storage import LocalStore

from simherd.errors import StoreError, StoreExistsError
from simherd.setup.planning import JSON_ATTR
from simherd.store.layout import ArrayLayout
from simherd.store.writer import ArrayWriter

__all__ = ["ZarrStore", "check_writable", "store_size"]

CHUNK_KEYS: Any = {"name": "default", "separator": "."}
INPUT_CHUNK_BYTES = 64 * 2**20


def check_writable(path: Path) -> None:
    """Raise an error if a new store cannot be made at a path.

    Raises
    ------
    StoreExistsError
        If something is there already.
    StoreError
        If its folder cannot be written.
    """
    if "://" in str(path):
        raise StoreError(
            f"Cannot write the store {str(path)!r}: only folders of a file system can be written.",
            fix="give a path, or a zarr.Group of your own.",
        )
    if os.path.exists(path) and (not path.is_dir() or any(path.iterdir())):
        raise StoreExistsError(
            f"Cannot write the store {str(path)!r}: it exists already.",
            fix="write to another one (--store PATH), or remove this one first.",
        )
    parent = next(p for p in (path, *path.absolute().parents) if os.path.exists(p))
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        reason = "no permission to write in" if parent.is_dir() else "not a folder:"
        raise StoreError(
            f"Cannot write the store {str(path)!r}: {reason} {str(parent)!r}.",
            fix="write to another folder (--store PATH).",
        )


def store_size(path: Path) -> tuple[int, int]:
    """Return bytes and number of files of a store."""
    files = [entry for entry in path.rglob("*") if entry.is_file()]
    return sum(entry.stat().st_size for entry in files), len(files)


class ZarrStore:
    """A group whose arrays blocks are written to.

    Parameters
    ----------
    target : Path or zarr.Group
        Where it is made; a group may hold other arrays already.
    base : Dataset
        Inputs and coordinates, written at once.
    layouts : sequence of ArrayLayout
        The outputs, in the order of the plan, then status and seconds in a batch.

    Raises
    ------
    StoreExistsError
        If the path, or an array in the group, exists.
    StoreError
        If it cannot be written.
    """

    def __init__(self, target: Path | zarr.Group, base: xr.Dataset, layouts: Sequence[ArrayLayout]) -> None:
        if isinstance(target, Path):
            check_writable(target)
        try:
            self.group = self._create(target, base, layouts)
        except OSError as error:
            if isinstance(error, StoreExistsError):
                raise
            raise StoreError(f"Cannot write the store: {error}.") from error

    def _create(
        self, target: Path | zarr.Group, base: xr.Dataset, layouts: Sequence[ArrayLayout]
    ) -> zarr.Group:
        group = zarr.open_group(LocalStore(target), mode="a") if isinstance(target, Path) else target
        names = {one.name for one in layouts}
        taken = (names | set(map(str, base.variables))) & set(group.array_keys())
        if taken:
            raise StoreExistsError(
                f"The store already contains {', '.join(sorted(taken))}.",
                fix="give an empty group.",
            )
        stored = _storable(base.drop_vars([n for n in names if n in base.variables]))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=zarr.errors.ZarrUserWarning)
            stored.to_zarr(
                group.store,
                group=group.path or None,
                mode="a",
                consolidated=False,
                encoding={str(n): _input_encoding(v) for n, v in stored.variables.items()},
            )
            self.arrays = [_create_array(group, one) for one in layouts]
            zarr.consolidate_metadata(group.store, path=group.path or None)
        return group

    def writer(self, has_clock: Sequence[bool], block_size: int) -> ArrayWriter:
        """Return what writes the blocks of a batch."""
        *outputs, status, seconds = self.arrays
        travels = isinstance(self.group.store, LocalStore)
        return ArrayWriter(outputs, has_clock, status, seconds, block_size, travels)

    def open(self, decoding: Mapping[str, Any] | None = None) -> xr.Dataset:
        """Return the result, its arrays loaded when they are read."""
        options = {"chunks": {}, "consolidated": not self.group.path, **(decoding or {})}
        result: xr.Dataset = xr.open_zarr(self.group.store, group=self.group.path or None, **options)
        return result


def _create_array(group: zarr.Group, layout: ArrayLayout) -> Any:
    compressors = layout.compressors
    if isinstance(compressors, str):
        compressors = [ZstdCodec(level=0), Crc32cCodec()]
    is_text = layout.dtype.kind in "OUT"
    array = group.create_array(
        layout.name,
        shape=layout.shape,
        dtype=str if is_text else layout.dtype,
        chunks=layout.chunks,
        compressors=compressors,
        fill_value="" if is_text else layout.fill_value,
        dimension_names=layout.dims,
        attributes=dict(layout.attrs),
        chunk_key_encoding=CHUNK_KEYS,
    )
    return array.with_config({"write_empty_chunks": True})


def _storable(dataset: xr.Dataset) -> xr.Dataset:
    """Return a dataset as a store can hold it: objects as JSON, without those that JSON cannot say."""
    objects = {
        name: _as_json(variable)
        for name, variable in dataset.variables.items()
        if variable.dtype.kind == "O"
        and not isinstance(dataset.indexes.get(name), xr.CFTimeIndex)
        and not all(isinstance(v, str) for v in variable.values.ravel())
    }
    texts = {name: variable for name, variable in objects.items() if variable is not None}
    stored = dataset.drop_vars(list(objects)).assign(texts).drop_encoding()
    fixed = {n: v.astype(object) for n, v in stored.variables.items() if v.dtype.kind == "U"}
    return stored.assign(fixed)


def _as_json(variable: xr.Variable) -> xr.Variable | None:
    if variable.ndim:
        return None
    try:
        text = json.dumps(variable.values.item())
    except (TypeError, ValueError):
        return None
    return xr.Variable((), text, {**variable.attrs, JSON_ATTR: 1})


def _input_encoding(variable: xr.Variable) -> dict[str, Any]:
    """Return an encoding with as few files as can be: one chunk, unless the array is huge."""
    encoding: dict[str, Any] = {"chunk_key_encoding": CHUNK_KEYS}
    if variable.ndim:
        rows = max(1, INPUT_CHUNK_BYTES // max(variable.nbytes // max(variable.shape[0], 1), 1))
        encoding["chunks"] = tuple(max(s, 1) for s in (min(rows, variable.shape[0]), *variable.shape[1:]))
    if variable.dtype.kind == "f":
        encoding["_FillValue"] = None
    if np.issubdtype(variable.dtype, np.timedelta64):
        encoding["dtype"] = "int64"
    return encoding

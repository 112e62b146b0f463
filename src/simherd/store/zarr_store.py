"""The Zarr v3 group that a run writes and xarray opens.

The client makes the group and all its arrays before the first block runs. Workers only write chunks:
never metadata, never the size of an array. So the store is valid at every moment.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import xarray as xr
import zarr
from xarray.backends.zarr import encode_zarr_attr_value
from zarr.abc.store import Store
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.core.sync import sync
from zarr.storage import LocalStore, MemoryStore

from simherd.engine.block import BlockResult
from simherd.engine.plan import Array
from simherd.errors import SimherdError, StoreError, StoreExistsError
from simherd.setup.objects import decode_objects, encode_objects
from simherd.store.attributes import json_attrs
from simherd.store.concatenated import ROOM, ConcatenatedArray
from simherd.store.durable import sync_folder
from simherd.store.durable_store import as_durable
from simherd.store.inputs import aligned, without_huge
from simherd.store.layout import ArrayLayout, concatenated, with_common_sizes
from simherd.store.masks import FILL_ATTR, BlockIntegers, Noted, masks_of
from simherd.store.os_errors import os_errors_named
from simherd.store.places import check_writable
from simherd.store.shares import metadata_lock
from simherd.store.writer import ArrayWriter

__all__ = ["ZarrStore"]

COORDINATES = "coordinates"
"""Attribute of a group in which xarray names the coordinates along dimensions that no variable has."""
COMPRESSORS: Any = (ZstdCodec(level=0), Crc32cCodec())
"""Of all arrays, unless the user wants others: a chunk that can be read is as it was written."""
CHUNK_KEYS: Any = {"name": "default", "separator": "."}
"""In a folder: there is no folder for each chunk along the batch."""
INPUT_CHUNK_BYTES = 64 * 2**20
_TIME_UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}


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

    def __init__(
        self,
        target: Path | zarr.Group,
        base: xr.Dataset,
        layouts: Sequence[ArrayLayout] = (),
    ) -> None:
        if isinstance(target, Path):
            check_writable(target)
        self.layouts = list(layouts)
        self._noted: dict[str, Noted] = {}
        self.texts: dict[Any, np.dtype[Any]] = {}
        with (
            _foreign_errors_named(target),
            os_errors_named("make", target if isinstance(target, Path) else None),
        ):
            self.group = self._create(target, base, layouts)

    @classmethod
    def of(cls, group: zarr.Group, base: xr.Dataset, layouts: Sequence[ArrayLayout]) -> ZarrStore:
        """Return the store that a group is, whose arrays exist.

        Parameters
        ----------
        group : zarr.Group
            A group that a run made.
        base : Dataset
            Its inputs and coordinates, as they are in memory.
        layouts : sequence of ArrayLayout
            Its outputs, in the order of the plan, then status and seconds.
        """
        store = cls.__new__(cls)
        store.group = group
        store.layouts = list(layouts)
        store._noted = {}
        store.texts = _texts_of(base)
        store.arrays = [_opened(group, one) for one in layouts]
        return store

    def _create(
        self, target: Path | zarr.Group, base: xr.Dataset, layouts: Sequence[ArrayLayout]
    ) -> zarr.Group:
        group = (
            zarr.open_group(LocalStore(target), mode="a") if isinstance(target, Path) else as_durable(target)
        )
        names = {one.name for layout in layouts for one in (layout, *layout.parts)}
        taken = (names | set(map(str, base.variables))) & set(group.array_keys())
        if taken:
            raise StoreExistsError(
                f"The store already contains {', '.join(sorted(taken))}.",
                fix="give an empty group.",
            )
        self._add_base(group, base.drop_vars([n for n in names if n in base.variables]))
        self.arrays = [_create_array(group, one) for one in layouts]
        _consolidate(group)
        return group

    def _add_base(self, group: zarr.Group, base: xr.Dataset) -> None:
        self.texts |= _texts_of(base)
        with _quiet_zarr():
            _write(group, _storable(without_huge(base)))

    @property
    def travels(self) -> bool:
        """Whether workers can write for themselves."""
        return self.folder is not None

    def writer(self) -> ArrayWriter:
        """Return what writes the blocks of a batch."""
        *outputs, status, seconds = self.arrays
        has_clock = [one.has_clock for one in self.layouts[:-2]]
        return ArrayWriter(outputs, has_clock, status, seconds, status.chunks[0], self.folder)

    @property
    def folder(self) -> Path | None:
        """The folder of the group, if it is in one."""
        store = self.group.store
        return Path(store.root) / self.group.path if isinstance(store, LocalStore) else None

    def settle(self, result: BlockResult) -> None:
        """Write a block that came back, after making room for it.

        Making arrays longer changes their metadata only: the chunks that others write meanwhile stay
        where they are.
        """
        with _foreign_errors_named(self.group):
            with os_errors_named("make room in", self.folder):
                if self.writer().longer(result):
                    with nullcontext() if self.folder is None else metadata_lock(self.folder):
                        self._make_longer(result)
            self.writer().write(result)

    def note_integers(self, block: BlockIntegers) -> None:
        """Remember the range of the integers of a block that was written."""
        for layout, found in zip(self.layouts[:-2], block.ranges, strict=True):
            if found is not None and found.dtype == layout.dtype and not layout.parts:
                inner = found if layout.has_clock else replace(found, sizes=found.sizes[1:])
                nothing = Noted(np.zeros(self.arrays[-2].shape, bool))
                self._noted.setdefault(layout.name, nothing).add(block.numbers, inner)

    def _make_longer(self, result: BlockResult) -> None:
        """Let arrays have room for a block; another run may have made them longer meanwhile."""
        self.arrays = [_opened(self.group, one) for one in self.layouts]
        longer = with_common_sizes(self.layouts, self.arrays, self.writer().longer(result))
        for number, shape in longer.items():
            array = self.arrays[number]
            if isinstance(array, ConcatenatedArray):
                array.make_room(shape[1])
            else:
                array.resize(shape)
        self.consolidate()

    def make_room(self) -> None:
        """Prepare for workers: concatenated values get much more room, and no integers are masked."""
        self._set_room(lambda array: max(array.items, ROOM * max(array.used(), array.values.chunks[1])))
        self._set_masks({})

    def close_up(self) -> None:
        """Finish after all workers: cut rows of concatenated values to the longest, and mask integers."""
        self._set_room(ConcatenatedArray.used)
        with os_errors_named("read the integers of", self.folder):
            masks = masks_of(self.layouts, self.arrays, self._noted)
        self._set_masks(masks)

    def _set_masks(self, masks: Mapping[str, int]) -> None:
        """Say of integer outputs which value xarray masks, and of all others that it masks none."""
        with os_errors_named("set the attributes of", self.folder):
            group, has_changed = as_durable(self.group), False
            for layout in (one for one in self.layouts[:-2] if one.dtype.kind in "iu" and not one.parts):
                attrs: Any = group[layout.name].attrs
                now, wanted = attrs.get(FILL_ATTR), masks.get(layout.name)
                if now != wanted and now in (None, layout.fill_value):
                    attrs.put(_with(attrs, FILL_ATTR, wanted))
                    has_changed = True
            if has_changed:
                self.consolidate()

    def _set_room(self, items: Callable[[ConcatenatedArray], int]) -> None:
        """Change metadata only: what is beyond has no files, or no simulation that it belongs to."""
        with os_errors_named("set the sizes of", self.folder):
            self.arrays = [_opened(self.group, one) for one in self.layouts]
            found = [array for array in self.arrays if isinstance(array, ConcatenatedArray)]
            for array in found:
                shape = (array.values.shape[0], max(items(array), 1))
                sync(array.values.async_array.resize(shape, delete_outside_chunks=False))
            if found:
                self.consolidate()

    def add(self, layout: ArrayLayout) -> Any:
        """Make one more array and return it; `consolidate` when there are no more to make."""
        array = _create_array(self.group, layout)
        self.layouts.append(layout)
        self.arrays.append(array)
        return array

    def array(self, name: str) -> Any:
        """Return an array that exists."""
        return _filled(self.group[name])

    def consolidate(self) -> None:
        """Gather the metadata of all arrays in one place, from where they are read at once."""
        _consolidate(as_durable(self.group))

    def mend_sizes(self) -> None:
        """Show readers the sizes of all arrays, if a run was cut off before it did so.

        They take sizes from the consolidated metadata, and would miss what is written beyond.
        """
        with os_errors_named("read the sizes of", self.folder):
            shown = {name: array.shape for name, array in _consolidated_arrays(self.group).items()}
            if shown != {name: array.shape for name, array in _arrays(self.group).items()}:
                self.consolidate()

    def sizes_along(self, dim: str) -> set[int]:
        """Return how long the arrays along a dimension are; several sizes if a run was cut off meanwhile."""
        with os_errors_named("read the sizes of", self.folder):
            arrays = _arrays(self.group).values()
        dims = [array.metadata.dimension_names or () for array in arrays]
        return {a.shape[names.index(dim)] for a, names in zip(arrays, dims, strict=True) if dim in names}

    def write_rows(self, dataset: xr.Dataset, dim: str, first: int) -> None:
        """Write the rows from `first` on of variables along a dimension whose arrays exist."""
        size = dataset.sizes[dim]
        if first >= size:
            return
        with _quiet_zarr():
            stored = _storable(dataset.isel({dim: slice(first, None)}))
            lazy = {
                name: _in_chunks_of(cast(Any, self.group[str(name)]), variable, dim, first)
                for name, variable in stored.variables.items()
                if variable.chunks is not None
            }
            # Of a region xarray leaves out what has an index
            stored.assign(lazy).drop_indexes(list(stored.indexes)).to_zarr(
                self.group.store,
                group=self.group.path or None,
                region={dim: slice(first, size)},
                consolidated=False,
                write_empty_chunks=True,
                safe_chunks=False,  # xarray refuses a first chunk that is in part there already
            )

    def write_again(self, base: xr.Dataset, names: Collection[str]) -> None:
        """Write the values of inputs and coordinates again that are in memory."""
        held = base.drop_vars(
            [n for n, v in base.variables.items() if n not in names or v.chunks is not None]
        )
        if held.variables:
            copy = zarr.open_group(MemoryStore(), mode="w")
            self._add_base(copy, held)
            for name, array in copy.arrays():
                _filled(self.group[name])[...] = array[...]

    def add_coords(self, base: xr.Dataset) -> None:
        """Write coordinates that became known only now."""
        new = base.drop_vars([name for name in base.variables if str(name) in self.group])
        if new.coords:
            self._add_base(self.group, new)

    def publish(self, attrs: Mapping[Any, Any]) -> None:
        """Show readers the arrays as they are now, then other attributes of the group.

        Each is one file that replaces another, so that a reader, and a run after a kill, finds arrays that
        fit each other. In a folder it is on the disk in the end.
        """
        self.consolidate()
        with _quiet_zarr():
            whole = self._whole()
            kept = {COORDINATES: whole.attrs[COORDINATES]} if COORDINATES in whole.attrs else {}
            whole.attrs.put(kept | {str(name): _as_attribute(value) for name, value in attrs.items()})
        if self.folder is not None:
            sync_folder(self.folder)

    def attribute(self, name: str, default: Any) -> Any:
        """Return an attribute of the group as it is now."""
        with _quiet_zarr():
            return self._whole().attrs.get(name, default)

    def set_attribute(self, name: str, value: Any) -> None:
        """Set an attribute of the group; the others stay."""
        with _quiet_zarr():
            self._whole().attrs[name] = value

    def _whole(self) -> zarr.Group:
        """Return the group with its consolidated metadata, which it keeps when its attributes change."""
        group = as_durable(self.group)
        return zarr.open_group(
            group.store,
            path=group.path or None,
            mode="r+",
            use_consolidated=group.store.supports_consolidated_metadata,
        )

    def open(self, decoding: Mapping[str, Any] | None = None) -> xr.Dataset:
        """Return the result, its arrays loaded when they are read."""
        is_consolidated = not self.group.path and self.group.store.supports_consolidated_metadata
        options = {"chunks": {}, "consolidated": is_consolidated, **(decoding or {})}
        with os_errors_named("read", self.folder):
            result: xr.Dataset = xr.open_zarr(self.group.store, group=self.group.path or None, **options)
        return decode_objects(self._with_usual_texts(result))

    def read(self, names: Collection[str]) -> dict[str, Array]:
        """Return values of variables as they are in memory: dates decoded, texts of NumPy's type."""
        if not names:
            return {}
        with _quiet_zarr():
            stored = xr.open_zarr(
                self.group.store,
                group=self.group.path or None,
                chunks=None,
                consolidated=False,
                drop_variables=[name for name in self.group.array_keys() if name not in names],
            )
        found = {name: decode_objects(stored).variables[name].values for name in names}
        is_text = {n: v.dtype.kind == "T" or n in self.texts for n, v in found.items()}
        return {n: np.array(v.tolist(), str) if is_text[n] else v for n, v in found.items()}

    def _with_usual_texts(self, result: xr.Dataset) -> xr.Dataset:
        """Return a result with texts of the types that they have in memory; older xarray reads objects."""
        texts = {n: v for n, v in result.variables.items() if v.dtype.kind == "T" or n in self.texts}
        return result.assign({n: v.astype(self.texts.get(n, object)) for n, v in texts.items()})


@contextmanager
def _foreign_errors_named(target: Path | zarr.Group) -> Iterator[None]:
    """Turn errors that stores other than folders raise, each of its own kind, into those of simherd."""
    try:
        yield
    except (SimherdError, OSError):
        raise
    except Exception as error:
        if isinstance(target, Path) or isinstance(target.store, LocalStore):
            raise
        said = " ".join(str(error).split()).removesuffix(".") or type(error).__name__
        raise StoreError(f"Cannot write to a store of type {type(target.store).__name__}: {said}.") from error


@contextmanager
def _quiet_zarr() -> Iterator[None]:
    """Leave out what Zarr says of texts and consolidated metadata, which xarray writes the same way."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=zarr.errors.ZarrUserWarning)
        yield


def _write(group: zarr.Group, dataset: xr.Dataset) -> None:
    before = _coordinates_of(group)
    dataset.to_zarr(
        group.store,
        group=group.path or None,
        mode="a",
        consolidated=False,
        write_empty_chunks=True,
        encoding={str(n): _input_encoding(v, group.store) for n, v in dataset.variables.items()},
    )
    if lost := before - (after := _coordinates_of(group)):
        _as_written(group).attrs[COORDINATES] = " ".join(sorted(lost | after))


def _coordinates_of(group: zarr.Group) -> set[str]:
    return set(str(_as_written(group).attrs.get(COORDINATES, "")).split())


def _as_written(group: zarr.Group) -> zarr.Group:
    """Return a group with its present attributes, which xarray may have changed."""
    return zarr.open_group(group.store, path=group.path, mode="r+", use_consolidated=False)


def _arrays(group: zarr.Group) -> dict[str, Any]:
    with _quiet_zarr():
        return dict(group.arrays())


def _consolidated_arrays(group: zarr.Group) -> dict[str, Any]:
    """Return the arrays that readers find."""
    try:
        return _arrays(zarr.open_group(group.store, path=group.path or None, mode="r", use_consolidated=True))
    except ValueError:  # nothing is consolidated
        return {}


def _consolidate(group: zarr.Group) -> None:
    if not group.store.supports_consolidated_metadata:
        return
    with _quiet_zarr():
        zarr.consolidate_metadata(group.store, path=group.path or None)


def _as_attribute(value: Any) -> Any:
    """Return the value of an attribute as xarray stores it."""
    return encode_zarr_attr_value(value)  # type: ignore[no-untyped-call]  # a function without annotations


def _with(attrs: Mapping[str, Any], name: str, value: Any) -> dict[str, Any]:
    """Return attributes with another value of one of them, without it if that is None."""
    return {key: one for key, one in {**attrs, name: value}.items() if key != name or value is not None}


def _opened(group: zarr.Group, layout: ArrayLayout) -> Any:
    """Return the array of a layout, or those of an output whose values are concatenated."""
    array, *parts = (_filled(group[one.name]) for one in (layout, *layout.parts))
    return concatenated(layout, array, *parts) if parts else array


def _create_array(group: zarr.Group, layout: ArrayLayout) -> Any:
    array, *parts = (_create_one(group, one) for one in (layout, *layout.parts))
    return concatenated(layout, array, *parts) if parts else array


def _create_one(group: zarr.Group, layout: ArrayLayout) -> Any:
    compressors = layout.compressors
    if isinstance(compressors, str):
        compressors = COMPRESSORS
    is_text = layout.dtype.kind in "OUT"
    array = group.create_array(
        layout.name,
        shape=layout.shape,
        dtype=str if is_text else layout.dtype,
        chunks=layout.chunks,
        compressors=compressors,
        fill_value=str(layout.fill_value) if is_text else layout.fill_value,
        dimension_names=layout.dims,
        attributes=json_attrs(layout.name, layout.attrs),
        chunk_key_encoding=_chunk_keys(group.store),
    )
    return _filled(array)


def _filled(array: Any) -> Any:
    """Return an array of which also chunks without a value other than the fill value become files."""
    return array.with_config({"write_empty_chunks": True})


def _texts_of(dataset: xr.Dataset) -> dict[Any, np.dtype[Any]]:
    return {name: v.dtype for name, v in dataset.variables.items() if v.dtype.kind == "U"}


def _storable(dataset: xr.Dataset) -> xr.Dataset:
    """Return a dataset as a store can hold it: objects as JSON, texts of any length."""
    stored = encode_objects(dataset).drop_encoding()
    fixed = {n: v.astype(object) for n, v in stored.variables.items() if v.dtype.kind == "U"}
    lazy = {n: aligned(v) for n, v in stored.variables.items() if v.chunks is not None}
    stored = stored.assign({**fixed, **lazy})
    for name, variable in stored.variables.items():
        variable.attrs = json_attrs(str(name), variable.attrs)
    return stored.assign_attrs(json_attrs("the setup", stored.attrs))


def _in_chunks_of(array: zarr.Array[Any], variable: xr.Variable, dim: str, first: int) -> xr.Variable:
    """Return rows from `first` on in chunks none of which shares a chunk of the array with another."""
    chunks: dict[Any, Any] = dict(zip(variable.dims, array.chunks, strict=True))
    size, rows = chunks[dim], variable.sizes[dim]
    edges = [0, *range(size - first % size, rows, size), rows]
    return variable.chunk({**chunks, dim: tuple(np.diff(edges).tolist())})


def _chunk_keys(store: Store) -> Any:
    """Return how chunks are named: as Zarr does it, but without folders for them in a file system."""
    return CHUNK_KEYS if isinstance(store, LocalStore) else {"name": "default", "separator": "/"}


def _input_encoding(variable: xr.Variable, store: Store) -> dict[str, Any]:
    """Return an encoding with as few files as can be: one chunk, unless the array is huge."""
    encoding: dict[str, Any] = {"chunk_key_encoding": _chunk_keys(store), "compressors": COMPRESSORS}
    if variable.chunks is not None:
        encoding["chunks"] = tuple(sizes[0] for sizes in variable.chunks)
    elif variable.ndim:
        rows = max(1, INPUT_CHUNK_BYTES // max(variable.nbytes // max(variable.shape[0], 1), 1))
        encoding["chunks"] = tuple(max(s, 1) for s in (min(rows, variable.shape[0]), *variable.shape[1:]))
    if variable.dtype.kind == "f":
        encoding["_FillValue"] = None
    return encoding | _time_encoding(variable.dtype)


def _time_encoding(dtype: np.dtype[Any]) -> dict[str, str]:
    """Return units of dates and durations that suit all values, also those of a batch made longer later."""
    if dtype.kind not in "mM":
        return {}
    units = _TIME_UNITS[np.datetime_data(dtype)[0]]
    if dtype.kind == "m":
        return {"units": units, "dtype": "int64"}
    return {"units": f"{units} since 1970-01-01", "calendar": "proleptic_gregorian", "dtype": "int64"}

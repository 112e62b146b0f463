"""One long simulation whose outputs are written while it runs, within a limit of memory."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import xarray as xr

from simherd.api.prepare import Prepared
from simherd.engine.finite import FiniteStreamedColumn
from simherd.engine.plan import Array, Tap
from simherd.engine.schema import OutputSchema, Schema, output_schema, schema_of
from simherd.engine.simulate import Simulator
from simherd.engine.streaming import StreamedColumn
from simherd.store.checkpoints import CHECKPOINTS
from simherd.store.durable import sync_files, sync_folder
from simherd.store.layout import chunk_along, layout_output
from simherd.store.memory import write_whole
from simherd.store.os_errors import os_errors_named
from simherd.store.writer import STATUS, UNFINISHED, chunk_files
from simherd.store.zarr_store import ZarrStore

__all__ = ["StreamedResult"]


class StreamedResult:
    """The store of one simulation, made when the first window of an output is complete.

    Parameters
    ----------
    prepared : Prepared
        What is decided about the run.
    target : Path or zarr.Group
        Where the store is made.
    memory_limit : int
        Bytes that the values of all outputs may take before they are written.
    replaces : bool, optional
        Whether the store takes the place of one that is there.
    """

    def __init__(self, prepared: Prepared, target: Any, memory_limit: int, replaces: bool = False) -> None:
        taps = prepared.setup.plan.taps
        self.prepared = prepared
        self.target = target
        self.replaces = replaces
        self.store: ZarrStore | None = None
        self.arrays: dict[str, Any] = {}
        self.unsynced: list[tuple[Any, range, tuple[int, ...]]] = []
        budget = memory_limit // max(len(taps), 1)
        self.columns = [self._column(tap, budget) for tap in taps]

    def _column(self, tap: Tap, budget: int) -> StreamedColumn:
        kind = FiniteStreamedColumn if tap.is_finite else StreamedColumn
        column = kind(tap, budget, self._given_chunk(tap), self.write)
        if isinstance(column, FiniteStreamedColumn):
            column.when = partial(self.prepared.setup.plan.moment, tap)
        return column

    def _given_chunk(self, tap: Tap) -> int | None:
        chunks = self.prepared.encoding[tap.name].get("chunks")
        return None if chunks is None else chunk_along(chunks, 0, tap.saves)

    def write(self, column: StreamedColumn, start: int, values: Array) -> None:
        """Write values of an output from a position of its clock on.

        Raises
        ------
        StoreError
            If the operating system refuses.
        """
        rows = range(start, start + len(values))
        with os_errors_named(f"write output {column.name!r} to", self._folder):
            array = self._array(column, start)
            _lengthen(array, (array.shape[0], *values.shape[1:]))
            array[(slice(rows.start, rows.stop), *map(slice, values.shape[1:]))] = values
        self.unsynced.append((array, rows, values.shape))

    @property
    def _folder(self) -> Path | None:
        return self.target if isinstance(self.target, Path) else None

    def _array(self, column: StreamedColumn, start: int) -> Any:
        """Return the array of an output: made for the first window, else there from an earlier run."""
        if column.name not in self.arrays:
            store = self.begin()
            if start:
                self.arrays[column.name] = store.array(column.name)
            else:
                schema = output_schema(self.prepared.setup.plan, column.tap, column)
                self.arrays[column.name] = self._add(store, schema, column.saves)
                store.consolidate()
        return self.arrays[column.name]

    def begin(self) -> ZarrStore:
        """Make the store, unless it is made, and return it."""
        return self._begin(_NOTHING)

    def reopen(self, *, is_complete: bool = False) -> ZarrStore:
        """Open the store that an earlier run has made, and return it."""
        from simherd.store.single_store import reopen_single_store

        outputs = None if is_complete else [column.name for column in self.columns]
        self.store = reopen_single_store(self.target, self.prepared.base(_NOTHING), outputs)
        return self.store

    def sync(self) -> None:
        """Wait until all that was written of outputs is on the disk."""
        folders = [Path(array.store.root) / array.path for array in self.arrays.values()]
        with os_errors_named("write", self._folder):
            sync_files(path for one in self.unsynced for path in chunk_files(*one))
            sync_files(folder / "zarr.json" for folder in folders)
        self.unsynced.clear()

    def _begin(self, schema: Schema) -> ZarrStore:
        """Make the store, unless it is made."""
        if self.store is None:
            self.store = self._create(self._unfinished(schema))
        return self.store

    def _create(self, base: xr.Dataset) -> ZarrStore:
        if not isinstance(self.target, Path):
            from simherd.store.targets import emptied

            return ZarrStore(emptied(self.target) if self.replaces else self.target, base)
        from simherd.store.single_store import create_single_store

        has_checkpoints = self.prepared.setup.plan.checkpoint_every is not None
        return create_single_store(
            self.target,
            base,
            self.prepared.fingerprint(),
            is_durable=has_checkpoints,
            replaces=self.replaces,
        )

    def _unfinished(self, schema: Schema) -> xr.Dataset:
        return self.prepared.base(schema).assign_attrs({STATUS: UNFINISHED})

    def _add(self, store: ZarrStore, output: OutputSchema, window: int | None = None) -> Any:
        if isinstance(self.target, Path) and output.tap.name in store.group:  # written after a checkpoint
            del store.group[output.tap.name]
        encoding = dict(self.prepared.encoding[output.tap.name])
        if window is not None:
            encoding.setdefault("chunks", (window, *(max(size, 1) for size in output.shape)))
        attrs = self.prepared.setup.plan.model.graph.variables[output.tap.key].attrs
        return store.add(layout_output(output, batch=None, encoding=encoding, attrs=attrs))

    def finish(self, simulator: Simulator) -> ZarrStore:
        """Write what is left in memory, then that all is there, and return the store.

        Raises
        ------
        StoreError
            If the operating system refuses.
        """
        with os_errors_named("finish", self._folder):
            return self._finish(schema_of(simulator, self.columns))

    def _finish(self, schema: Schema) -> ZarrStore:
        store = self._begin(schema)
        store.add_coords(self._unfinished(schema))
        for output, column in zip(schema.outputs, self.columns, strict=True):
            if column.is_streaming:
                column.hand_on()
                array = self.arrays[column.name]
                _lengthen(array, (array.shape[0], *output.shape))
            else:
                write_whole(self._add(store, output), column)
        if self._folder is not None:
            self.sync()
            others = [p for p in self._folder.iterdir() if p.name not in (*self.arrays, CHECKPOINTS)]
            sync_files(path for one in others for path in (one, *one.rglob("*")) if path.is_file())
        store.publish(self.prepared.base(schema).attrs)
        if self._folder is not None:
            sync_folder(self._folder.parent)
        return store


_NOTHING = Schema(outputs=(), indexes={})


def _lengthen(array: Any, shape: tuple[int, ...]) -> None:
    wanted = tuple(map(max, array.shape, shape))
    if wanted != array.shape:
        array.resize(wanted)

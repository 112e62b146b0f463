"""Inputs along the batch that are not in memory: each block opens its part of them where it runs."""

from __future__ import annotations

import math
import pickle
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias

import cloudpickle
import numpy as np

from simherd.engine.block import Block
from simherd.engine.failures import add_note
from simherd.engine.plan import Array
from simherd.model.graph import Key, join_name
from simherd.user_warnings import warn_user

__all__ = ["Labels", "LazyInput", "LazyRows", "loaded", "warn_of_chunks"]

Graph: TypeAlias = Mapping[Any, Any]

MAX_WASTE = 3.0
WORTH_A_WARNING = 8 * 2**20
EMBEDDED_BYTES = 16 * 2**20


class Labels(Protocol):
    """What makes labelled rows of plain ones, for inputs that keep their labels."""

    def __getitem__(self, rows: Any) -> Labels:
        """Return the labels of some rows."""
        ...

    def __call__(self, values: Array) -> Array:
        """Return rows as an array of labelled objects."""
        ...


@dataclass(frozen=True, slots=True)
class LazyRows:
    """Some rows of an input, as what it takes to compute them: a few kB that a task carries."""

    graph: Graph
    """The tasks of Dask that give the chunks."""
    keys: Sequence[Any]
    """The chunks that the rows are in, lists nested as deep as the array has dimensions."""
    rows: slice | Array
    """Where the rows are in these chunks."""
    labels: Labels | None
    """What makes labelled rows of them."""

    def load(self) -> Array:
        """Return the rows, computed in this thread: a task is no place to start others from."""
        from dask.local import get_sync

        values = np.block(_as_lists(get_sync(self.graph, self.keys)))[self.rows]
        return values if self.labels is None else self.labels(values)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel by cloudpickle: functions of the graph may stand in the user's script."""
        return pickle.loads, (cloudpickle.dumps(_Unreduced(self)),)


class _Unreduced:
    """Rows that are pickled by what they hold."""

    def __init__(self, rows: LazyRows) -> None:
        self.rows = rows

    def __reduce__(self) -> tuple[Any, ...]:
        rows = self.rows
        return LazyRows, (rows.graph, rows.keys, rows.rows, rows.labels)


class LazyInput:
    """An input whose rows can be taken without loading it.

    Parameters
    ----------
    values : dask.array.Array
        Its values, simulations along the first axis.
    labels : Labels, optional
        What makes labelled rows of plain ones.
    """

    def __init__(self, values: Any, labels: Labels | None = None) -> None:
        from dask.base import optimize

        (values,) = optimize(values)  # type: ignore[no-untyped-call]
        self._graph: Graph = dict(values.__dask_graph__())
        self.shape: tuple[int, ...] = values.shape
        self.dtype: np.dtype[Any] = values.dtype
        self._name = values.name
        self._others = [range(count) for count in values.numblocks[1:]]
        self._ends = np.cumsum(values.chunks[0])
        self._labels = labels
        self._is_here = any(map(_is_embedded, self._graph.values()))

    def __getitem__(self, rows: slice | Array) -> LazyRows | Array:
        """Return some rows: loaded, if sending them is cheaper than sending what they are made of."""
        from dask.optimization import cull

        numbers = np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows
        chunks = np.unique(np.searchsorted(self._ends, numbers, side="right"))
        keys = [self._nested((self._name, chunk), self._others) for chunk in chunks.tolist()]
        graph, _ = cull(self._graph, list(_flat(keys)))  # type: ignore[no-untyped-call]
        labels = None if self._labels is None else self._labels[rows]
        taken = LazyRows(graph, keys, self._places(numbers, chunks), labels)
        return taken.load() if self._is_here else taken

    def _nested(self, key: tuple[Any, ...], others: Sequence[range]) -> Any:
        if not others:
            return key
        return [self._nested((*key, number), others[1:]) for number in others[0]]

    def _places(self, numbers: Array, chunks: Array) -> slice | Array:
        """Return where rows are in what some chunks give when they are put together."""
        ends = self._ends[chunks]
        sizes = np.diff(self._ends, prepend=0)[chunks]
        shift = (ends - sizes) - (np.cumsum(sizes) - sizes)
        places: Array = numbers - shift[np.searchsorted(ends, numbers, side="right")]
        is_whole = bool((np.diff(places) == 1).all())
        return slice(int(places[0]), int(places[-1]) + 1) if is_whole else places

    def advice(self, block: int) -> str | None:
        """Return what is wrong with the chunks if blocks of so many simulations read far more than theirs."""
        size, row_bytes = self.shape[0], math.prod(self.shape[1:]) * self.dtype.itemsize
        starts = np.arange(0, size, block)
        first = np.searchsorted(self._ends, starts, side="right")
        last = np.searchsorted(self._ends, np.minimum(starts + block, size) - 1, side="right")
        begins = np.concatenate([[0], self._ends])
        read = int((begins[last + 1] - begins[first]).sum())
        extra = (read - size) / len(starts) * row_bytes
        if read <= MAX_WASTE * size or extra < WORTH_A_WARNING:
            return None
        largest = int(np.diff(begins).max())
        return (
            f"has chunks of up to {largest} simulations, of which blocks of {block} read all: "
            f"{read / size:.0f} times what they need"
        )


def _is_embedded(task: Any) -> bool:
    """Return whether a task of Dask holds large values itself, or those of a cluster."""
    value = getattr(task, "value", task)
    distributed = sys.modules.get("distributed")
    if distributed is not None and isinstance(value, distributed.Future):
        return True
    return isinstance(value, np.memmap) or (isinstance(value, np.ndarray) and value.nbytes > EMBEDDED_BYTES)


def _flat(keys: Sequence[Any]) -> Iterator[Any]:
    for key in keys:
        if isinstance(key, list):
            yield from _flat(key)
        else:
            yield key


def _as_lists(parts: Any) -> Any:
    """Return nested sequences of arrays as nested lists, as NumPy wants them."""
    return list(map(_as_lists, parts)) if isinstance(parts, list | tuple) else np.asarray(parts)


def loaded(block: Block) -> Block:
    """Return a block with all of its inputs in memory.

    Raises
    ------
    Exception
        Whatever is raised where one of them is read; a note says which.
    """
    lazy = {key: rows for key, rows in block.inputs.items() if isinstance(rows, LazyRows)}
    return replace(block, inputs={**block.inputs, **_loaded(lazy)}) if lazy else block


def _loaded(lazy: Mapping[Key, LazyRows]) -> dict[Key, Array]:
    found = {}
    for key, rows in lazy.items():
        try:
            found[key] = rows.load()
        except BaseException as error:
            add_note(error, f"Reading input {join_name(key)}")
            raise
    return found


def warn_of_chunks(inputs: Mapping[Key, Any], block: int) -> None:
    """Warn of inputs whose chunks make each block read far more than it needs.

    Parameters
    ----------
    inputs : mapping
        The inputs that differ between simulations.
    block : int
        Simulations in a block.

    Warns
    -----
    UserWarning
        If a block reads more than three times its part, and 8 MiB more.
    """
    for key, values in inputs.items():
        advice = values.advice(block) if isinstance(values, LazyInput) else None
        if advice is not None:
            warn_user(
                f"Input {join_name(key)} {advice}. Fix: write it again in chunks of {block} along the "
                f"batch (ds.chunk({{dim: {block}}}), and in its file too), or set a block_size that is a "
                f"multiple of its chunks.",
                UserWarning,
            )

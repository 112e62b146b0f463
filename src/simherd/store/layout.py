"""Which chunks a store has, and so which simulations a task runs.

One block of simulations is one row of chunks along the batch and belongs to one task: no two tasks
ever write the same chunk, and nobody needs a lock.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simherd.engine.schema import OutputSchema
from simherd.engine.values import as_kept, fill_value_for
from simherd.errors import SetupError, close_matches
from simherd.store.concatenated import (
    LAYOUT,
    OWN_DIMS,
    PER_ROW,
    ROOM,
    STARTS,
    ConcatenatedArray,
    item_dim,
    row_dim,
    size_name,
    start_name,
)

__all__ = [
    "ArrayLayout",
    "check_encoding",
    "chunk_along",
    "chunk_size_for",
    "concatenated",
    "layout_output",
    "required_multiple",
    "with_common_sizes",
]

TARGET_BYTES = 4 * 2**20
MAX_CHUNK_BYTES = 64 * 2**20
CHUNKS_PER_WORKER = (4, 16)
WORTH_A_CHUNK_S = 0.5
MAX_CHUNK_S = 60.0
MAX_CHUNKS = 4096
MIN_ITEMS = 1024
ENCODING_KEYS = ("dtype", "chunks", "fill_value", "compressors", "compressor", "layout")
LAYOUTS = ("padded", "concatenated")


@dataclass(frozen=True, kw_only=True, slots=True)
class ArrayLayout:
    """One array of a store."""

    name: str
    """Name of the array."""
    dims: tuple[str, ...]
    """Labels of its dimensions."""
    shape: tuple[int, ...]
    """Its shape."""
    chunks: tuple[int, ...]
    """Shape of a chunk."""
    dtype: np.dtype[Any]
    """Type of its values."""
    fill_value: Any
    """What missing chunks read as."""
    attrs: Mapping[str, Any]
    """Description, units and other attributes."""
    has_clock: bool = False
    """Whether the axis after the batch is that of a clock."""
    compressors: Any = "default"
    """Zarr codecs; "default" for those of the project, None for no compression."""
    parts: tuple[ArrayLayout, ...] = ()
    """Of an output whose values are stored one after another: the arrays of where they begin, and how
    large they are."""

    @property
    def nbytes(self) -> int:
        """Bytes of the whole array, uncompressed."""
        return math.prod(self.shape) * self.dtype.itemsize


def chunk_size_for(
    simulations: int,
    bytes_per_simulation: int,
    workers: int,
    seconds_per_simulation: float | None = None,
    requested: int | None = None,
    multiple: int = 1,
) -> int:
    """Return how many simulations make a chunk.

    Parameters
    ----------
    simulations : int
        Simulations in the batch.
    bytes_per_simulation : int
        Bytes that the largest output takes in one simulation.
    workers : int
        Tasks that run at once; each worker gets at least four chunks, and up to sixteen where they are half
        a second of work, so that none waits for long at the end.
    seconds_per_simulation : float, optional
        Time that one takes, in s, if it is known.
    requested : int, optional
        What the user asks for.
    multiple : int, optional
        The size is a multiple of this.

    Returns
    -------
    int
        Chunks of about 4 MiB and at most a minute of work, which is what a crash may cost; fewer
        simulations where the batch is small, more where there would be thousands of chunks.
    """
    if requested is not None:
        wanted = requested
    else:
        by_bytes = TARGET_BYTES // max(bytes_per_simulation, 1)
        seconds = max(seconds_per_simulation or 0.0, 1e-9)
        fewest, most = (math.ceil(simulations / (n * max(workers, 1))) for n in CHUNKS_PER_WORKER)
        by_workers = min(fewest, max(most, math.ceil(WORTH_A_CHUNK_S / seconds)))
        by_time = int(MAX_CHUNK_S / seconds)
        wanted = max(min(by_bytes, by_workers, max(by_time, simulations // MAX_CHUNKS)), 1)
    return min(math.ceil(wanted / multiple) * multiple, math.ceil(simulations / multiple) * multiple)


def check_encoding(name: str, encoding: Mapping[str, Any]) -> None:
    """Raise an error if the encoding of an output cannot be honoured.

    Raises
    ------
    SetupError
        If a key is not known or its chunks are not whole numbers.
    """
    for key in encoding:
        if key not in ENCODING_KEYS:
            raise SetupError(
                f"encoding of {name!r}: {key!r} is not known. {close_matches(key, ENCODING_KEYS)}"
            )
    try:
        dtype = np.dtype(encoding.get("dtype"))
        if "dtype" in encoding:
            fill_value_for(dtype, encoding.get("fill_value"))
    except (TypeError, ValueError) as error:
        raise SetupError(f"encoding of {name!r}: {error}.", fix="check its dtype and fill_value.") from error
    if encoding.get("layout", "padded") not in LAYOUTS:
        raise SetupError(
            f"encoding of {name!r}: layout {encoding['layout']!r}. "
            f"{close_matches(str(encoding['layout']), LAYOUTS)}"
        )
    chunks = encoding.get("chunks")
    sizes = chunks if isinstance(chunks, list | tuple) else [chunks]
    if not all(map(_is_chunk, sizes)):
        raise SetupError(
            f"encoding of {name!r}: chunks {chunks!r} are not allowed.",
            fix="give a list of whole numbers, 1 or more, or -1 for all: one for each dimension.",
        )


def _is_chunk(size: Any) -> bool:
    is_whole = isinstance(size, int | np.integer) and not isinstance(size, bool)
    return size is None or (is_whole and (size > 0 or size == -1))


def chunk_along(chunks: Any, axis: int, size: int) -> int:
    """Return how many values make a chunk along an axis.

    Parameters
    ----------
    chunks : int or sequence of int
        What the user says: one number for all axes, or one for each. All values of an axis are a chunk
        where nothing is said, or None or -1.
    axis : int
        Number of the axis.
    size : int
        Values along it.
    """
    sizes = chunks if isinstance(chunks, list | tuple) else [chunks] * (axis + 1)
    chunk = sizes[axis] if axis < len(sizes) else None
    return max(1, size if chunk in (None, -1) else min(int(chunk), size))


def required_multiple(encoding: Mapping[str, Mapping[str, Any]], simulations: int) -> int:
    """Return the smallest number of simulations that is whole chunks in every output.

    Parameters
    ----------
    encoding : mapping
        Encodings by output, whose ``chunks`` start with that of the batch, see `chunk_along`.
    simulations : int
        Simulations in the batch, which no chunk exceeds.
    """
    given = (one["chunks"] for one in encoding.values() if one.get("chunks"))
    return math.lcm(*(chunk_along(chunks, 0, simulations) for chunks in given))


def layout_output(
    output: OutputSchema,
    *,
    batch: tuple[str, int, int] | None,
    encoding: Mapping[str, Any],
    attrs: Mapping[str, Any],
) -> ArrayLayout:
    """Return the array for an output.

    Parameters
    ----------
    output : OutputSchema
        Its shape and type in one simulation.
    batch : (str, int, int), optional
        Batch dimension, simulations and chunk size.
    encoding : mapping
        What the user says of dtype, chunks, fill_value, compressors.
    attrs : mapping
        Description, units and other attributes.

    Raises
    ------
    SetupError
        If the given chunks have more dimensions.
    """
    if output.is_concatenated and batch is not None:
        return _layout_concatenated(output, batch, encoding, attrs)
    clock = () if output.tap.clock is None else (output.tap.saves,)
    front = () if batch is None else (batch[1],)
    shape = (*front, *clock, *output.shape)
    dtype = as_kept(encoding.get("dtype", output.dtype))
    chunks = encoding.get("chunks") or _chunks(shape, dtype.itemsize, batch)
    if isinstance(chunks, list | tuple) and len(chunks) > len(shape):
        raise SetupError(
            f"encoding of {output.tap.name!r}: chunks {tuple(chunks)} have {len(chunks)} dimension(s), "
            f"the output has {len(shape)}.",
            fix="give one size for each of batch, clock and its own dimensions.",
        )
    return ArrayLayout(
        name=output.tap.name,
        dims=output.result_dims(None if batch is None else batch[0]),
        shape=shape,
        chunks=tuple(chunk_along(chunks, axis, size) for axis, size in enumerate(shape)),
        dtype=dtype,
        fill_value=fill_value_for(dtype, encoding.get("fill_value")),
        attrs=attrs,
        has_clock=output.tap.clock is not None,
        compressors=encoding.get("compressors", encoding.get("compressor", "default")),
    )


def _layout_concatenated(
    output: OutputSchema, batch: tuple[str, int, int], encoding: Mapping[str, Any], attrs: Mapping[str, Any]
) -> ArrayLayout:
    """Return the arrays for an output whose values are stored one after another."""
    _, simulations, per_row = batch
    name, dtype = output.tap.name, np.dtype(encoding.get("dtype", output.dtype))
    expected = per_row * output.tap.saves * max(math.prod(output.shape), 1)
    items = min(max(expected + expected // 4, MIN_ITEMS), max(TARGET_BYTES // dtype.itemsize, 1))
    clock = () if output.tap.clock is None else ((output.tap.clock, output.tap.saves),)
    axes = () if len(output.shape) == 1 else ((f"{name}__axis", len(output.shape)),)
    start = _along_batch(batch, start_name(name), f"{STARTS} of {name}", clock)
    size = _along_batch(
        batch, size_name(name), f"size of {name} along {', '.join(output.dims)}", (*clock, *axes)
    )
    return ArrayLayout(
        name=name,
        dims=(row_dim(name), item_dim(name)),
        shape=(math.ceil(simulations / per_row), math.ceil(ROOM * expected / items) * items),
        chunks=(1, items),
        dtype=dtype,
        fill_value=fill_value_for(dtype, encoding.get("fill_value")),
        attrs={**attrs, LAYOUT: "concatenated", PER_ROW: per_row, OWN_DIMS: list(output.dims)},
        has_clock=True,
        compressors=encoding.get("compressors", encoding.get("compressor", "default")),
        parts=(start, size),
    )


def with_common_sizes(
    layouts: Sequence[ArrayLayout], arrays: Sequence[Any], longer: Mapping[int, tuple[int, ...]]
) -> dict[int, tuple[int, ...]]:
    """Return the shapes of arrays that become longer, with those of others that share a dimension.

    Parameters
    ----------
    layouts : sequence of ArrayLayout
        The arrays of a store.
    arrays : sequence of array
        As they are now.
    longer : mapping of int to tuple of int
        The shapes that some of them need, by number.
    """
    padded = {number: one.dims for number, one in enumerate(layouts) if not one.parts}
    sizes: dict[str, int] = {}
    for number in longer.keys() & padded.keys():
        for dim, size in zip(padded[number], longer[number], strict=True):
            sizes[dim] = max(size, sizes.get(dim, 0))
    shapes = {number: shape for number, shape in longer.items() if number not in padded}
    for number, dims in padded.items():
        now = tuple(arrays[number].shape)
        shape = tuple(max(size, sizes.get(dim, 0)) for dim, size in zip(dims, now, strict=True))
        if shape != now:
            shapes[number] = shape
    return shapes


def concatenated(layout: ArrayLayout, values: Any, start: Any, size: Any) -> ConcatenatedArray:
    """Return the arrays of an output whose values are stored one after another, as what writes them."""
    return ConcatenatedArray(
        values=values,
        start=start,
        size=size,
        per_row=int(layout.attrs[PER_ROW]),
        dimensions=len(layout.attrs[OWN_DIMS]),
        fill_value=layout.fill_value,
    )


def _along_batch(
    batch: tuple[str, int, int], name: str, description: str, inner: tuple[tuple[str, int], ...] = ()
) -> ArrayLayout:
    dim, simulations, chunk = batch
    sizes = tuple(size for _, size in inner)
    return ArrayLayout(
        name=name,
        dims=(dim, *(label for label, _ in inner)),
        shape=(simulations, *sizes),
        chunks=(chunk, *sizes),
        dtype=np.dtype("i8"),
        fill_value=0,
        attrs={"description": description},
    )


def _chunks(shape: tuple[int, ...], itemsize: int, batch: tuple[str, int, int] | None) -> tuple[int, ...]:
    """Return whole simulations along the batch, cut along the next axis only where they are huge."""
    chunks = list(shape) if batch is None else [batch[2], *shape[1:]]
    longest = 0 if batch is None else 1
    nbytes = math.prod(chunks) * itemsize
    if nbytes > MAX_CHUNK_BYTES and len(chunks) > longest:
        chunks[longest] = max(1, chunks[longest] * TARGET_BYTES // nbytes)
    return tuple(max(c, 1) for c in chunks)

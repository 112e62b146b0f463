"""Cutting a batch into blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from simherd.engine.block import Block
from simherd.engine.plan import Array
from simherd.model.graph import Key

__all__ = ["count_blocks", "cut_blocks"]


def count_blocks(simulations: int, size: int) -> int:
    """Return the number of blocks."""
    return -(-simulations // size)


def cut_blocks(simulations: int, size: int, inputs: Mapping[Key, Array]) -> Iterator[Block]:
    """Yield the blocks of a batch, each with its slice of the inputs.

    Parameters
    ----------
    simulations : int
        Simulations in the batch.
    size : int
        Simulations in a block; the last one may have fewer.
    inputs : mapping
        Inputs that differ, with the simulations along the first axis.
    """
    for start in range(0, simulations, size):
        stop = min(start + size, simulations)
        yield Block(
            start=start,
            stop=stop,
            inputs={key: values[start:stop] for key, values in inputs.items()},
        )

"""Zarr on the way out: layout, block writes, journal, reading back."""

from simherd.store.journal import record_failures
from simherd.store.layout import ArrayLayout, block_size_for, layout_output, required_multiple
from simherd.store.writer import SECONDS, STATUS, ArrayWriter, BlockStore, BlockWriter

__all__ = [
    "SECONDS",
    "STATUS",
    "ArrayLayout",
    "ArrayWriter",
    "BlockStore",
    "BlockWriter",
    "block_size_for",
    "layout_output",
    "record_failures",
    "required_multiple",
]

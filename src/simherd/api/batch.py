"""A batch from its setup to its blocks, and to a result in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import xarray as xr

from simherd.api.layouts import choose_layouts
from simherd.api.prepare import Prepared
from simherd.engine.block import Numbers, Status
from simherd.engine.schema import Schema, hold_to
from simherd.ensemble.agreement import check_agreement, parts_for
from simherd.ensemble.discovery import discover_schema
from simherd.ensemble.interrupts import Interrupts
from simherd.ensemble.lazy import warn_of_chunks
from simherd.ensemble.run import Batch, Outcome, run_batch
from simherd.ensemble.sizing import TaskSizer
from simherd.store.marks import Marks
from simherd.store.memory import MemoryStore
from simherd.store.shares import Share

__all__ = ["RERUN", "Going", "discovered", "run_blocks", "run_in_memory"]

RERUN = {
    "missing": (Status.PENDING,),
    "failed": (Status.PENDING, Status.FAILED),
    "all": tuple(Status),
}
"""The simulations that each way of running again takes, by what became of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Going:
    """How a run goes on, and how it ends."""

    resume: bool = False
    """Whether the store may be there already."""
    rerun: str = "missing"
    """Which of its simulations run."""
    grace_s: float = 30.0
    """Time that blocks have to finish after a signal, in s."""
    accepts_changed_model: bool = False
    """Whether a store of another version of the model is gone on with."""
    overwrite: bool = False
    """Whether it replaces a store that is there."""
    share: Share | None = None
    """Which part of the batch it runs, while others run the rest; None for all of it."""


def run_in_memory(prepared: Prepared, batch: Batch, decoding: Mapping[str, Any] | None) -> xr.Dataset:
    """Run a batch and return its result, which is nowhere else."""
    schema = discovered(prepared, batch, is_stored=False)
    chunk = prepared.choose_chunk_size(schema, batch.executor.workers)
    store = MemoryStore(prepared.base(schema), prepared.layouts(schema, chunk))
    run_blocks(prepared, batch, schema, store, chunk, range(prepared.setup.simulations), Interrupts(0.0))
    return prepared.finish(store.open(decoding))


def run_blocks(
    prepared: Prepared,
    batch: Batch,
    schema: Schema,
    store: Any,
    chunk: int,
    numbers: Numbers,
    interrupts: Interrupts,
    marks: Marks | None = None,
) -> Outcome:
    """Run simulations of a batch and write what they give to a store; see `run_batch`."""
    sizer = TaskSizer(
        chunk=chunk,
        nbytes=sum(output.nbytes for output in schema.outputs) + prepared.input_bytes,
        workers=batch.executor.workers,
        is_fixed=prepared.block_size is not None,
    )
    parts = None if batch.rtol is None else parts_for(batch, schema)
    batch = replace(batch, plan=hold_to(batch.plan, schema), parts=parts)
    warn_of_chunks(batch.inputs, chunk)
    seconds = schema.seconds if parts is None else None
    return run_batch(batch, store, sizer, numbers, interrupts, seconds, marks)


def discovered(prepared: Prepared, batch: Batch, is_stored: bool = True) -> Schema:
    """Find out what comes out of a batch, and let its executor know how much work it is."""
    schema = choose_layouts(prepared, batch, discover_schema(batch), is_stored)
    if batch.rtol is not None:
        schema = check_agreement(batch, schema)
    batch.executor.expect(None if schema.seconds is None else schema.seconds * prepared.setup.simulations)
    return schema

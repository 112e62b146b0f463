"""Trying out on a few simulations of a batch whether they can be advanced together."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import numpy as np

from simherd.engine.agreement import Agreement, compare_ways
from simherd.engine.block import Block
from simherd.engine.failures import Failure, portable
from simherd.engine.looped import looped_processes
from simherd.engine.plan import Plan
from simherd.engine.schema import Schema, hold_to
from simherd.engine.vectorized import Parts
from simherd.ensemble.discovery import spread
from simherd.ensemble.lazy import loaded
from simherd.ensemble.run import Batch, raised, share
from simherd.ensemble.sizing import part_size
from simherd.ensemble.task import limited, limited_part
from simherd.errors import SimulationError, VectorizeError
from simherd.executors.base import JOB_LOSSES, Lost, Tasks
from simherd.executors.silence import silence_after

__all__ = ["check_agreement", "parts_for"]

COMPARED = 3
CANDIDATES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Simulations that run one by one and together."""

    schema: Schema
    """What their outputs look like."""
    block: Block
    """Candidates."""
    count: int
    """How many of them are compared."""
    rtol: float
    """Relative difference that is allowed."""
    timeout_s: float | None
    """Time that each one may take, in s."""
    client: int
    """Process of the client, which none of them may end."""

    def __str__(self) -> str:
        return f"one of simulations {', '.join(map(str, self.block.numbers))}"


def check_agreement(batch: Batch, schema: Schema) -> Schema:
    """Hold simulations that are advanced together to what they give on their own.

    The first, the middle and the last simulation of the batch are compared; where one of them fails, others.

    Returns
    -------
    Schema
        With the times that were measured.

    Raises
    ------
    VectorizeError
        If they give something else, or nothing.
    SimulationError
        If none of those that were tried works on its own, with ``on_error="record"``.
    Exception
        What the first one raised, with ``on_error="raise"``.
    """
    assert batch.rtol is not None
    if batch.plan.batch_size < 2:
        return schema
    comparison = Comparison(
        schema=schema,
        block=_candidates(batch),
        count=_count(batch, schema),
        rtol=batch.rtol,
        timeout_s=batch.timeout_s,
        client=os.getpid(),
    )
    longest_s = None if batch.timeout_s is None else (1 + comparison.count) * batch.timeout_s
    with batch.executor.tasks(_compare, share(batch, batch.plan), silence_after(longest_s)) as tasks:
        result = _outcome(tasks, comparison)
    if isinstance(result, Agreement):
        among = parts_for(batch, schema).size
        return replace(schema, seconds=result.seconds_among(among), loop_seconds=result.loop_seconds)
    if isinstance(result, Lost):
        raise SimulationError(f"vectorize: {comparison} ended its worker process: {result.reason}.")
    if batch.on_error == "raise" or result.is_interrupt or isinstance(result.error, VectorizeError):
        raise raised(result, batch)
    raise SimulationError(
        f"vectorize: all {len(comparison.block.numbers)} simulations that were tried failed on their own, so "
        f"there is nothing to compare. The first one raised {result.error!r}.",
        fix="say vectorize=False to record what fails.",
        cli_fix="record what fails with --set run.vectorize=false.",
    ) from result.error


def _outcome(tasks: Tasks, comparison: Comparison) -> Any:
    """Return what came of a comparison; one whose worker was lost with its job begins anew."""
    for _ in range(JOB_LOSSES):
        tasks.submit(comparison)
        while not (ended := tasks.finished()):
            pass
        (_, result), *_ = ended
        if not (isinstance(result, Lost) and result.is_innocent):
            break
    return result


def _compare(plan: Plan, comparison: Comparison) -> Agreement | Failure:
    result = compare_ways(
        hold_to(plan, comparison.schema),
        loaded(comparison.block),
        comparison.count,
        comparison.rtol,
        limited(comparison.timeout_s, comparison.client),
        limited_part(comparison.timeout_s, comparison.timeout_s or 0.0, comparison.client),
    )
    return portable(result) if isinstance(result, Failure) else result


def _candidates(batch: Batch) -> Block:
    size = batch.plan.batch_size
    tried = dict.fromkeys([0, size // 2, size - 1, *spread(size)])
    numbers = np.array(list(tried)[:CANDIDATES])
    return Block(numbers=numbers, inputs={key: values[numbers] for key, values in batch.inputs.items()})


def _count(batch: Batch, schema: Schema) -> int:
    """Return how many simulations to compare: no size of another axis, which might be taken for theirs."""
    axes = frozenset(_axes(batch, schema))
    return next(number for number in count(COMPARED) if number not in axes)


def _axes(batch: Batch, schema: Schema) -> Iterator[int]:
    """Yield the sizes of axes that values have in one simulation."""
    for output in schema.outputs:
        yield from output.shape
    for values in batch.inputs.values():
        yield from values.shape[1:]
    for value in batch.plan.shared.values():
        yield from np.shape(value)


def parts_for(batch: Batch, schema: Schema) -> Parts:
    """Return how blocks of a batch are cut into parts."""
    plan = batch.plan
    of_outputs = (int(np.prod(one.shape)) * one.dtype.itemsize for one in schema.outputs)
    of_inputs = (
        values.dtype.itemsize * int(np.prod(values.shape[2 if key in plan.varying else 1 :]))
        for key, values in batch.inputs.items()
    )
    is_looped = bool(looped_processes(plan.model.graph))
    size = part_size(max([*of_outputs, *of_inputs], default=1), is_looped)
    return Parts(size=size, seconds=schema.loop_seconds or 0.0, axes=frozenset(_axes(batch, schema)))

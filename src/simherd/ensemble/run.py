"""Running a batch: find out what comes out, cut it into blocks, map them, collect outcomes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from math import gcd
from typing import Any

from simherd.engine.block import Block, Failure
from simherd.engine.plan import Array, Plan
from simherd.engine.schema import Schema
from simherd.ensemble.blocks import count_blocks, cut_blocks
from simherd.ensemble.task import BlockReport, Job, Trial, find_schema, run_task
from simherd.errors import SimulationError
from simherd.events import BlockFinished, Event, RunFinished, RunStarted, Subscriber
from simherd.executors.base import Executor
from simherd.executors.payload import Payload, pack
from simherd.model.graph import Key, join_name
from simherd.store.writer import BlockStore

__all__ = ["Batch", "discover_schema", "run_batch"]

SCOUTED = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """The simulations of a batch and how they run."""

    plan: Plan
    """What they have in common."""
    inputs: Mapping[Key, Array]
    """Inputs that differ, with the simulations along the first axis."""
    executor: Executor
    """Where blocks run."""
    on_error: str
    """ "raise" ends the batch at the first failure; "record" goes on."""
    retries: int = 0
    """Further attempts at a simulation that raises."""
    subscribers: tuple[Subscriber, ...] = ()
    """Who watches."""

    def emit(self, event: Event) -> None:
        """Tell all subscribers of an event."""
        for subscriber in self.subscribers:
            subscriber(event)


def discover_schema(batch: Batch) -> Schema:
    """Return what the outputs of a batch look like, found out by the first simulation that works.

    With ``on_error="record"`` up to 64 others, spread over the batch, are tried if the first one fails.

    Raises
    ------
    SimulationError
        If all that were tried fail.
    Exception
        What the first simulation raised, with ``on_error="raise"``.
    """
    shared = _share(batch, batch.plan)
    numbers = _spread(batch.plan.batch_size)
    first = _scouted(batch, shared, numbers[:1])
    if isinstance(first, Schema):
        return first
    if batch.on_error == "raise":
        raise _raised(first)
    found = _scouted(batch, shared, numbers[1:]) if len(numbers) > 1 else first
    if isinstance(found, Schema):
        return found
    raise SimulationError(
        f"All {len(numbers)} simulations that were tried failed, so nothing is known of the outputs and "
        f"nothing was written. The first one raised {first.error!r}.",
        fix="run one of them on its own: its error then comes with a traceback (--set run.on_error=raise).",
    ) from first.error


def _spread(simulations: int) -> list[int]:
    """Return the positions of up to 64 simulations, the first one first, then far from each other."""
    count = min(simulations, SCOUTED)
    stride = next(
        s for s in range(max(round(simulations * 0.618), 1), simulations + 2) if gcd(s, simulations) == 1
    )
    return [number * stride % simulations for number in range(count)]


def _scouted(batch: Batch, shared: Any, numbers: Sequence[int]) -> Schema | Failure:
    """Return the first schema that one of some simulations gives, else the last failure."""
    items = (
        Trial(number=number, inputs=_inputs_of(batch, number), retries=batch.retries) for number in numbers
    )
    with closing(batch.executor.map(find_schema, shared, items)) as results:
        for result in results:
            if isinstance(result, Schema):
                return result
    return result  # type: ignore[no-any-return]


def _inputs_of(batch: Batch, number: int) -> Mapping[Key, Any]:
    inputs = {key: values[number : number + 1] for key, values in batch.inputs.items()}
    return next(Block(start=number, stop=number + 1, inputs=inputs).rows())


def _share(batch: Batch, obj: Any) -> Any:
    """Return an object in the form in which the executor's workers can have it."""
    return pack(obj, _parts(batch.plan)) if batch.executor.crosses_processes else obj


def _parts(plan: Plan) -> Iterator[tuple[str, Any]]:
    """Yield all that could fail to pickle, with names for the error message."""
    for name, cls in plan.model.graph.classes.items():
        yield f"process {name!r} ({cls.__name__})", cls
        for attribute, value in vars(cls).items():
            if not attribute.startswith("__"):
                yield f"process {name!r} ({cls.__name__}), attribute {attribute!r}", value
    for place, functions in plan.hooks.functions.items():
        yield from ((f"hook {getattr(f, '__name__', f)!r} at {' '.join(place)}", f) for f in functions)
    yield from ((f"input {join_name(key)!r}", value) for key, value in plan.shared.items())
    yield "the model", plan.model


def run_batch(
    batch: Batch,
    store: BlockStore,
    block_size: int,
) -> None:
    """Run all blocks of a batch and write what they give.

    Parameters
    ----------
    batch : Batch
        The simulations.
    store : BlockStore
        What results end up in: written by the workers if it travels and has room, else here.
    block_size : int
        Simulations in a block.

    Raises
    ------
    Exception
        What a simulation raised, with ``on_error="raise"``. What was finished by then is written.
    """
    executor, simulations = batch.executor, batch.plan.batch_size
    job = Job(
        plan=batch.plan,
        writer=store.writer() if store.travels else None,
        retries=batch.retries,
        stop_on_failure=batch.on_error == "raise",
        crosses_processes=executor.crosses_processes,
    )
    shared: Job | Payload = _share(batch, job)
    batch.emit(
        RunStarted(
            simulations=simulations,
            blocks=count_blocks(simulations, block_size),
            workers=executor.workers,
            where=executor.description,
        )
    )
    started, done, failed = time.perf_counter(), 0, 0
    blocks = cut_blocks(simulations, block_size, batch.inputs)
    for report in executor.map(run_task, shared, blocks):
        if report.result is not None:
            store.settle(report.result)
        done, failed = done + report.done, failed + len(report.failures)
        batch.emit(_event(report))
        if report.failures and batch.on_error == "raise":
            raise _raised(report.failures[0])
    batch.emit(RunFinished(done=done, failed=failed, seconds=time.perf_counter() - started))


def _event(report: BlockReport) -> BlockFinished:
    return BlockFinished(
        start=report.start,
        done=report.done,
        failed=len(report.failures),
        seconds=report.seconds,
        worker=report.worker,
    )


def _raised(failure: Failure) -> BaseException:
    """Return the user's own error, with what happened elsewhere as a note."""
    error = failure.error
    if error.__traceback__ is None:
        error.add_note(f"On the worker:\n{failure.traceback}")
    return error

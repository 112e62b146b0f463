"""Running a batch: find out what comes out, cut it into blocks, map them, collect outcomes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from simherd.engine.block import Block, Failure
from simherd.engine.plan import Array, Plan
from simherd.engine.schema import Schema
from simherd.ensemble.blocks import count_blocks, cut_blocks
from simherd.ensemble.task import BlockReport, Job, find_schema, run_task
from simherd.events import BlockFinished, Event, RunFinished, RunStarted, Subscriber
from simherd.executors.base import Executor
from simherd.executors.payload import Payload, pack
from simherd.model.graph import Key, join_name
from simherd.store.writer import BlockWriter

__all__ = ["Batch", "discover_schema", "run_batch"]

SCOUTED = 8


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
    """Return what the outputs of a batch look like, found out by its first simulation that works.

    Raises
    ------
    Exception
        What the first simulation raised, if it is to be raised or the first eight of them fail.
    """
    first: Failure | None = None
    tried = min(SCOUTED if batch.on_error == "record" else 1, batch.plan.batch_size)
    shared = _share(batch, batch.plan)
    for number in range(tried):
        simulation = (number, _inputs_of(batch, number))
        (found,) = batch.executor.map(find_schema, shared, [simulation])
        if isinstance(found, Schema):
            return found
        first = first or found
    assert first is not None
    raise _raised(first)


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
    writer: BlockWriter,
    block_size: int,
    journal: Callable[[Iterable[Failure]], None] | None = None,
) -> int:
    """Run all blocks of a batch and write what they give.

    Parameters
    ----------
    batch : Batch
        The simulations.
    writer : BlockWriter
        Writes results: on the workers if it travels, else here.
    block_size : int
        Simulations in a block.
    journal : callable, optional
        Records failed simulations.

    Returns
    -------
    int
        Number of failed simulations.

    Raises
    ------
    Exception
        What a simulation raised, with ``on_error="raise"``. What was finished by then is written.
    """
    executor, simulations = batch.executor, batch.plan.batch_size
    writes_there = writer.travels or not executor.crosses_processes
    job = Job(
        plan=batch.plan,
        writer=writer if writes_there else None,
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
        _settle(report, writer, journal)
        done, failed = done + report.done, failed + len(report.failures)
        batch.emit(_event(report))
        if report.failures and batch.on_error == "raise":
            raise _raised(report.failures[0])
    batch.emit(RunFinished(done=done, failed=failed, seconds=time.perf_counter() - started))
    return failed


def _settle(
    report: BlockReport,
    writer: BlockWriter,
    journal: Callable[[Iterable[Failure]], None] | None,
) -> None:
    if report.result is not None:
        writer.write(report.result)
    if journal is not None:
        journal(report.failures)


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

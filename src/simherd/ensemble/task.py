"""What a worker does with a block. Imported by workers: only what they need."""

from __future__ import annotations

import os
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cloudpickle

from simherd.engine.block import Block, BlockResult, Failure, Status, run_block
from simherd.engine.plan import Plan
from simherd.engine.schema import Schema, scout
from simherd.engine.simulate import Simulator
from simherd.errors import SimulationError
from simherd.model.graph import Key
from simherd.store.writer import BlockWriter

__all__ = ["BlockReport", "Job", "Trial", "find_schema", "run_task"]


@dataclass(slots=True, kw_only=True)
class Job:
    """What all blocks of a batch share."""

    plan: Plan
    """What the simulations have in common."""
    writer: BlockWriter | None
    """Writes results where the block runs, as long as it has room; None sends all back."""
    retries: int
    """Further attempts at a simulation that raises."""
    stop_on_failure: bool
    """Whether a failed simulation ends the block."""
    crosses_processes: bool
    """Whether reports are pickled."""
    simulator: Simulator | None = field(default=None)
    """Made once per worker."""

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__ if name != "simulator"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in {"simulator": None, **state}.items():
            setattr(self, name, value)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockReport:
    """What comes back of a block: outcomes, and the values where they are not written there."""

    start: int
    """First simulation."""
    done: int
    """Simulations that finished."""
    failures: Sequence[Failure]
    """Why the others failed."""
    seconds: float
    """Time on the worker, in s."""
    worker: str
    """Operating-system process and thread that ran it."""
    result: BlockResult | None
    """The values, if they are not written yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A simulation that is run only to see what its outputs look like."""

    number: int
    """Its position in the batch."""
    inputs: Mapping[Key, Any]
    """Its inputs."""
    retries: int
    """Further attempts if it raises."""

    def __str__(self) -> str:
        return f"simulation {self.number}"


def find_schema(plan: Plan, trial: Trial) -> Schema | Failure:
    """Run a simulation far enough to see what its outputs look like."""
    for attempt in range(trial.retries + 1):
        try:
            return scout(Simulator(plan), trial.inputs, trial.number)
        except Exception as error:
            if attempt == trial.retries:
                text = "".join(traceback.format_exception(error))
                failure = Failure(number=trial.number, error=error, traceback=text)
    return portable(failure)


def run_task(job: Job, block: Block) -> BlockReport:
    """Run a block and write its values, if this is the place to."""
    started = time.perf_counter()
    if job.simulator is None:
        job.simulator = Simulator(job.plan)
    result = run_block(job.simulator, block, retries=job.retries, stop_on_failure=job.stop_on_failure)
    is_written = job.writer is not None and job.writer.has_room(result)
    if is_written and job.writer is not None:
        job.writer.write(result)
    failures = result.failures
    if job.crosses_processes:
        failures = tuple(portable(failure) for failure in failures)
        result = replace(result, failures=failures)
    return BlockReport(
        start=block.start,
        done=int((result.status == Status.DONE).sum()),
        failures=failures,
        seconds=time.perf_counter() - started,
        worker=f"{os.getpid()}/{threading.get_native_id()}",
        result=None if is_written else result,
    )


def portable(failure: Failure) -> Failure:
    """Return a failure that travels, even where its error does not pickle."""
    try:
        cloudpickle.loads(cloudpickle.dumps(failure.error))
    except Exception:
        return replace(failure, error=SimulationError(repr(failure.error)))
    return failure

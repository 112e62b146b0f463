"""What a worker does with a block. Imported by workers: only what they need."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from simherd.engine.block import Block, BlockResult, BlockRun, Numbers, Status, Watch
from simherd.engine.checkpoints import Keeper, Stopped
from simherd.engine.failures import Failure, as_failure, portable
from simherd.engine.plan import Plan
from simherd.engine.schema import Schema, scout
from simherd.engine.simulate import Simulator
from simherd.engine.timeouts import TimeLimit
from simherd.engine.vectorized import BlockSimulator, Parts, WatchPart, run_as_arrays
from simherd.ensemble.lazy import loaded
from simherd.model.graph import Key
from simherd.store.checkpoints import CheckpointFolder
from simherd.store.marks import Marks
from simherd.store.masks import BlockIntegers
from simherd.store.writer import BlockWriter

__all__ = [
    "BlockReport",
    "Job",
    "Trial",
    "find_schema",
    "limited",
    "limited_part",
    "run_task",
]


@dataclass(slots=True, kw_only=True)
class Job:
    """What all blocks of a batch share."""

    plan: Plan
    """What the simulations have in common."""
    writer: BlockWriter | None
    """Writes results where the block runs, if they are whole chunks that fit; None sends all back."""
    marks: Marks | None
    """Where workers mark the simulation that they are at, in the folder of the store."""
    client: int
    """Process of the client, which no simulation may end."""
    retries: int
    """Further attempts at a simulation that raises."""
    timeout_s: float | None
    """Time that a simulation may take, in s."""
    stop_on_failure: bool
    """Whether a failed simulation ends the block."""
    crosses_processes: bool
    """Whether reports are pickled."""
    parts: Parts | None = None
    """How blocks are cut into simulations that are advanced together; None runs one by one."""
    checkpoints: CheckpointFolder | None = None
    """Where simulations have checkpoints, or may get some."""
    is_stopped: Callable[[], bool] = bool
    """Whether blocks that run in this process are to stop."""
    simulator: Simulator | None = field(default=None)
    """Made once per worker."""
    block_simulator: BlockSimulator | None = field(default=None)
    """Made once per worker, where simulations are advanced together."""

    @property
    def keeper(self) -> Keeper | None:
        """Keeps the checkpoints of simulations."""
        if self.checkpoints is None:
            return None
        every = self.plan.checkpoint_every
        can_stop = every is not None and not self.crosses_processes
        return Keeper(
            store=self.checkpoints,
            every=every,
            is_stopping=self.is_stopped if can_stop else None,
        )

    def __getstate__(self) -> dict[str, Any]:
        stays = ("simulator", "block_simulator", "is_stopped")
        return {name: getattr(self, name) for name in self.__slots__ if name not in stays}

    def __setstate__(self, state: dict[str, Any]) -> None:
        fresh = {"simulator": None, "block_simulator": None, "is_stopped": bool}
        for name, value in {**fresh, **state}.items():
            setattr(self, name, value)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockReport:
    """What comes back of a block: outcomes, and the values where they are not written there."""

    start: int
    """First simulation."""
    done: int
    """Simulations that finished."""
    failed: int
    """Simulations that failed."""
    unfinished: Numbers | None
    """Simulations that did not run, because the block was stopped."""
    first_failure: Failure | None
    """Why the first of the others failed, where that ends the run."""
    seconds: float
    """Time on the worker, in s."""
    worker: str
    """Operating-system process and thread that ran it."""
    result: BlockResult | None
    """The values, if they are not written yet."""
    integers: BlockIntegers | None = None
    """The ranges of integer outputs, of simulations that ran."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A simulation that is run only to see what its outputs look like."""

    number: int
    """Its position in the batch."""
    inputs: Mapping[Key, Any]
    """Its inputs, each with a single row."""
    retries: int
    """Further attempts if it raises."""
    timeout_s: float | None
    """Time that it may take, in s."""
    client: int
    """Process of the client, which it may not end."""

    def __str__(self) -> str:
        return f"simulation {self.number}"


def find_schema(plan: Plan, trial: Trial) -> Schema | Failure:
    """Run a simulation far enough to see what its outputs look like."""
    for _ in range(trial.retries + 1):
        try:
            block = loaded(Block(numbers=range(trial.number, trial.number + 1), inputs=trial.inputs))
            with limited(trial.timeout_s, trial.client)(trial.number):
                return scout(Simulator(plan), next(block.rows()), trial.number)
        except Stopped:
            raise
        except BaseException as error:
            failure = as_failure(trial.number, error)
            if failure.is_interrupt:
                break
    return portable(failure)


def run_task(job: Job, block: Block) -> BlockReport:
    """Run a block and write its values, if this is the place to."""
    started = time.perf_counter()
    result = _run_loaded(job, block)
    if job.crosses_processes:
        interrupt = result.interrupt and portable(result.interrupt)
        result = replace(result, failures=tuple(map(portable, result.failures)), interrupt=interrupt)
    is_written = False
    if job.marks is not None and not job.marks.is_running:
        result = replace(result, numbers=result.numbers[:0], status=result.status[:0])  # nobody waits for it
    elif job.writer is not None and job.writer.owns(result.numbers) and job.writer.has_room(result):
        job.writer.write(result)
        is_written = True
        if job.keeper is not None:
            job.keeper.store.remove(result.numbers)
    done, failed = (int((result.status == kind).sum()) for kind in (Status.DONE, Status.FAILED))
    return BlockReport(
        start=int(block.numbers[0]),
        done=done,
        failed=failed,
        unfinished=None if done + failed == block.size else block.numbers[done + failed :],
        first_failure=result.interrupt or (result.failures[0] if failed and job.stop_on_failure else None),
        seconds=time.perf_counter() - started,
        worker=f"{os.getpid()}/{threading.get_native_id()}",
        result=None if is_written else result,
        integers=BlockIntegers.of(result) if len(result.numbers) else None,
    )


def _run_loaded(job: Job, block: Block) -> BlockResult:
    """Run a block with its inputs in memory; if they cannot be read, its simulations fail."""
    for _ in range(job.retries + 1):
        try:
            ready = loaded(block)
        except Stopped:
            raise
        except KeyboardInterrupt as error:
            return replace(_all_failed(job, block.numbers[:0], error), interrupt=as_failure(-1, error))
        except BaseException as error:
            last = error
        else:
            return _run(job, ready)
    return _all_failed(job, block.numbers[:1] if job.stop_on_failure else block.numbers, last)


def _all_failed(job: Job, numbers: Numbers, error: BaseException) -> BlockResult:
    return BlockResult(
        numbers=numbers,
        values=[None] * len(job.plan.taps),
        status=np.full(len(numbers), Status.FAILED, np.uint8),
        seconds=np.full(len(numbers), np.nan),
        failures=tuple(as_failure(int(number), error) for number in numbers),
    )


def _run(job: Job, block: Block) -> BlockResult:
    if job.simulator is None:
        job.simulator = Simulator(job.plan)
    with _watching(job, block) as watch:
        run = BlockRun(
            job.simulator,
            block,
            retries=job.retries,
            stop_on_failure=job.stop_on_failure,
            watch=watch,
            is_stopped=job.is_stopped,
            keeper=job.keeper,
        )
        if job.parts is None:
            return run.run()
        if job.block_simulator is None:
            job.block_simulator = BlockSimulator(job.plan)
        watch_part = limited_part(job.timeout_s, job.parts.seconds, job.client)
        return run_as_arrays(job.block_simulator, run, job.parts, watch_part)


@contextmanager
def _watching(job: Job, block: Block) -> Iterator[Watch]:
    """Give the context in which each simulation of a block runs: its place marked, its time limited."""
    if job.marks is None or not job.crosses_processes:
        yield limited(job.timeout_s, job.client)
        return
    limits = limited(job.timeout_s, job.client, job.marks.sign_of_time(block.numbers))
    mark = job.marks.begin(block.numbers)

    def watch(number: int) -> AbstractContextManager[Any]:
        mark.move(number)
        return limits(number)

    yield watch
    mark.close()


def limited(timeout_s: float | None, client: int, sign: Path | None = None) -> Watch:
    """Return what gives the context in which one simulation runs, for a limited time.

    It may end its process if that is not the one of the client, with a sign of that in a file.
    """
    if timeout_s is None:
        return nullcontext
    return TimeLimit(timeout_s, may_end_process=os.getpid() != client, sign=sign).simulation


def limited_part(timeout_s: float | None, seconds: float, client: int) -> WatchPart:
    """Return what gives the context in which several simulations are advanced together.

    All but one of them are expected to take no longer than on their own, which is `seconds` each.
    """
    if timeout_s is None:
        return nullcontext

    def watch(simulations: int) -> AbstractContextManager[Any]:
        limit_s = timeout_s + simulations * seconds
        return TimeLimit(limit_s, may_end_process=os.getpid() != client).simulation(-1)

    return watch

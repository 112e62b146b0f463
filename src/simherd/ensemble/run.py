"""Running a batch: map its blocks, collect outcomes, and find out which simulations kill their workers."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simherd.batch_jobs import BatchJob
from simherd.engine.block import Block, BlockResult, Numbers, Status, Stopped
from simherd.engine.failures import Failure, Hint, add_note
from simherd.engine.plan import Array, Plan
from simherd.engine.timeouts import out_of_time
from simherd.engine.vectorized import Parts
from simherd.ensemble.interrupts import Interrupts
from simherd.ensemble.pending import Pending, count_blocks, split
from simherd.ensemble.sizing import Pace, TaskSizer
from simherd.ensemble.task import BlockReport, Job, run_task
from simherd.errors import SimherdError, SimulationError
from simherd.events import (
    BlockFinished,
    BlockLost,
    Event,
    JobsSeen,
    RunFinished,
    RunStarted,
    RunStopping,
    SimulationEnded,
    Subscriber,
)
from simherd.executors.base import JOB_LOSSES, Executor, Lost, Tasks
from simherd.executors.payload import pack
from simherd.executors.silence import silence_after
from simherd.model.graph import Key, join_name
from simherd.setup.sources import constants_of
from simherd.store.batch_store import read_fingerprint
from simherd.store.checkpoints import CheckpointFolder
from simherd.store.marks import Marks
from simherd.store.signing import checkpoint_key
from simherd.store.writer import BlockStore

__all__ = ["Batch", "Outcome", "run_batch", "share"]

POLL_S = 1.0
KEEP_OTHERS = Hint(
    'To record failed simulations and run the others: on_error="record".',
    cli="To record failed simulations and run the others: --set run.on_error=record.",
)


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
    timeout_s: float | None = None
    """Time that a simulation may take, in s."""
    rtol: float | None = None
    """Relative difference that simulations which are advanced together may show; None runs one by one."""
    parts: Parts | None = None
    """How blocks are cut into simulations that are advanced together."""
    subscribers: tuple[Subscriber, ...] = ()
    """Who watches."""

    @property
    def silence_s(self) -> float | None:
        """Time after which a worker that gives no sign of life is given up, in s; None waits for ever."""
        together = 0.0 if self.parts is None else self.parts.size * self.parts.seconds
        return silence_after(None if self.timeout_s is None else self.timeout_s + together)

    def emit(self, event: Event) -> None:
        """Tell all subscribers of an event."""
        for subscriber in self.subscribers:
            subscriber(event)


@dataclass(slots=True)
class Outcome:
    """What became of the simulations that were to run."""

    done: int = 0
    """Simulations that finished."""
    failed: int = 0
    """Simulations that failed."""
    pending: int = 0
    """Simulations that did not run, because the run was interrupted."""


def share(batch: Batch, obj: Any) -> Any:
    """Return an object in the form in which the executor's workers can have it."""
    if not batch.executor.crosses_processes:
        return obj
    return pack(obj, _parts(batch.plan), constants_of(batch.plan.model.graph.classes.values()))


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
    sizer: TaskSizer,
    numbers: Numbers,
    interrupts: Interrupts,
    seconds: float | None = None,
    marks: Marks | None = None,
) -> Outcome:
    """Run simulations of a batch and write what they give.

    A worker that ends in the middle of a block costs one simulation at most: the block is split until the
    culprit is alone. It fails if it ends a worker once more while nothing else runs.

    Parameters
    ----------
    batch : Batch
        The simulations.
    store : BlockStore
        What results end up in: written by the workers where they own whole chunks with enough room, else
        here.
    sizer : TaskSizer
        Says how many simulations a task gets.
    numbers : range or array of int
        Positions of the simulations that are to run.
    interrupts : Interrupts
        Says whether to stop.
    seconds : float, optional
        Time per simulation, in s, as far as it is known.
    marks : Marks, optional
        Where workers say what they are at, in the folder of the store.

    Raises
    ------
    Exception
        What a simulation raised, with ``on_error="raise"``. What was finished by then is written.
    """
    return _Run(batch, store, sizer, numbers, interrupts, seconds, marks).run()


class _Run:
    def __init__(
        self,
        batch: Batch,
        store: BlockStore,
        sizer: TaskSizer,
        numbers: Numbers,
        interrupts: Interrupts,
        seconds: float | None,
        marks: Marks | None,
    ) -> None:
        self.batch = batch
        self.store = store
        self.sizer = sizer
        self.interrupts = interrupts
        self.pace = Pace(seconds)
        self.pending = Pending(numbers, sizer.chunk, batch.inputs)
        self.marks = marks
        self.checkpoints = None if marks is None else _checkpoints(batch, marks.store)
        self.suspects: deque[Numbers] = deque()
        """Simulations that may have ended a worker: each runs when nothing else does."""
        self.alone: int | None = None
        """The one that runs alone."""
        self.unmarked: set[int] = set()
        self.job_losses: dict[int, int] = {}
        """How often a block lost its worker with the job or node that it was on, by first simulation."""
        self.failure: Failure | None = None
        """Why the run ends, where a failure ends it."""
        self.has_told = False
        self.jobs_seen: frozenset[BatchJob] = frozenset()
        """Batch jobs of which an event has told."""
        self.outcome = Outcome()

    def run(self) -> Outcome:
        batch, executor = self.batch, self.batch.executor
        job = Job(
            plan=batch.plan,
            writer=self.store.writer() if self.store.travels else None,
            marks=self.marks,
            client=os.getpid(),
            retries=batch.retries,
            timeout_s=batch.timeout_s,
            parts=batch.parts,
            checkpoints=self.checkpoints,
            stop_on_failure=batch.on_error == "raise",
            crosses_processes=executor.crosses_processes,
            is_stopped=lambda: self.interrupts.is_stopping or self.failure is not None,
        )
        simulations, started = len(self.pending), time.perf_counter()
        batch.emit(
            RunStarted(
                simulations=simulations,
                blocks=count_blocks(simulations, self.sizer.chunk),
                workers=executor.workers,
                where=executor.description,
            )
        )
        with ExitStack() as stack:
            with suppress(Stopped), self.interrupts.leaving_at_once():  # a worker may have to be waited for
                tasks = stack.enter_context(executor.tasks(run_task, share(batch, job), batch.silence_s))
            if not self.interrupts.is_over:
                self._loop(tasks)
        self.outcome.pending = simulations - self.outcome.done - self.outcome.failed
        batch.emit(
            RunFinished(
                done=self.outcome.done, failed=self.outcome.failed, seconds=time.perf_counter() - started
            )
        )
        return self.outcome

    def _loop(self, tasks: Tasks) -> None:
        while not self.interrupts.is_over:
            self._submit(tasks)
            self._tell_of_jobs()
            if not tasks.running:
                return
            ended: list[tuple[Block, Any]] = []
            with self.interrupts.leaving_at_the_end():
                ended = tasks.finished(POLL_S)
            self._take(ended)
            self._tell_of_signal(tasks)
            if self.marks is not None and not any(_got_on(result) for _, result in ended):
                self.marks.check_running()
            if self.failure is not None:
                self._take(tasks.finished(0.0))
                raise raised(self.failure, self.batch)

    def _tell_of_jobs(self) -> None:
        """Say which batch jobs of workers have come."""
        known = self.jobs_seen | self.batch.executor.batch_jobs()
        if new := known - self.jobs_seen:
            self.jobs_seen = known
            self.batch.emit(JobsSeen(jobs=tuple(sorted(new))))

    def _tell_of_signal(self, tasks: Tasks) -> None:
        """Say once what is still waited for."""
        if self.interrupts.name is not None and tasks.running and not self.has_told:
            self.has_told = True
            blocks, grace_s = min(tasks.running, self.batch.executor.workers), self.interrupts.grace_s
            self.batch.emit(RunStopping(signal=self.interrupts.name, blocks=blocks, grace_s=grace_s))

    def _submit(self, tasks: Tasks) -> None:
        """Give workers what they have room for; one that may end a worker is the only one at its time."""
        if self.interrupts.is_stopping or self.alone is not None:
            return
        while tasks.room and len(self.pending):
            tasks.submit(self.pending.take(self.sizer.chunks(len(self.pending), self.pace)))
        if self.suspects and not tasks.running:
            self.pending.put_back([self.suspects.popleft()])
            block = self.pending.take(1)
            self.alone = int(block.numbers[0])
            tasks.submit(block)

    def _take(self, ended: list[tuple[Block, Any]]) -> None:
        for block, result in ended:
            if isinstance(result, Lost):
                self._after_loss(block, result)
            else:
                self._settle(result)
            if block.numbers[0] == self.alone:
                self.alone = None

    def _settle(self, report: BlockReport) -> None:
        """Write what came back of a block, count it, and note the failure if that is to end the run."""
        if report.result is not None:
            self.store.settle(report.result)
            if self.checkpoints is not None:
                self.checkpoints.remove(report.result.numbers)
        if report.integers is not None:
            self.store.note_integers(report.integers)
        if report.unfinished is not None:
            self.pending.put_back([report.unfinished])
        self.outcome.done += report.done
        self.outcome.failed += report.failed
        self.pace.add(report.done + report.failed, report.seconds)
        self.batch.emit(
            BlockFinished(
                start=report.start,
                done=report.done,
                failed=report.failed,
                seconds=report.seconds,
                worker=report.worker,
            )
        )
        self.failure = self.failure or report.first_failure

    def _after_loss(self, block: Block, lost: Lost) -> None:
        """Find out which simulation of a block ended its worker, by running its parts on their own."""
        first = int(block.numbers[0])
        if lost.is_innocent and self._bears(first):
            self._after_loss_of_job(block, lost)
            return
        last = None if self.marks is None else self.marks.take(block.numbers)
        if last is not None and last.stacks is not None:
            self._after_timeout(block, last.number, last.stacks)
            return
        if last is None and self.marks is not None and first not in self.unmarked:
            self.unmarked.add(first)  # it only waited for that worker, unless this happens again
            self.pending.put_back([block.numbers])
            return
        self.batch.emit(BlockLost(simulations=str(block), reason=lost.reason))
        if first == self.alone:
            error = _ended_its_worker(first, lost, self.batch.timeout_s)
            self._settle(_report_of_failed(Failure(number=first, error=error, traceback=""), self.batch))
            return
        for part in split(block.numbers, None if last is None else last.number):
            self._put_back(part)

    def _after_timeout(self, block: Block, number: int, stacks: str) -> None:
        """Let the simulation fail for which a worker was ended, and run the others of its block again."""
        error = out_of_time(number, self.batch.timeout_s or 0.0)
        self.batch.emit(SimulationEnded(number=number, reason=error.message))
        self._settle(_report_of_failed(Failure(number=number, error=error, traceback=stacks), self.batch))
        self.pending.put_back([part for part in split(block.numbers, number) if number not in part])

    def _bears(self, first: int) -> bool:
        """Return whether a block may lose its job once more."""
        self.job_losses[first] = self.job_losses.get(first, 0) + 1
        return self.job_losses[first] <= JOB_LOSSES

    def _after_loss_of_job(self, block: Block, lost: Lost) -> None:
        """Run a block again as it was: it had nothing to do with the end of its worker."""
        if self.marks is not None:
            self.marks.take(block.numbers)
        self.batch.emit(BlockLost(simulations=str(block), reason=lost.reason))
        if block.numbers[0] == self.alone:
            self.suspects.append(block.numbers)
        else:
            self.pending.put_back([block.numbers])

    def _put_back(self, numbers: Numbers) -> None:
        if len(numbers) == 1:
            self.suspects.append(numbers)
        else:
            self.pending.put_back([numbers])


def _checkpoints(batch: Batch, store: Path) -> CheckpointFolder | None:
    """Return where simulations have their checkpoints, if they keep any or have some of an earlier run."""
    folder = CheckpointFolder(store, checkpoint_key(read_fingerprint(store)))
    if not folder.exists():
        return folder if batch.plan.checkpoint_every is not None else None
    folder.warn_of_others()
    return folder


def _got_on(result: Any) -> bool:
    """Return whether all simulations of a block came to their end."""
    return isinstance(result, BlockReport) and result.unfinished is None


def _ended_its_worker(number: int, lost: Lost, timeout_s: float | None) -> SimulationError:
    limit = "" if timeout_s is None else f", or took much longer than timeout_s={timeout_s:g}"
    return SimulationError(f"Simulation {number} ended its worker process{limit}: {lost.reason}.")


def _report_of_failed(failure: Failure, batch: Batch) -> BlockReport:
    """Return the report of a simulation of which nothing came back."""
    number = failure.number
    result = BlockResult(
        numbers=range(number, number + 1),
        values=[None] * len(batch.plan.taps),
        status=np.array([Status.FAILED], np.uint8),
        seconds=np.array([np.nan]),
        failures=(failure,),
    )
    return BlockReport(
        start=number,
        done=0,
        failed=1,
        unfinished=None,
        first_failure=failure if batch.on_error == "raise" else None,
        seconds=0.0,
        worker="",
        result=result,
    )


def raised(failure: Failure, batch: Batch) -> BaseException:
    """Return the user's own error; notes say what happened elsewhere, and how to keep the others running."""
    error = failure.error
    if error.__traceback__ is None and failure.traceback:
        add_note(error, f"On the worker:\n{failure.traceback}")
    is_of_simulation = isinstance(error, SimulationError) or not isinstance(error, SimherdError)
    if batch.on_error == "raise" and is_of_simulation and not failure.is_interrupt:
        add_note(error, KEEP_OTHERS)
    return error

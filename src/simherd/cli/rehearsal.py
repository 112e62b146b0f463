"""A rehearsal: a few simulations here tell what the whole batch will need on a cluster.

The formulas stand in docs/sessions.md.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from simherd.errors import SimherdError
from simherd.progress.words import counted, format_duration
from simherd.resources import format_bytes, format_walltime

if TYPE_CHECKING:
    from simherd.cli.cost_text import Jobs
    from simherd.events import Event
    from simherd.experiment.assemble import Assembled
    from simherd.experiment.schema import Experiment

__all__ = ["Estimate", "Measured", "Rehearsal", "extrapolate"]

HEADROOM = 1.5
"""Machines differ, and so do simulations."""
START_S = 300
"""Time that a job has to start Python on a busy file system, and to end, in s."""
WALLTIME_STEP_S = 300
MEMORY_HEADROOM = 1.25
MEMORY_OF_JOB = 256 * 2**20
"""Memory of what watches the workers of a job, in bytes."""
MEMORY_OF_WORKER = 100 * 2**20
"""Memory that Dask takes in each worker, which a small rehearsal does without, in bytes."""
MEMORY_STEP = 256 * 2**20
LOOK_S = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What a rehearsal has measured."""

    simulations: int
    """Simulations that ran."""
    seconds: float
    """Time of a simulation on its worker, on average, in s."""
    longest: float
    """Time of the longest one, in s."""
    memory: int
    """Most memory that a worker process had, in bytes; 0 if unknown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """What a whole batch needs on a cluster of jobs."""

    run_s: float
    """Time that it runs once all jobs run, in s."""
    walltime: int
    """Walltime to ask for, for each job, in s."""
    memory: int
    """Memory to ask for, for each job, in bytes; 0 if unknown."""


def extrapolate(measured: Measured, simulations: int, jobs: int, processes: int, threads: int) -> Estimate:
    """Return what a batch needs, from a few of its simulations.

    Parameters
    ----------
    measured : Measured
        What they took.
    simulations : int
        Simulations of the whole batch.
    jobs : int
        Jobs that run at once.
    processes : int
        Worker processes of each.
    threads : int
        Simulations that each of them runs at once.

    Returns
    -------
    Estimate
        Walltime in whole 5 minutes, memory in whole 256 MiB, both with headroom.
    """
    turns = math.ceil(simulations / (jobs * processes * threads))
    run_s = max(turns * measured.seconds, measured.longest)
    walltime = _up(HEADROOM * (run_s + measured.longest) + START_S, WALLTIME_STEP_S)
    each = MEMORY_HEADROOM * (threads * measured.memory + MEMORY_OF_WORKER)
    memory = _up(processes * each + MEMORY_OF_JOB, MEMORY_STEP)
    return Estimate(run_s=run_s, walltime=walltime, memory=memory if measured.memory else 0)


def _up(value: float, step: int) -> int:
    return math.ceil(value / step) * step


class Rehearsal:
    """A subscriber that measures a run that is smaller than its file says, to tell what the whole will need.

    Parameters
    ----------
    assembled : Assembled
        The run, with what the command line changed in it.
    """

    def __init__(self, assembled: Assembled) -> None:
        self._assembled = assembled
        self._is_here = not assembled.runs_on_cluster or assembled.experiment.cluster.kind == "local"
        self._memory = 0
        self._due = 0.0
        self._simulations, self._seconds, self._longest = 0, 0.0, 0.0

    def __call__(self, event: Event) -> None:
        """Take what an event tells, and look now and then how much memory the workers have."""
        from simherd.events import BlockFinished, RunFinished

        if isinstance(event, BlockFinished):
            count = event.done + event.failed
            self._simulations += count
            self._seconds += event.seconds
            self._longest = max(self._longest, event.seconds / max(count, 1))
        if self._is_here and (isinstance(event, RunFinished) or time.monotonic() >= self._due):
            self._due = time.monotonic() + LOOK_S
            self._memory = max(self._memory, most_memory())

    def lines(self) -> Iterator[str]:
        """Yield what the whole batch will need; nothing if this was the whole."""
        experiment = _as_it_stands(self._assembled.experiment)
        simulations = _size_of(experiment)
        if not 0 < self._simulations < simulations:
            return
        measured = self._measured()
        memory = f", at most {format_bytes(measured.memory)} in a worker" if measured.memory else ""
        ran = counted(measured.simulations, "simulation")
        yield f"Rehearsal: {ran}, {_short(measured.seconds)} each{memory}"
        alone = format_duration(simulations * measured.seconds)
        yield f"  all {simulations:,} of the file: {alone} of one core of this machine"
        for kind, jobs in _places(experiment):
            needs = extrapolate(measured, simulations, jobs.count, jobs.processes, jobs.threads)
            yield from _of_place(kind, jobs, needs)

    def _measured(self) -> Measured:
        """Return what the store says, which does not count the start of workers, or else the events."""
        from simherd.store.reading import read_state

        store, seconds, longest = self._assembled.experiment.run.store, None, self._longest
        if store is not None and Path(store).exists():
            state = read_state(store)
            if state.durations is not None:
                seconds = state.durations.total_s / max(state.done + state.failed, 1)
                longest = state.durations.longest_s
        return Measured(
            simulations=self._simulations,
            seconds=self._seconds / self._simulations if seconds is None else seconds,
            longest=longest,
            memory=self._memory,
        )


def _size_of(experiment: Experiment) -> int:
    """Return how many simulations the batch of a file has; 0 if it has none."""
    from simherd.experiment.inputs import whole_size

    batch = experiment.batch
    return 0 if batch is None else batch.size or whole_size(batch)


def _places(experiment: Experiment) -> Iterator[tuple[str, Jobs]]:
    """Yield the clusters of jobs that a file has settings of."""
    from simherd.cli.cost_text import jobs_of
    from simherd.clusters import split_options

    cluster = experiment.cluster
    for kind in dict.fromkeys((*cluster.sections, cluster.kind)):
        with suppress(SimherdError):  # what is wrong there is said when it is used
            jobs = jobs_of(kind, split_options(kind, cluster.options_for(kind))[0])
            if jobs is not None:
                yield kind, jobs


def _as_it_stands(experiment: Experiment) -> Experiment:
    from simherd.experiment.document import read_document
    from simherd.experiment.schema import check

    return check(read_document(str(experiment.path)))


def _of_place(kind: str, jobs: Jobs, needs: Estimate) -> Iterator[str]:
    asked = f"{format_walltime(jobs.walltime)}, {format_bytes(jobs.memory)}"
    memory = f" and memory '{needs.memory // 2**20} MiB'" if needs.memory else ""
    size = f"{counted(jobs.count, 'job')} of {counted(jobs.cores, 'core')}"
    yield (
        f"  {kind}, {size}: about {format_duration(needs.run_s)}; ask for walltime "
        f"{format_walltime(needs.walltime)}{memory} (the file asks for {asked})"
    )
    if needs.walltime > jobs.walltime:
        yield "    too long for the walltime: jobs will be replaced; more of them would be quicker"
    if needs.memory > jobs.memory:
        yield "    too much for the memory: workers will be ended"


def _short(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms" if seconds < 1 else format_duration(seconds)


def most_memory() -> int:
    """Return the most memory that a process started by this one has had, else this one, in bytes."""
    import psutil

    here = psutil.Process()
    children = here.children(recursive=True)
    return max((_peak(child.pid) for child in children or [here]), default=0)


def _peak(process: int) -> int:
    """Return the most memory that a process has had, or has where that is not kept, in bytes."""
    import psutil

    try:
        status = Path(f"/proc/{process}/status").read_text()
        return next(1024 * int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        pass
    try:
        return int(psutil.Process(process).memory_info().rss)
    except psutil.Error:
        return 0

"""What happens while a batch runs, as data, and who may watch.

The ensemble runner calls every subscriber with each event, in the thread that called ``run``. A
subscriber looks and keeps; it never steers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from simherd.batch_jobs import BatchJob

__all__ = [
    "BlockFinished",
    "BlockLost",
    "Event",
    "JobsSeen",
    "RunFinished",
    "RunStarted",
    "RunStopping",
    "SimulationEnded",
    "Subscriber",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunStarted:
    """A batch, or a parallel map, is about to run."""

    simulations: int
    """Simulations that are to run, or tasks of a map."""
    blocks: int | None = None
    """Blocks that they make, each of the size of a chunk of the store; None where that is not decided yet."""
    workers: int
    """Blocks that run at once."""
    where: str
    """The executor, in words, such as ``"2 worker processes"``."""
    unit: str = "simulation"
    """The word for one of them: "simulation" or "task"."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobsSeen:
    """Workers of the batch have batch jobs of which no event has told so far."""

    jobs: tuple[BatchJob, ...]
    """These jobs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockFinished:
    """A block came back."""

    start: int
    """First simulation of the block."""
    done: int
    """Simulations that finished."""
    failed: int
    """Simulations that failed."""
    seconds: float
    """Time the block took on its worker, in s."""
    worker: str
    """Name of the worker that ran it; "" if it was lost."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockLost:
    """A worker ended in the middle of a block, whose simulations run again."""

    simulations: str
    """Which ones, in words."""
    reason: str
    """How the worker ended."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SimulationEnded:
    """A simulation was ended together with its worker, and has failed."""

    number: int
    """Position of the simulation in the batch."""
    reason: str
    """Why, in a sentence."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunStopping:
    """A signal came: blocks that run may finish, no others begin."""

    signal: str
    """Its name."""
    blocks: int
    """Blocks that are on their way."""
    grace_s: float
    """Time that they have, in s."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFinished:
    """The batch came to its end, or was interrupted."""

    done: int
    """Simulations that finished."""
    failed: int
    """Simulations that failed."""
    seconds: float
    """Wall time since `RunStarted`, in s."""


Event: TypeAlias = (
    RunStarted | JobsSeen | BlockFinished | BlockLost | SimulationEnded | RunStopping | RunFinished
)
Subscriber: TypeAlias = Callable[[Event], None]

"""What a batch scheduler must do: submit scripts, say what became of jobs, cancel them, tell its limits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

__all__ = [
    "BatchScheduler",
    "JobRequest",
    "JobState",
    "JobStatus",
    "ParallelEnvironment",
    "Partition",
    "Site",
    "Words",
]


class JobState(Enum):
    """Where a job is, in words that all batch schedulers share."""

    PENDING = "pending"
    HELD = "held"
    RUNNING = "running"
    ENDING = "ending"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMEOUT = "out of walltime"
    OUT_OF_MEMORY = "out of memory"
    NODE_FAIL = "node failed"
    PREEMPTED = "preempted"
    GONE = "gone"
    """The scheduler does not know it any more."""
    UNKNOWN = "in a state that is not known"
    """Nobody can tell: there are batch schedulers that are only known by how to submit and to cancel."""

    @property
    def is_over(self) -> bool:
        """Whether it will not run again."""
        there = (JobState.PENDING, JobState.HELD, JobState.RUNNING, JobState.ENDING, JobState.UNKNOWN)
        return self not in there

    @property
    def is_waiting(self) -> bool:
        """Whether it has not begun."""
        return self in (JobState.PENDING, JobState.HELD)


@dataclass(frozen=True, kw_only=True, slots=True)
class JobStatus:
    """What the scheduler says of a job."""

    job_id: str
    """The job."""
    state: JobState
    """Where it is."""
    native: str = ""
    """The scheduler's own word or code for that."""
    reason: str = ""
    """Why it waits, or ended, in the scheduler's words."""
    node: str = ""
    """Where it runs."""
    exit_code: int | None = None
    """Exit code, once it is over and if it is known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Partition:
    """A partition of SLURM or a queue of Grid Engine."""

    name: str
    """Its name."""
    is_default: bool = False
    """Whether jobs that name none go there."""
    is_up: bool = True
    """Whether its jobs start."""
    max_walltime_s: int | None = None
    """Longest walltime, in s; None for no limit."""
    nodes: int = 0
    """Number of nodes; 0 if unknown."""
    cores_per_node: int | None = None
    """Cores of its largest node."""
    memory_bytes_per_node: int | None = None
    """Memory of its largest node."""
    parallel_environments: tuple[str, ...] = ()
    """Grid Engine: what jobs of more than one slot may ask for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ParallelEnvironment:
    """A parallel environment of Grid Engine."""

    name: str
    """Its name."""
    slots: int
    """Slots that its jobs may have together."""
    allocation_rule: str
    """How slots are given: ``$pe_slots`` keeps a job on one host, ``$fill_up`` does not."""

    @property
    def is_one_host(self) -> bool:
        """Whether all slots of a job are on one host."""
        return self.allocation_rule == "$pe_slots"


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """What a batch scheduler has, as far as it tells."""

    partitions: tuple[Partition, ...] = ()
    """Partitions or queues."""
    parallel_environments: tuple[ParallelEnvironment, ...] = ()
    """Grid Engine's; none for SLURM."""
    max_array_tasks: int | None = None
    """Most tasks of one array job."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobRequest:
    """What a job asks for, whatever the scheduler calls it."""

    queue: str | None = None
    """Partition or queue; None for the default."""
    nodes: int = 1
    """Number of nodes."""
    ntasks: int = 1
    """Tasks (ranks) of the job."""
    cpus_per_task: int = 1
    """Cores of each task."""
    memory_bytes: int | None = None
    """Memory of the job on each node."""
    walltime_s: int | None = None
    """Walltime, in s; None for the site's default."""
    parallel_environment: str | None = None
    """Grid Engine's; None books one slot."""
    array_tasks: int | None = None
    """Tasks of an array job; None for a job of its own."""

    @property
    def cores(self) -> int:
        """Cores of the whole job."""
        return self.ntasks * self.cpus_per_task


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """How a batch scheduler calls things, and the commands that show them: for messages."""

    scheduler: str
    """Its own name."""
    queue: str
    """What jobs are sent to."""
    look: str
    """Command that lists these."""
    look_limits: str
    """Command that shows their limits."""
    look_nodes: str
    """Command that shows cores and memory of the nodes."""


class BatchScheduler(ABC):
    """One kind of batch scheduler, reached through its commands."""

    name: str
    """ "slurm" or "sge"."""
    words: Words
    """How it calls things."""
    accounts_when_over: bool = False
    """Whether its accounting knows jobs only when they are over."""

    @abstractmethod
    def is_installed(self) -> bool:
        """Return whether its commands are on this machine."""

    @abstractmethod
    def submit(self, script: Path, arguments: Sequence[str] = (), of_script: Sequence[str] = ()) -> str:
        """Submit a job script and return the job id.

        Parameters
        ----------
        script : Path
            The script.
        arguments : sequence of str, optional
            Options of the submitting command; they count more than the script's directives.
        of_script : sequence of str, optional
            Arguments of the script itself.

        Raises
        ------
        SubmitError
            If it is refused.
        """

    @abstractmethod
    def query(self, job_ids: Iterable[str]) -> Mapping[str, JobStatus]:
        """Return the status of jobs; one that the scheduler has forgotten is `JobState.GONE`.

        Raises
        ------
        SchedulerError
            If the scheduler does not answer.
        """

    @abstractmethod
    def accounting(self, job_ids: Iterable[str]) -> str:
        """Return what the accounting has about jobs and their array tasks, as it prints it.

        Jobs that it does not know are left out.

        Raises
        ------
        SchedulerError
            If it does not answer.
        """

    @abstractmethod
    def cancel(self, job_ids: Iterable[str]) -> None:
        """End jobs. Those that are over already do not matter.

        Raises
        ------
        SchedulerError
            If the scheduler does not answer.
        """

    @abstractmethod
    def site(self) -> Site:
        """Return what the scheduler has and allows.

        Raises
        ------
        SchedulerError
            If the scheduler does not answer.
        """

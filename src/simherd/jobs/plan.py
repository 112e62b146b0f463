"""What a job script is made of: one plan, from which every count in it comes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from simherd.config import SiteSettings

__all__ = ["ArrayJob", "JobPlan", "Mode", "Resources"]


class Mode(StrEnum):
    """How a job runs an experiment."""

    MPI = "mpi"
    """The whole run in one job, its ranks started by a launcher."""
    JOBQUEUE = "jobqueue"
    """A small job with Dask's scheduler and client, which submits its workers as jobs."""
    ARRAY = "array"
    """An array job, each task of which runs its share of the simulations."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Resources:
    """What a job, or each task of an array job, asks for."""

    nodes: int = 1
    """Number of nodes."""
    ntasks: int = 1
    """Tasks (ranks) of the job."""
    cores: int = 1
    """Cores of each task."""
    memory_bytes: int | None = None
    """Memory of the job on each node; None for the site's default."""
    disk_bytes: int | None = None
    """Local disk of the job on each node."""
    walltime_s: int | None = None
    """Walltime, in s; None for the site's default."""
    queue: str | None = None
    """Partition or queue; None for the default."""
    account: str | None = None
    """Account (SLURM) or project (Grid Engine)."""
    parallel_environment: str | None = None
    """Grid Engine: parallel environment of a job with more than one slot."""

    @property
    def slots(self) -> int:
        """Cores of the whole job."""
        return self.ntasks * self.cores


@dataclass(frozen=True, kw_only=True, slots=True)
class ArrayJob:
    """One of the array jobs that a run is split into."""

    offset: int
    """Tasks in the array jobs before it."""
    tasks: int
    """Its tasks, which count from 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobPlan:
    """All that a job script says."""

    scheduler: str
    """ "slurm" or "sge"."""
    mode: Mode
    """How the experiment runs."""
    name: str
    """Name of the job, such as may stand in a file name."""
    program: tuple[str, ...]
    """How simherd is called in the job."""
    arguments: tuple[str, ...]
    """What follows ``simherd run``."""
    store: str
    """Folder of the results, as seen from where the job starts."""
    resources: Resources = field(default_factory=Resources)
    """What the job asks for."""
    site: SiteSettings = field(default_factory=SiteSettings)
    """What the site has."""
    threads: int = 1
    """Threads of numerical libraries in each simulation: the value of the guards."""
    shares: int = 1
    """Array: tasks of all array jobs together."""
    concurrent: int | None = None
    """Array: most tasks of an array job that run at once."""
    prologue: tuple[str, ...] = ()
    """Lines of shell that run before the experiment."""
    directives: tuple[str, ...] = ()
    """Further directives, without ``#SBATCH`` or ``#$``."""
    directives_skip: tuple[str, ...] = ()
    """Texts: a directive that has one of them is left out."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Jobqueue: variables that name the settings with which the worker jobs were checked."""
    environment: str = "all"
    """Variables that the job takes over from where it is submitted: "all", "none", or names with commas."""
    log_directory: str = "."
    """Folder of the job's logs."""
    shebang: str = "#!/bin/bash"
    """First line."""
    signal_s: int = 90
    """Time before the walltime at which the run is told to stop, in s."""
    is_strict: bool = False
    """Whether failed simulations make the job fail."""
    requeues: bool = True
    """Whether a job that did not finish goes back into the queue."""

    @property
    def is_array(self) -> bool:
        """Whether it is an array job."""
        return self.mode is Mode.ARRAY

    def array_jobs(self, limit: int | None) -> Iterator[ArrayJob]:
        """Give the array jobs that the shares need where one may have `limit` tasks."""
        size = self.shares if limit is None else max(1, min(limit, self.shares))
        for offset in range(0, self.shares, size):
            yield ArrayJob(offset=offset, tasks=min(size, self.shares - offset))

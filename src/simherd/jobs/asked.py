"""What is asked for: a job, and what it runs, before the configuration fills in the rest."""

from __future__ import annotations

from dataclasses import dataclass

from simherd.jobs.plan import Mode

__all__ = ["Asked", "Call"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """What a job runs."""

    program: tuple[str, ...] = ("simherd",)
    """How simherd is called there."""
    experiment: str
    """Path of the experiment, as seen from the folder where the job starts."""
    arguments: tuple[str, ...] = ()
    """Further arguments of ``simherd run``."""
    store: str
    """Folder of the results, as seen from there."""
    name: str
    """What the job's name is made of."""
    grace_s: float = 30.0
    """Time that the run takes to stop once it is told to, in s."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What is asked for a job; None leaves it to the configuration."""

    scheduler: str
    """ "slurm" or "sge"."""
    mode: Mode
    """How the experiment runs."""
    nodes: int | None = None
    """Number of nodes."""
    ntasks: int | None = None
    """Number of ranks."""
    jobs: int | None = None
    """Tasks of the array, or worker jobs."""
    cores: int | None = None
    """Cores of each rank, array task or worker job."""
    threads: int | None = None
    """Threads of numerical libraries in each simulation."""
    memory: str | None = None
    """Memory on each node, of an array task or of a worker job."""
    disk: str | None = None
    """Local disk on each node."""
    walltime: str | None = None
    """Walltime of each job."""
    queue: str | None = None
    """Partition or queue."""
    account: str | None = None
    """Account or project."""
    parallel_environment: str | None = None
    """Grid Engine's parallel environment."""
    concurrent: int | None = None
    """Most array tasks that run at once."""
    environment: str = "all"
    """Variables that the job takes over: "all", "none" or names."""
    is_strict: bool = False
    """Whether failed simulations make the job fail."""
    requeues: bool = True
    """Whether a job that did not finish goes back into the queue."""

"""What jobs a run would submit and what they would cost, without asking anybody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from simherd.clusters import KINDS, job_script, split_options
from simherd.progress.words import counted
from simherd.resources import format_bytes, format_walltime

if TYPE_CHECKING:
    from simherd.clusters.jobqueue import Kind
    from simherd.clusters.jobqueue.options import JobOptions
    from simherd.experiment.assemble import Assembled

__all__ = ["Jobs", "cost_lines", "jobs_of", "script_lines", "settings_files"]

HOUR_S = 3600


@dataclass(frozen=True, kw_only=True, slots=True)
class Jobs:
    """The jobs that a cluster submits."""

    scheduler: str
    """The batch scheduler, in words."""
    count: int
    """Jobs that run at once, at most."""
    cores: int
    """Cores of each."""
    processes: int
    """Worker processes of each."""
    threads: int
    """Simulations that a worker process runs at once."""
    memory: int
    """Memory of each, in bytes."""
    walltime: int
    """Walltime of each, in s."""
    asks_memory: bool = True
    """Whether the batch scheduler is asked for the memory."""

    @property
    def blocks(self) -> int:
        """Blocks that all of them run at once."""
        return self.count * self.processes * self.threads

    @property
    def core_hours(self) -> float:
        """What all of them cost if each runs to the end of its walltime."""
        return self.count * self.cores * self.walltime / HOUR_S


def jobs_of(kind: str, options: Mapping[str, Any]) -> Jobs | None:
    """Return the jobs of a cluster; None if it submits none.

    Parameters
    ----------
    kind : str
        Kind of cluster.
    options : mapping
        Those that it has a use for; what is missing is taken from jobqueue.yaml.

    Raises
    ------
    ClusterOptionError
        If an option is wrong.
    """
    found = getattr(import_module(KINDS[kind]), "KIND", None) if kind in KINDS else None
    if found is None:
        return None
    from simherd.clusters.jobqueue.options import read_options

    read = read_options(found, options)
    return Jobs(
        scheduler=found.title,
        count=read.most_jobs,
        cores=read.cores,
        processes=read.processes,
        threads=read.threads,
        memory=read.memory,
        walltime=read.walltime,
        asks_memory=_asks_memory(found, read),
    )


def _asks_memory(kind: Kind, options: JobOptions) -> bool:
    """Return whether jobs ask for memory: those of Grid Engine do by a resource that the site names."""
    from simherd.config import site_settings

    if not kind.has_parallel_environment or site_settings(kind.name).memory_resource is not None:
        return True
    return bool(options.resource_spec) or any("-l" in line.split() for line in options.directives)


def cost_lines(jobs: Jobs) -> Iterator[str]:
    """Yield what jobs ask for, each and together, and what they cost at most."""
    size = f"{counted(jobs.cores, 'core')}, {format_bytes(jobs.memory)}, {format_walltime(jobs.walltime)}"
    yield f"Jobs        {counted(jobs.count, 'job')} of {jobs.scheduler}, each with {size}"
    together = f"{counted(jobs.count * jobs.cores, 'core')}, {format_bytes(jobs.count * jobs.memory)}"
    if not jobs.asks_memory:
        yield f"            {jobs.scheduler} is not asked for the memory: nothing in jobqueue.yaml says how"
        yield "            (section simherd, memory-resource, such as h_vmem)"
    yield f"In all      {together}"
    yield f"Cost        {jobs.core_hours:,.4g} core-hours, if all run to the end of their walltime;"
    yield "            jobs that reach it are replaced while work is left"


def settings_files() -> str:
    """Name the files with settings of clusters, for dry runs."""
    from simherd.config import files_read

    return ", ".join(map(str, files_read())) or "no file has settings of clusters"


def script_lines(assembled: Assembled) -> Iterator[str]:
    """Yield the job script of the workers, if they are jobs."""
    cluster = assembled.experiment.cluster
    if not assembled.runs_on_cluster or cluster.kind not in KINDS:
        return
    used, _ = split_options(cluster.kind, cluster.options_for(cluster.kind))
    script = job_script(cluster.kind, **used)
    if script is not None:
        yield "Job script  of each job:"
        yield from (f"  {line}".rstrip() for line in script.rstrip().splitlines())

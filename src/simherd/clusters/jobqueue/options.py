"""The options of a cluster whose workers are jobs, checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from simherd.clusters.checks import (
    flag,
    folder,
    keys,
    lines,
    one_line,
    positive,
    seconds,
    shares,
    word,
)
from simherd.clusters.jobqueue.kinds import Kind
from simherd.config import job_settings
from simherd.errors import ClusterOptionError, close_matches
from simherd.resources import parse_bytes, parse_job_memory, parse_walltime
from simherd.schedulers import JobRequest
from simherd.schedulers.job_names import name_of_program

__all__ = ["JobOptions", "option_names", "read_options", "request_of"]

MEMORY_PER_CORE = 2 * 2**30


@dataclass(frozen=True, kw_only=True, slots=True)
class JobOptions:
    """What a cluster of jobs is to be."""

    jobs: int = 1
    """Jobs that are kept running; with `adapt`, how many there are at first."""
    adapt: tuple[int, int] | None = None
    """Fewest and most jobs, between which there are as many as the work needs."""
    cores: int = 1
    """Cores of a job."""
    processes: int = 1
    """Worker processes of a job."""
    memory: int = MEMORY_PER_CORE
    """Memory of a job, in bytes."""
    walltime: int = 3600
    """Time after which the scheduler ends a job, in s."""
    queue: str | None = None
    """Partition or queue."""
    account: str | None = None
    """Who pays: account or project."""
    parallel_environment: str | None = None
    """Grid Engine: what books several slots."""
    resource_spec: str | None = None
    """Resources in the scheduler's own words."""
    directives: Any = ()
    """Further directives of the job script."""
    directives_skip: tuple[str, ...] = ()
    """Parts of directives that are to be left out."""
    prologue: tuple[str, ...] = ()
    """Lines of shell code that run before the workers."""
    interface: str | None = None
    """Network interface of scheduler and workers."""
    local_directory: str | None = None
    """Folder on the node in which workers put what does not fit into memory."""
    log_directory: str | None = None
    """Folder of the jobs' logs, which stay; by default they go where nothing stays that ended well."""
    shared_temp_directory: str | None = None
    """Folder that all nodes see, for the workers' keys; by default the one of the state of simherd."""
    death_timeout: float = 60.0
    """Time after which a worker without scheduler ends, in s."""
    wait_timeout: float | None = None
    """Time to wait for the first worker, in s; None as long as there is hope."""
    dashboard_address: str | None = "127.0.0.1:0"
    """Where the dashboard listens; None for no dashboard."""
    security: Any = None
    """TLS or none."""
    worker_memory: Mapping[str, float | bool] = field(default_factory=dict)
    """Shares of a worker's memory at which Dask acts: target, spill, pause, terminate."""
    guard_threads: int = 1
    """Threads of numerical libraries in each simulation."""
    name: str = field(default_factory=name_of_program)
    """Name of the jobs."""
    python: str | None = None
    """Python on the nodes; this one by default."""
    shebang: str | None = None
    """First line of job scripts."""
    worker_arguments: tuple[str, ...] = ()
    """Further arguments of ``dask worker``."""
    scheduler_options: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of the Dask scheduler."""
    own: Mapping[str, Any] = field(default_factory=dict)
    """Options that only this kind has."""

    @property
    def threads(self) -> int:
        """Simulations that a worker process runs at once."""
        return self.cores // (self.processes * self.guard_threads)

    @property
    def tasks(self) -> int:
        """Simulations that a job runs at once."""
        return self.processes * self.threads

    @property
    def most_jobs(self) -> int:
        """Most jobs at once."""
        return self.adapt[1] if self.adapt else self.jobs


SPELLINGS = {"partition": "queue", "project": "account"}
"""Other words for options."""
DERIVED = ("workers", "threads_per_worker")
"""Options that others follow from."""
NULLABLE = ("dashboard_address",)
"""Options for which None says something."""
OVERRULED = {
    "processes": ("cores", "threads_per_worker"),
    "threads_per_worker": ("cores", "processes"),
    "jobs": ("workers", "adapt"),
    "workers": ("jobs", "adapt"),
}
"""Options that are not taken from the configuration where one of some others is given."""
LSF_UNITS = tuple(f"{prefix}b" for prefix in "kmgtpez")
"""Units in which LSF may count memory."""
IGNORED = ("worker_command",)
"""Keys of dask-jobqueue that have no effect: workers are started in one way."""


def option_names(kind: Kind) -> tuple[str, ...]:
    """Return the options that a kind of cluster has."""
    names = [one.name for one in fields(JobOptions) if one.name != "own"]
    present = {
        "queue": kind.has_queue,
        "account": bool(kind.account),
        "walltime": kind.has_walltime,
        "resource_spec": kind.has_resource_spec,
        "parallel_environment": kind.has_parallel_environment,
    }
    kept = [name for name in names if present.get(name, True)]
    spelt = [other for other, name in SPELLINGS.items() if present.get(name, True)]
    return (*kept, *spelt, *DERIVED, *kind.own)


def read_options(kind: Kind, given: Mapping[str, Any]) -> JobOptions:
    """Return the options of a cluster: what is given on top of what jobqueue.yaml says.

    Raises
    ------
    ClusterOptionError
        If one is unknown or wrong.
    """
    allowed = option_names(kind)
    wanted = {name: value for name, value in _spelt(given).items() if value is not None or name in NULLABLE}
    configured = {name: value for name, value in _spelt(job_settings(kind.name)).items() if name in allowed}
    values = {**_without_overruled(configured, wanted), **wanted}
    for name in values:
        if name not in allowed:
            raise ClusterOptionError(
                f"A cluster of kind {kind.name!r} has no option {name!r}. {close_matches(name, allowed)}"
            )
    ours = {name: values.pop(name) for name in kind.own if name in values and name not in _FIELDS}
    own = {
        name: _CHECKS.get(name, one_line)(name, value) for name, value in ours.items() if value is not None
    }
    return JobOptions(**_checked(kind, values), own=own)


def request_of(kind: Kind, options: JobOptions) -> JobRequest:
    """Return what a job asks for, to hold it against what the site has.

    Raises
    ------
    ClusterOptionError
        If it needs a parallel environment, and none is known.
    """
    return JobRequest(
        queue=options.queue,
        cpus_per_task=options.cores,
        memory_bytes=options.memory,
        walltime_s=options.walltime,
        parallel_environment=kind.environment(options),
    )


def _without_overruled(configured: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is configured without what follows from something else that is wanted."""
    overruled = {name for name, others in OVERRULED.items() if any(other in wanted for other in others)}
    return {name: value for name, value in configured.items() if name not in overruled}


_FIELDS = frozenset(one.name for one in fields(JobOptions))


def _spelt(options: Mapping[str, Any]) -> dict[str, Any]:
    return {SPELLINGS.get(name, name): value for name, value in options.items() if name not in IGNORED}


def _checked(kind: Kind, values: dict[str, Any]) -> dict[str, Any]:
    checks = {**_CHECKS, "walltime": _walltime_of(kind)}
    checked = {name: checks.get(name, _as_it_is)(name, value) for name, value in values.items()}
    cores, processes = _cores_and_processes(checked)
    checked["jobs"] = _jobs(checked, processes)
    checked.setdefault("memory", cores * MEMORY_PER_CORE)
    return {**checked, "cores": cores, "processes": processes}


def _jobs(checked: dict[str, Any], processes: int) -> int:
    """Return the number of jobs at the start."""
    workers, adapt = checked.pop("workers", None), checked.get("adapt")
    needed = None if workers is None else -(-workers // processes)
    jobs: int = checked.get("jobs", needed or (max(1, adapt[0]) if adapt else 1))
    if needed not in (None, jobs):
        raise ClusterOptionError(
            f"jobs={jobs} of {processes} worker processes are not workers={workers}.",
            fix="give one of the two.",
        )
    if adapt and not adapt[0] <= jobs <= adapt[1]:
        raise ClusterOptionError(
            f"jobs={jobs} is not between the fewest and the most jobs, adapt={adapt}.", fix="leave jobs out."
        )
    return jobs


def _cores_and_processes(checked: dict[str, Any]) -> tuple[int, int]:
    """Return cores and worker processes of a job; each process has as many threads as the others."""
    threads, guarded = checked.pop("threads_per_worker", None), checked.get("guard_threads", 1)
    cores, processes = checked.get("cores"), checked.get("processes")
    if cores is None:
        cores = (processes or 1) * (threads or 1) * guarded
    if processes is None:
        processes = max(1, cores // ((threads or 1) * guarded))
    if cores % (processes * guarded) or (threads is not None and cores != processes * threads * guarded):
        each = "" if guarded == 1 else f" with simulations of guard_threads={guarded} threads each"
        raise ClusterOptionError(
            f"cores={cores} do not make {processes} worker processes of "
            f"{threads or 'equally many'} threads{each}: cores would idle, or be used twice.",
            fix="let cores be processes times threads_per_worker times guard_threads.",
        )
    return cores, processes


def _as_it_is(name: str, value: Any) -> Any:
    return value


def _memory(name: str, value: Any) -> int:
    return parse_job_memory(value)


def _size(name: str, value: Any) -> int:
    return parse_bytes(value)


def _walltime_of(kind: Kind) -> Callable[[str, Any], int]:
    def walltime(name: str, value: Any) -> int:
        return parse_walltime(value, may_begin_with_hours=kind.walltime_may_begin_with_hours)

    return walltime


def _directives(name: str, value: Any) -> Any:
    """Return directives: lines, or for HTCondor keys with values."""
    found = dict(value) if isinstance(value, Mapping) else lines(name, value)
    for line in (*found, *found.values()) if isinstance(found, dict) else found:
        one_line(name, line)
    return found


def _unit(name: str, value: Any) -> str:
    if value in LSF_UNITS:
        return str(value)
    raise ClusterOptionError(f"{name}={value!r} is not known. {close_matches(str(value), LSF_UNITS)}")


def _adapt(name: str, value: Any) -> tuple[int, int]:
    is_pair = isinstance(value, Sequence) and len(value) == 2 and all(isinstance(one, int) for one in value)
    if is_pair and 0 <= value[0] <= value[1] and value[1] > 0:
        return value[0], value[1]
    raise ClusterOptionError(
        f"adapt={value!r} is not allowed: the fewest and the most jobs are needed.",
        fix="write for instance [1, 8].",
    )


_CHECKS = {
    **dict.fromkeys(
        ("jobs", "workers", "threads_per_worker", "cores", "processes", "guard_threads", "ncpus", "job_cpu"),
        positive,
    ),
    **dict.fromkeys(
        ("queue", "account", "parallel_environment", "resource_spec", "name", "interface", "log_directory"),
        word,
    ),
    **dict.fromkeys(("memory", "job_mem"), _memory),
    **dict.fromkeys(("mem", "disk"), _size),
    "use_stdin": flag,
    "lsf_units": _unit,
    "shared_temp_directory": folder,
    "scheduler_options": keys,
    **dict.fromkeys(("prologue", "directives_skip", "worker_arguments"), lines),
    **dict.fromkeys(("submit_command_extra", "cancel_command_extra"), lines),
    "directives": _directives,
    **dict.fromkeys(("python", "shebang", "local_directory"), one_line),
    "adapt": _adapt,
    **dict.fromkeys(("death_timeout", "wait_timeout"), seconds),
    "worker_memory": shares,
}

"""From what is asked for, and what is configured, to the plan of a job script."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from simherd.config import SiteSettings
from simherd.errors import ClusterOptionError
from simherd.jobs.asked import Asked, Call
from simherd.jobs.base import dialect_of, words_of
from simherd.jobs.configured import Configured
from simherd.jobs.handing_on import settings_in_use
from simherd.jobs.plan import JobPlan, Mode, Resources
from simherd.jobs.templates_check import check_names
from simherd.resources import is_count, parse_bytes, parse_job_memory, parse_walltime
from simherd.schedulers.job_names import safe_name

__all__ = ["plan_job", "refuse_empty"]

LEADER_MEMORY = 4 * 1024**3
"""Memory of a job with Dask's scheduler and client only."""
SHARES = 4
"""Tasks of an array job, unless others are asked for."""
LEAD_S = 90
"""Time before the walltime at which a run is told to stop, in s, unless its grace is long."""
MARGIN_S = 60
"""Time to write what is done, beyond the grace, in s."""
LOGS = "logs"

ONLY_FOR = {
    "nodes": (Mode.MPI,),
    "ntasks": (Mode.MPI,),
    "jobs": (Mode.JOBQUEUE, Mode.ARRAY),
    "concurrent": (Mode.ARRAY,),
    "threads": (Mode.MPI, Mode.ARRAY),
}
"""What only some modes have."""
SPELT = {"queue": "partition"}
"""What options are called on the command line, where it is not their name."""


def plan_job(asked: Asked, call: Call, configured: Configured, site: SiteSettings) -> JobPlan:
    """Return the plan of a job.

    Parameters
    ----------
    asked : Asked
        What the command line says.
    call : Call
        What the job runs.
    configured : Configured
        What jobqueue.yaml and the experiment say of worker jobs.
    site : SiteSettings
        What section ``simherd`` of jobqueue.yaml says.

    Raises
    ------
    ClusterOptionError
        If something asked for contradicts itself, or the mode has no use for it.
    """
    _refuse_what_does_not_apply(asked)
    check_names(site.templates)
    resources = _resources(asked, configured, site)
    threads = asked.threads or (resources.cores if asked.mode is Mode.MPI else 1)
    if threads > resources.cores:
        raise ClusterOptionError(
            f"{threads} threads in each simulation are over the {resources.cores} cores that it may use.",
            fix="raise --cores, or lower --threads.",
        )
    signal_s, arguments = _signal(resources.walltime_s, call.grace_s)
    return JobPlan(
        scheduler=asked.scheduler,
        mode=asked.mode,
        name=safe_name(call.name),
        program=call.program,
        arguments=(call.experiment, *call.arguments, *_of_workers(asked, configured, site), *arguments),
        store=call.store,
        resources=resources,
        site=site,
        threads=threads,
        shares=asked.jobs or SHARES if asked.mode is Mode.ARRAY else 1,
        concurrent=asked.concurrent,
        prologue=configured.prologue,
        directives=configured.directives,
        directives_skip=configured.directives_skip,
        settings=settings_in_use(os.environ) if asked.mode is Mode.JOBQUEUE else {},
        environment=asked.environment,
        log_directory=configured.log_directory or LOGS,
        shebang=configured.shebang or "#!/bin/bash",
        signal_s=signal_s,
        is_strict=asked.is_strict,
        requeues=asked.requeues,
    )


def _refuse_what_does_not_apply(asked: Asked) -> None:
    for one in fields(asked):
        value = getattr(asked, one.name)
        if value is None:
            continue
        if isinstance(value, str):
            refuse_empty(one.name, value)
        if asked.mode not in ONLY_FOR.get(one.name, tuple(Mode)):
            raise ClusterOptionError(
                f"--{one.name} is not for the mode {asked.mode}.",
                fix=f"leave it out, or choose --mode {' or '.join(ONLY_FOR[one.name])}.",
            )
        if one.name in ("nodes", "ntasks", "jobs", "cores", "threads", "concurrent") and not is_count(
            value, 1
        ):
            raise ClusterOptionError(f"--{one.name}={value} is not allowed: 1 or more is needed.")
    if asked.parallel_environment is not None and not dialect_of(asked.scheduler).is_booked_by_slots:
        raise ClusterOptionError("--parallel-environment is for Grid Engine only.", fix="leave it out.")


def refuse_empty(name: str, value: str) -> None:
    """Raise an error if an option of the command line has no value: a variable of the shell may not be set.

    Raises
    ------
    ClusterOptionError
        If so.
    """
    if not value.strip():
        option = SPELT.get(name, name).replace("_", "-")
        raise ClusterOptionError(f"--{option} is empty.", fix="give it a value, or leave it out.")


def _resources(asked: Asked, configured: Configured, site: SiteSettings) -> Resources:
    dialect = dialect_of(asked.scheduler)
    directives = [
        line for line in configured.directives if not dialect.skips(line, configured.directives_skip)
    ]
    ntasks, cores = _counts(asked, configured)
    nodes = asked.nodes or 1
    if ntasks < nodes:
        raise ClusterOptionError(
            f"{ntasks} ranks cannot be on {nodes} nodes.", fix="ask for at least one rank per node."
        )
    if dialect.is_booked_by_slots:
        _check_resource("memory", asked.memory, site.memory_resource)
        _check_resource("disk", asked.disk, site.disk_resource)
    return Resources(
        nodes=nodes,
        ntasks=ntasks,
        cores=cores,
        memory_bytes=_memory(asked, configured, ntasks * cores / nodes),
        disk_bytes=parse_bytes(asked.disk) if asked.disk is not None else None,
        walltime_s=configured.walltime if asked.walltime is None else parse_walltime(asked.walltime),
        queue=asked.queue or configured.queue or dialect.value_of(dialect.queue_options, directives),
        account=asked.account or configured.account or dialect.value_of(dialect.account_options, directives),
        parallel_environment=_environment(asked, configured, site, ntasks * cores),
    )


def _counts(asked: Asked, configured: Configured) -> tuple[int, int]:
    """Return ranks and cores of each: by default a job has the size of a worker job."""
    if asked.mode is Mode.JOBQUEUE:
        return 1, 1
    job_cores = configured.cores or 1
    if asked.mode is Mode.ARRAY:
        return 1, asked.cores or job_cores
    processes = configured.processes or job_cores
    return asked.ntasks or processes, asked.cores or max(1, job_cores // processes)


def _memory(asked: Asked, configured: Configured, cores_per_node: float) -> int | None:
    """Return the memory on each node: by default that of a worker job, or as much for each core of ranks."""
    if asked.mode is Mode.JOBQUEUE:
        return LEADER_MEMORY
    if asked.memory is not None:
        return parse_job_memory(asked.memory)
    if configured.memory is None:
        return None
    share = cores_per_node / (configured.cores or 1) if asked.mode is Mode.MPI else 1
    return math.ceil(configured.memory * share)


def _check_resource(what: str, value: str | None, resource: str | None) -> None:
    """Refuse what Grid Engine has no name for at this site: it would silently not be asked for."""
    if value is not None and resource is None:
        raise ClusterOptionError(
            f"--{what} {value} cannot be asked for: what the resource for it is called here is not known.",
            fix=f"set simherd.sge.{what}-resource in jobqueue.yaml ('qconf -sc' lists them).",
        )


def _environment(asked: Asked, configured: Configured, site: SiteSettings, slots: int) -> str | None:
    dialect = dialect_of(asked.scheduler)
    if not dialect.is_booked_by_slots or asked.parallel_environment is not None:
        return asked.parallel_environment
    if slots == 1:
        return None
    of_site = site.mpi_parallel_environment if (asked.nodes or 1) > 1 else site.parallel_environment
    name = of_site or configured.parallel_environment or dialect.value_of(("-pe",), configured.directives)
    if name is None:
        which = "mpi-parallel-environment" if (asked.nodes or 1) > 1 else "parallel-environment"
        raise ClusterOptionError(
            f"{slots} slots need a parallel environment, without which Grid Engine books one.",
            fix=f"give --parallel-environment, or set simherd.sge.{which} in jobqueue.yaml ('qconf -spl').",
        )
    return name


def _signal(walltime_s: int | None, grace_s: float) -> tuple[int, list[str]]:
    """Return how long before its walltime a job is told to stop, and what the run must know of it."""
    lead = max(LEAD_S, round(grace_s) + MARGIN_S)
    if walltime_s is None or lead <= walltime_s // 2:
        return lead, []
    short = max(1, walltime_s // 3)
    return short, ["--set", f"run.grace_s={min(grace_s, max(1, short // 2)):g}"]


def _of_workers(asked: Asked, configured: Configured, site: SiteSettings) -> Iterator[str]:
    """Give the arguments that say what the worker jobs of a mode jobqueue are."""
    if asked.mode is not Mode.JOBQUEUE:
        return
    if asked.jobs is not None:
        yield from ("--jobs", str(asked.jobs))
    for name, value in _worker_options(asked, configured, site).items():
        yield from ("--set", f"cluster.{asked.scheduler}.{name}={json.dumps(value)}")


def _worker_options(asked: Asked, configured: Configured, site: SiteSettings) -> dict[str, Any]:
    queue, account = dialect_of(asked.scheduler).worker_names
    given = {
        "cores": asked.cores,
        "memory": asked.memory,
        "walltime": asked.walltime,
        queue: asked.queue,
        account: asked.account,
        "parallel_environment": asked.parallel_environment,
    }
    options = {name: value for name, value in given.items() if value is not None}
    if not options.keys().isdisjoint(("cores", "parallel_environment")):
        options |= _processes_of_workers(asked, configured) | _slots_of_workers(asked, configured, site)
    return options


def _processes_of_workers(asked: Asked, configured: Configured) -> dict[str, Any]:
    """Return worker processes with as many threads as configured, where theirs do not fit the cores."""
    processes = configured.processes
    if asked.cores is None or processes is None or asked.cores % processes == 0:
        return {}
    threads = (configured.cores or processes) // processes
    return {"processes": asked.cores // threads if threads and asked.cores % threads == 0 else asked.cores}


def _slots_of_workers(asked: Asked, configured: Configured, site: SiteSettings) -> dict[str, Any]:
    """Return what books other slots than the directives in jobqueue.yaml do."""
    cores = asked.cores or configured.cores or 1
    others = [line for line in configured.directives if words_of(line)[:1] != ["-pe"]]
    options: dict[str, Any] = {}
    if len(others) < len(configured.directives):
        options["directives"] = others or [dialect_of(asked.scheduler).no_directive]
    environment = _environment(asked, configured, site, cores)
    return {**options, "parallel_environment": environment} if environment is not None else options

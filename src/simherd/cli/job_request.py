"""What ``simherd script`` and ``simherd submit`` have in common: their options, and the plan made of them."""

from __future__ import annotations

import itertools
import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from simherd.cli.output import say

if TYPE_CHECKING:
    from simherd.experiment.schema import Experiment
    from simherd.jobs import JobPlan, Mode
    from simherd.jobs.asked import Asked
    from simherd.schedulers import JobRequest

__all__ = ["Job", "job_options", "read_job", "say_cautions", "with_array_limit"]

_OPTIONS = (
    click.argument("experiment"),
    click.option("--scheduler", type=click.Choice(["slurm", "sge"]), help="Default: the one that is here."),
    click.option(
        "--mode",
        type=click.Choice(["mpi", "jobqueue", "array"]),
        default="array",
        show_default=True,
        help="One job of many ranks, a job that submits workers, or an array job.",
    ),
    click.option("--ntasks", type=int, metavar="N", help="mpi: number of ranks."),
    click.option("--nodes", type=int, metavar="N", help="mpi: number of nodes.  [default: 1]"),
    click.option(
        "--jobs", type=int, metavar="N", help="jobqueue: worker jobs; array: its tasks (default 4)."
    ),
    click.option("--concurrent", type=int, metavar="N", help="array: most tasks that run at once."),
    click.option("--cores", type=int, metavar="N", help="Cores of each rank, worker job or array task."),
    click.option("--threads", type=int, metavar="N", help="Threads of numerical libraries in a simulation."),
    click.option("--memory", metavar="SIZE", help="Memory on each node: '48 GiB' (48G) or '48 GB'."),
    click.option("--disk", metavar="SIZE", help="Local disk on each node."),
    click.option("--walltime", metavar="TIME", help="HH:MM:SS or D-HH:MM:SS."),
    click.option("--partition", "--queue", "queue", metavar="NAME", help="Partition or queue."),
    click.option("--account", "--project", "account", metavar="NAME", help="Account or project."),
    click.option("--parallel-environment", metavar="NAME", help="Grid Engine: what books several slots."),
    click.option(
        "--environment",
        metavar="all|none|NAMES",
        default="all",
        show_default=True,
        help="Variables that the job takes over; thread guards never are.",
    ),
    click.option("--strict", is_flag=True, help="Failed simulations make the job fail."),
    click.option("--no-requeue", is_flag=True, help="A job that did not finish stays as it is."),
    click.option("--name", metavar="NAME", help="Name of the job.  [default: the experiment's]"),
    click.option("--store", metavar="PATH", help="Folder of the results."),
    click.option("--set", "settings", metavar="KEY=VALUE", multiple=True, help="Set any field; repeatable."),
    click.option("--config", metavar="FILE", help="Settings of clusters and sites, as in jobqueue.yaml."),
)
_ASKED = (
    "nodes",
    "ntasks",
    "jobs",
    "cores",
    "threads",
    "memory",
    "disk",
    "walltime",
    "queue",
    "account",
    "parallel_environment",
    "concurrent",
    "environment",
)


def job_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that describe a job."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A job that was asked for on the command line."""

    plan: JobPlan
    """What its script says."""
    requests: list[JobRequest]
    """What it, and the jobs that it submits, ask for."""
    experiment: Experiment
    """What it runs."""
    worker_options: dict[str, Any] | None = None
    """Options of the worker jobs that it submits; None if it submits none."""


def read_job(given: dict[str, Any]) -> Job:
    """Return the job that the options of a command describe.

    Raises
    ------
    ExperimentError
        If the experiment is wrong, or cannot run as a job.
    ClusterOptionError
        If an option is.
    MissingDependencyError
        If the job would need MPI for Python, which is not there.
    """
    from simherd.config import job_settings, site_settings
    from simherd.jobs import Mode, dialect_of
    from simherd.jobs.asked import Asked
    from simherd.jobs.configured import read_configured
    from simherd.jobs.planning import plan_job, refuse_empty

    for name in ("name", "store"):
        if given[name] is not None:
            refuse_empty(name, given[name])
    scheduler = given["scheduler"] or _scheduler_here()
    asked = Asked(
        scheduler=scheduler,
        mode=Mode(given["mode"]),
        is_strict=given["strict"],
        requeues=not given["no_requeue"],
        **{name: given[name] for name in _ASKED},
    )
    experiment = _read_experiment(given)
    _refuse_what_cannot_be_a_job(experiment, asked)
    site = site_settings(scheduler)
    configured = read_configured(job_settings(scheduler), _of_jobs(experiment, scheduler))
    plan = plan_job(asked, _call(given, experiment, asked.mode, bool(site.activation)), configured, site)
    _need_mpi(plan)
    of_workers = _options_of_workers(plan, experiment)
    requests = [dialect_of(scheduler).request(plan), *_requests_of_workers(plan, of_workers)]
    return Job(plan=plan, requests=requests, experiment=experiment, worker_options=of_workers)


def _of_jobs(experiment: Experiment, scheduler: str) -> dict[str, Any]:
    """Return the experiment's options of worker jobs; ``processes: 0`` is for local workers."""
    options = experiment.cluster.options_for(scheduler)
    return {name: value for name, value in options.items() if name != "processes" or value != 0}


def say_cautions(job: Job) -> None:
    """Say on standard error what the user of a job's script should know."""
    from simherd.clusters.jobqueue.requests import caution_of
    from simherd.jobs import dialect_of

    scheduler, cautions = job.plan.scheduler, list(dialect_of(job.plan.scheduler).cautions(job.plan))
    if job.worker_options is not None and (caution := caution_of(scheduler, job.worker_options)):
        cautions.append(f"Worker jobs: {caution}")
    for caution in cautions:
        say(caution, err=True)


def _scheduler_here() -> str:
    from simherd.schedulers import find_installed

    found = [scheduler.name for scheduler in find_installed()]
    if len(found) == 1:
        return found[0]
    there = (
        "Neither SLURM's nor Grid Engine's commands are"
        if not found
        else "SLURM's and Grid Engine's are both"
    )
    raise click.UsageError(f"{there} on this machine: say which is meant with --scheduler slurm or sge.")


def _read_experiment(given: dict[str, Any]) -> Experiment:
    from simherd.experiment.document import apply_overrides, read_document, with_store
    from simherd.experiment.schema import check

    document = apply_overrides(read_document(given["experiment"]), given["settings"])
    return check(with_store(document, given["store"]))


def _refuse_what_cannot_be_a_job(experiment: Experiment, asked: Asked) -> None:
    from simherd.jobs import Mode

    if experiment.run.store is None:
        raise experiment.fault(
            "run",
            message="a job needs a store, or its results are lost.",
            fix="set run.store, or give --store.",
        )
    if experiment.batch is not None and experiment.batch.needs_seed:
        raise experiment.fault(
            "batch",
            message="a job that starts again, or one of several, would draw other inputs.",
            fix="set batch.seed, here or with --set batch.seed=1.",
        )
    if asked.mode is Mode.ARRAY and experiment.batch is None:
        raise experiment.fault(
            message="an array job shares out a batch, and there is only one simulation.",
            fix="choose --mode jobqueue or mpi, or add a batch.",
        )


def _options_of_workers(plan: JobPlan, experiment: Experiment) -> dict[str, Any] | None:
    """Return the options of the worker jobs that a job will submit; None if it submits none."""
    from simherd.clusters import split_options
    from simherd.experiment.document import apply_overrides
    from simherd.experiment.schema import check
    from simherd.jobs import Mode

    if plan.mode is not Mode.JOBQUEUE:
        return None
    words = plan.arguments
    settings = [value for word, value in itertools.pairwise(words) if word == "--set"]
    cluster = check(apply_overrides(experiment.document, settings)).cluster
    return split_options(plan.scheduler, cluster.options_for(plan.scheduler))[0]


def _requests_of_workers(plan: JobPlan, options: dict[str, Any] | None) -> Iterator[JobRequest]:
    """Yield what the worker jobs will ask for; wrong options are an error now, and not when they begin."""
    from simherd.clusters import job_script
    from simherd.clusters.jobqueue.requests import worker_request

    if options is None:
        return
    job_script(plan.scheduler, **options)
    request = worker_request(plan.scheduler, options)
    if request is not None:
        yield request


def _call(given: dict[str, Any], experiment: Experiment, mode: Mode, is_activated: bool) -> Any:
    from simherd.jobs.asked import Call

    options = [*(["--store", given["store"]] if given["store"] is not None else [])]
    options += [word for setting in given["settings"] for word in ("--set", setting)]
    options += _without_processes(experiment) if mode == "array" else []
    options += ["--config", given["config"]] if given["config"] is not None else []
    return Call(
        program=("simherd",) if is_activated else _program(),
        experiment=given["experiment"],
        arguments=tuple(options),
        store=given["store"] or _from_here(str(experiment.run.store)),
        name=given["name"] or Path(given["experiment"]).stem,
        grace_s=experiment.run.grace_s,
    )


def _without_processes(experiment: Experiment) -> list[str]:
    """Return arguments that take back processes of worker jobs: an array task would not run with them.

    They stand at the top of the section, where nothing but a new section takes them back.
    """
    section = experiment.document.data.get("cluster") or {}
    if not section.get("processes"):
        return []
    rest = {name: value for name, value in section.items() if name != "processes"}
    return ["--set", f"cluster={json.dumps(rest, default=str)}"]


def _from_here(path: str) -> str:
    """Return a path as seen from the folder in which jobs are submitted, and start."""
    here = os.path.join(os.getcwd(), "")
    return path.removeprefix(here) or path


def _program() -> tuple[str, ...]:
    """Return how simherd is called here, by its path: a login shell may look for programs elsewhere."""
    import shutil

    from simherd.cli.called import simherd_command

    first, *more = shlex.split(simherd_command())
    path = os.path.abspath(shutil.which(first) or first)
    return (path, *more) if os.path.exists(path) else (sys.executable, "-m", "simherd")


def _need_mpi(plan: JobPlan) -> None:
    from importlib.util import find_spec

    from simherd.errors import MissingDependencyError
    from simherd.jobs.launching import cluster_kind

    if cluster_kind(plan) == "mpi" and find_spec("mpi4py") is None:
        raise MissingDependencyError(
            "The mode mpi needs mpi4py, which is not installed here.",
            fix="pip install 'simherd[mpi]', or choose another --mode"
            + (
                ", or the launcher srun (simherd.launcher in jobqueue.yaml)."
                if plan.scheduler == "slurm"
                else "."
            ),
        )


def with_array_limit(job: Job, limit: int | None) -> Job:
    """Return a job whose array jobs are no larger than a batch scheduler takes."""
    limits = [one for one in (limit, job.plan.site.array_limit) if one is not None]
    site = replace(job.plan.site, array_limit=min(limits, default=None))
    return replace(job, plan=replace(job.plan, site=site))

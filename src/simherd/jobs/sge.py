"""Grid Engine's side of job scripts: directives and how to submit them."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Sequence

from simherd.jobs.base import MIB, Dialect, words_of
from simherd.jobs.plan import ArrayJob, JobPlan, Resources
from simherd.jobs.quoting import quote_directive
from simherd.resources import format_walltime
from simherd.schedulers import JobRequest
from simherd.schedulers.address_space import small_address_space

__all__ = ["GridEngineDialect"]

TIME_RESOURCES = ("h_rt", "s_rt")
SHORTCUTS = {"mf": "mem_free", "vf": "virtual_free"}
"""Other names that Grid Engine has for resources with which memory is asked."""
MANNERS = frozenset({"-hard", "-soft"})
"""What says how the resources after it are meant, and nothing alone."""


class GridEngineDialect(Dialect):
    """What job scripts of Grid Engine look like."""

    marker = "#$"
    submits = "qsub"
    cancelled_by = "USR2"
    queue_options = ("-q",)
    account_options = ("-P",)
    worker_names = ("queue", "project")
    no_directive = "-cwd"
    has_srun = False
    is_booked_by_slots = True
    owned = frozenset(
        {"-pe", "-t", "-tc", "-N", "-o", "-e", "-j", "-q", "-P", "-V", "-v", "-notify", "-r", "-S"}
        | {"-cwd", "-wd"}
    )

    def without_owned(self, directive: str, plan: JobPlan) -> str:
        """Return a user's directive without what would contradict the plan, "" if nothing else is in it.

        A resource that the plan asks for is taken out from those beside it.
        """
        words = words_of(super().without_owned(directive, plan))
        kept = list(_without_resources(words, set(_resources_of(plan))))
        if kept == words:
            return directive if words else ""
        return shlex.join(kept) if set(kept) - MANNERS else ""

    def directives(self, plan: JobPlan) -> Iterator[str]:
        """Give the directives of a plan, without their marker."""
        wanted = plan.resources
        yield f"-N {plan.name}"
        yield "-S /bin/bash"
        yield "-cwd"
        if wanted.queue is not None:
            yield f"-q {quote_directive(wanted.queue, 'queue')}"
        if wanted.account is not None:
            yield f"-P {quote_directive(wanted.account, 'project')}"
        if wanted.parallel_environment is not None:
            yield f"-pe {quote_directive(wanted.parallel_environment, 'parallel_environment')} {wanted.slots}"
        yield from self._resources(plan)
        yield from self._time(plan)
        if plan.is_array:
            (job,) = plan.array_jobs(None)
            yield " ".join(self.array_arguments(plan, job))
        yield from self._environment(plan)
        yield "-j y"
        yield f"-o {quote_directive(self._log(plan), 'log_directory')}"

    def _resources(self, plan: JobPlan) -> Iterator[str]:
        wanted, site = plan.resources, plan.site
        if wanted.memory_bytes is not None and site.memory_resource is not None:
            size = _size(wanted.memory_bytes, wanted, site.memory_is_per_slot)
            yield f"-l {quote_directive(site.memory_resource, 'memory_resource')}={size}"
        if wanted.disk_bytes is not None and site.disk_resource is not None:
            size = _size(wanted.disk_bytes, wanted, site.disk_is_per_slot)
            yield f"-l {quote_directive(site.disk_resource, 'disk_resource')}={size}"

    def _time(self, plan: JobPlan) -> Iterator[str]:
        """Give the walltime, and a limit before it at which Grid Engine sends SIGUSR1."""
        walltime = plan.resources.walltime_s
        if walltime is not None:
            yield f"-l h_rt={format_walltime(walltime)}"
            yield f"-l s_rt={format_walltime(max(1, walltime - plan.signal_s))}"
        yield "-notify"
        yield f"-r {'y' if plan.requeues else 'n'}"

    def _environment(self, plan: JobPlan) -> Iterator[str]:
        if plan.environment == "all":
            yield "-V"
        elif plan.environment != "none":
            yield f"-v {quote_directive(plan.environment, 'environment')}"

    def _log(self, plan: JobPlan) -> str:
        return f"{plan.log_directory}/{plan.name}-{'$JOB_ID_$TASK_ID' if plan.is_array else '$JOB_ID'}.log"

    def cautions(self, plan: JobPlan) -> Iterator[str]:
        """Give what the user of a script should know, in sentences."""
        yield from super().cautions(plan)
        if (caution := small_address_space(self.lines(plan))) is not None:
            yield caution

    def array_arguments(self, plan: JobPlan, job: ArrayJob) -> tuple[str, ...]:
        """Return the arguments of qsub for one of several array jobs."""
        limit = ("-tc", str(plan.concurrent)) if plan.concurrent is not None else ()
        return ("-t", f"1-{job.tasks}", *limit)

    def request(self, plan: JobPlan) -> JobRequest:
        """Return what a job of the plan asks for."""
        return self._request(plan, parallel_environment=plan.resources.parallel_environment)

    def go_back(self, plan: JobPlan) -> str:
        """Return the line of shell with which a job puts itself back into the queue."""
        return "exit 99 # for Grid Engine this means: run it again"


def _size(nbytes: int, wanted: Resources, is_per_slot: bool) -> str:
    """Return what a request says for bytes on each node: it counts for each slot, or for each host."""
    of_job, parts = (nbytes * wanted.nodes, wanted.slots) if is_per_slot else (nbytes, 1)
    return f"{-(-of_job // (MIB * parts))}M"


def _resources_of(plan: JobPlan) -> Iterator[str]:
    """Give the resources that the plan alone decides."""
    yield from TIME_RESOURCES
    if plan.resources.memory_bytes is not None and plan.site.memory_resource is not None:
        yield plan.site.memory_resource
    if plan.resources.disk_bytes is not None and plan.site.disk_resource is not None:
        yield plan.site.disk_resource


def _without_resources(words: Sequence[str], owned: Collection[str]) -> Iterator[str]:
    """Give the words of a directive without requests of some resources: ``-l a=1,b=2`` may keep one."""
    rest = iter(words)
    for word in rest:
        if word != "-l":
            yield word
            continue
        requests = next(rest, "").split(",")
        names = [request.partition("=")[0].strip() for request in requests]
        kept = [
            request
            for name, request in zip(names, requests, strict=True)
            if SHORTCUTS.get(name, name) not in owned and name not in owned
        ]
        if kept:
            yield from ("-l", ",".join(kept))

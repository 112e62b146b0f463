"""Grid Engine's side of job scripts: directives and how to submit them."""

from __future__ import annotations

from collections.abc import Iterator

from simherd.jobs.base import MIB, Dialect
from simherd.jobs.plan import ArrayJob, JobPlan
from simherd.jobs.quoting import quote_directive
from simherd.resources import format_walltime
from simherd.schedulers import JobRequest

__all__ = ["GridEngineDialect"]


class GridEngineDialect(Dialect):
    """What job scripts of Grid Engine look like."""

    marker = "#$"
    submits = "qsub"
    cancelled_by = "USR2"
    worker_names = ("queue", "project")
    no_directive = "-cwd"
    has_srun = False
    is_booked_by_slots = True
    owned = frozenset(
        {"-pe", "-t", "-tc", "-N", "-o", "-e", "-j", "-q", "-P", "-V", "-v", "-notify", "-r", "-S"}
    )

    def owns(self, directive: str) -> bool:
        """Return whether a user's directive would contradict what the plan decides."""
        return super().owns(directive) or "h_rt=" in directive or "s_rt=" in directive

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
            parts = wanted.slots if site.memory_is_per_slot else 1
            mebibytes = -(-wanted.memory_bytes * wanted.nodes // (MIB * parts))
            yield f"-l {quote_directive(site.memory_resource, 'memory_resource')}={mebibytes}M"
        if wanted.disk_bytes is not None and site.disk_resource is not None:
            yield f"-l {quote_directive(site.disk_resource, 'disk_resource')}={-(-wanted.disk_bytes // MIB)}M"

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

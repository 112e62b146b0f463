"""SLURM's side of job scripts: directives and how to submit them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from simherd.jobs.base import MIB, Dialect
from simherd.jobs.plan import ArrayJob, JobPlan
from simherd.jobs.quoting import quote_directive
from simherd.resources import format_walltime
from simherd.schedulers import JobRequest

__all__ = ["SlurmDialect"]

EARLY_S = 60
"""How much earlier than asked for SLURM may send a signal, in s: sbatch(1), option ``--signal``."""


class SlurmDialect(Dialect):
    """What job scripts of SLURM look like."""

    marker = "#SBATCH"
    submits = "sbatch"
    cancelled_by = "TERM"
    queue_options = ("-p", "--partition")
    account_options = ("-A", "--account")
    worker_names = ("partition", "account")
    has_srun = True
    is_booked_by_slots = False
    owned = frozenset(
        {"-n", "--ntasks", "-c", "--cpus-per-task", "-N", "--nodes", "--mem", "--mem-per-cpu", "-t", "--time"}
        | {"-a", "--array", "-J", "--job-name", "-o", "--output", "-e", "--error", "-p", "--partition"}
        | {"-A", "--account", "--export", "--signal", "--requeue", "--no-requeue", "--tmp"}
        | {"--ntasks-per-node", "--mem-per-gpu", "-D", "--chdir"}
    )

    def directives(self, plan: JobPlan) -> Iterator[str]:
        """Give the directives of a plan, without their marker."""
        wanted = plan.resources
        yield f"--job-name={plan.name}"
        if wanted.queue is not None:
            yield f"--partition={quote_directive(wanted.queue, 'partition')}"
        if wanted.account is not None:
            yield f"--account={quote_directive(wanted.account, 'account')}"
        yield f"--nodes={wanted.nodes}"
        yield f"--ntasks={wanted.ntasks}"
        yield f"--cpus-per-task={wanted.cores}"
        if wanted.memory_bytes is not None:
            yield f"--mem={-(-wanted.memory_bytes // MIB)}M"
        if wanted.disk_bytes is not None:
            yield f"--tmp={-(-wanted.disk_bytes // MIB)}M"
        yield from self._time(plan)
        if plan.is_array:
            (job,) = plan.array_jobs(None)
            yield f"--array={self._range(plan, job)}"
        yield f"--export={self._environment(plan)}"
        yield f"--output={quote_directive(self._log(plan), 'log_directory')}"
        yield "--open-mode=append"

    def cautions(self, plan: JobPlan) -> Iterator[str]:
        """Give what the user of a script should know, in sentences."""
        yield from super().cautions(plan)
        walltime = plan.resources.walltime_s
        if walltime is not None and walltime - plan.signal_s - EARLY_S <= 0:
            yield (
                f"In {format_walltime(walltime)} nothing may get done: the run is told to stop "
                f"{plan.signal_s} s before the end, and SLURM may say so up to {EARLY_S} s earlier. "
                "Ask for 2 minutes or more."
            )

    def _settings(self, words: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Give the options among words, each with its value: ``-n4`` is ``-n 4``, ``--x=4`` is ``--x 4``."""
        for word, following in super()._settings(words):
            option, value = (word[:2], word[2:])
            if word.startswith("--"):
                option, _, value = word.partition("=")
            yield option, value or following

    def _time(self, plan: JobPlan) -> Iterator[str]:
        if plan.resources.walltime_s is not None:
            yield f"--time={format_walltime(plan.resources.walltime_s)}"
        yield f"--signal=B:USR1@{plan.signal_s}"
        yield "--requeue" if plan.requeues else "--no-requeue"

    def _environment(self, plan: JobPlan) -> str:
        if plan.environment in ("all", "none"):
            return plan.environment.upper()
        return quote_directive(plan.environment, "environment")

    def _log(self, plan: JobPlan) -> str:
        folder = plan.log_directory.replace("%", "%%")
        return f"{folder}/{plan.name}-{'%A_%a' if plan.is_array else '%j'}.log"

    def _range(self, plan: JobPlan, job: ArrayJob) -> str:
        limit = f"%{plan.concurrent}" if plan.concurrent is not None else ""
        return f"1-{job.tasks}{limit}"

    def array_arguments(self, plan: JobPlan, job: ArrayJob) -> tuple[str, ...]:
        """Return the arguments of sbatch for one of several array jobs."""
        return (f"--array={self._range(plan, job)}",)

    def request(self, plan: JobPlan) -> JobRequest:
        """Return what a job of the plan asks for."""
        return self._request(plan, parallel_environment=None)

    def go_back(self, plan: JobPlan) -> str:
        """Return the line of shell with which a job puts itself back into the queue."""
        job = "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID" if plan.is_array else "$SLURM_JOB_ID"
        return f'scontrol requeue "{job}" && exit 0'

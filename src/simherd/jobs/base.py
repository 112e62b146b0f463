"""What the batch schedulers' job scripts have in common, and what each must say."""

from __future__ import annotations

import shlex
from abc import ABC, abstractmethod
from collections.abc import Iterator
from importlib import import_module

from simherd.jobs.plan import ArrayJob, JobPlan
from simherd.schedulers import JobRequest

__all__ = ["DIALECTS", "MIB", "Dialect", "dialect_of"]

MIB = 1024**2
DIALECTS = {"sge": "simherd.jobs.sge:GridEngineDialect", "slurm": "simherd.jobs.slurm:SlurmDialect"}
"""Who writes the job scripts of each batch scheduler."""


class Dialect(ABC):
    """What job scripts of one batch scheduler look like."""

    marker: str
    """What directives begin with."""
    submits: str
    """The command that submits."""
    owned: frozenset[str]
    """Options that the plan alone decides."""
    cancelled_by: str
    """Signal that reaches the script when the job is cancelled."""

    worker_names: tuple[str, str]
    """Options of its worker jobs for the queue and the account."""
    no_directive: str = ""
    """A directive of worker jobs that changes nothing, for where one is needed."""
    has_srun: bool
    """Whether srun can start its ranks."""
    is_booked_by_slots: bool
    """Whether cores are slots of a parallel environment, and memory a resource that the site names."""

    @abstractmethod
    def directives(self, plan: JobPlan) -> Iterator[str]:
        """Give the directives of a plan, without their marker."""

    @abstractmethod
    def array_arguments(self, plan: JobPlan, job: ArrayJob) -> tuple[str, ...]:
        """Return the arguments of the submitting command for one of several array jobs."""

    @abstractmethod
    def request(self, plan: JobPlan) -> JobRequest:
        """Return what a job of the plan asks for."""

    @abstractmethod
    def go_back(self, plan: JobPlan) -> str:
        """Return the line of shell with which a job puts itself back into the queue."""

    def owns(self, directive: str) -> bool:
        """Return whether a user's directive would contradict what the plan decides."""
        return any(option in self.owned for option in _options(directive))

    def _request(self, plan: JobPlan, parallel_environment: str | None) -> JobRequest:
        wanted = plan.resources
        return JobRequest(
            queue=wanted.queue,
            nodes=wanted.nodes,
            ntasks=wanted.ntasks,
            cpus_per_task=wanted.cores,
            memory_bytes=wanted.memory_bytes,
            walltime_s=wanted.walltime_s,
            parallel_environment=parallel_environment,
        )


def _options(directive: str) -> Iterator[str]:
    """Give the options that a line of directives sets: ``-n4``, ``--ntasks=4`` and ``-n 4`` alike."""
    try:
        words = shlex.split(directive)
    except ValueError:
        words = directive.split()
    for word in words:
        if word.startswith("--"):
            yield word.partition("=")[0]
        elif word.startswith("-"):
            yield word
            yield word[:2]


def dialect_of(scheduler: str) -> Dialect:
    """Return who writes the job scripts of a batch scheduler."""
    module, _, attribute = DIALECTS[scheduler].partition(":")
    dialect: Dialect = getattr(import_module(module), attribute)()
    return dialect

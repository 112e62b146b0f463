"""What the batch schedulers' job scripts have in common, and what each must say."""

from __future__ import annotations

import shlex
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Sequence
from importlib import import_module

from simherd.jobs.plan import ArrayJob, JobPlan
from simherd.jobs.quoting import refuse_control
from simherd.schedulers import JobRequest

__all__ = ["DIALECTS", "MIB", "Dialect", "dialect_of", "words_of"]

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
    queue_options: tuple[str, ...]
    """Options for the queue."""
    account_options: tuple[str, ...]
    """Options for the account."""
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

    def lines(self, plan: JobPlan) -> list[str]:
        """Return the directives of a script: the plan's, then the user's, less what the site leaves out."""
        users = (self.without_owned(refuse_control(line, "directives"), plan) for line in plan.directives)
        lines = [*self.directives(plan), *(line for line in users if line)]
        return [line for line in lines if not self.is_skipped(line, plan)]

    def is_skipped(self, line: str, plan: JobPlan) -> bool:
        """Return whether the site leaves a directive out."""
        return self.skips(line, plan.directives_skip)

    def skips(self, line: str, texts: Iterable[str]) -> bool:
        """Return whether a directive has one of some texts: dask-jobqueue looks for them in its line, too."""
        return any(text in f"{self.marker} {line}" for text in texts)

    def without_owned(self, directive: str, plan: JobPlan) -> str:
        """Return a user's directive without what would contradict the plan, "" if nothing else is in it."""
        is_owned = any(option in self.owned for option, _ in self._settings(words_of(directive)))
        return "" if is_owned else directive

    def value_of(self, options: Collection[str], directives: Iterable[str]) -> str | None:
        """Return what directives say for an option, by any of its names: the last one counts."""
        given = [setting for line in directives for setting in self._settings(words_of(line))]
        return next((value for option, value in reversed(given) if option in options and value), None)

    def cautions(self, plan: JobPlan) -> Iterator[str]:
        """Give what the user of a script should know, in sentences."""
        left_out = [line for line in plan.directives if self._is_lost(line, plan)]
        if left_out:
            yield (
                "Left out of the job script are lines of job-extra-directives that options of "
                f"the command line, or other keys, decide: {', '.join(left_out)}."
            )

    def _is_lost(self, directive: str, plan: JobPlan) -> bool:
        """Return whether a script lacks a user's directive, or a part of it, and says nothing like it."""
        if self.is_skipped(directive, plan) or self.without_owned(directive, plan) == directive:
            return False
        wanted = plan.resources
        said = {
            **dict.fromkeys(self.queue_options, wanted.queue),
            **dict.fromkeys(self.account_options, wanted.account),
            "-pe": wanted.parallel_environment,
        }
        settings = [one for one in self._settings(words_of(directive)) if one[0].startswith("-")]
        is_said = all(said.get(option, False) in (value, None) for option, value in settings)
        return not is_said and directive not in set(self.directives(plan))

    def _settings(self, words: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Give the options among words, each with its value."""
        yield from zip(words, [*words[1:], ""], strict=False)

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


def words_of(directive: str) -> list[str]:
    """Return the words of a directive."""
    try:
        return shlex.split(directive)
    except ValueError:
        return directive.split()


def dialect_of(scheduler: str) -> Dialect:
    """Return who writes the job scripts of a batch scheduler."""
    module, _, attribute = DIALECTS[scheduler].partition(":")
    dialect: Dialect = getattr(import_module(module), attribute)()
    return dialect

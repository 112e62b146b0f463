"""Asking batch schedulers what jobs used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from simherd.accounting.grid_engine_file import is_accounting_line
from simherd.accounting.qacct import parse_qacct
from simherd.accounting.sacct import parse_sacct
from simherd.accounting.sacct_rows import has_header
from simherd.accounting.usage import JobUsage
from simherd.errors import AccountingError, ClusterOptionError, SchedulerError
from simherd.schedulers import SCHEDULERS, BatchScheduler, JobState, JobStatus, find, find_installed
from simherd.user_warnings import warn_user

__all__ = ["job_usage", "parse_any"]

_PARSERS: dict[str, Callable[[str], list[JobUsage]]] = {"sge": parse_qacct, "slurm": parse_sacct}
_PARTS = ("_", ".", "+")
"""What separates the id of a job from that of an array task or component."""
_NO_ACCOUNTING = "accounting storage is disabled"


def parse_any(text: str) -> list[JobUsage]:
    """Return what a text of sacct, qacct or Grid Engine's accounting file says of jobs.

    Raises
    ------
    AccountingError
        If it is none of them.
    """
    if has_header(text):
        return parse_sacct(text)
    lines = text.splitlines()
    if any(line.split(maxsplit=1)[:1] == ["jobnumber"] or is_accounting_line(line) for line in lines):
        return parse_qacct(text)
    raise AccountingError(
        "Cannot read accounting: the text is neither that of 'qacct -j', nor a table of sacct with the names "
        "of its fields, nor Grid Engine's accounting file.",
        fix="give what 'qacct -j JOBID' or 'sacct --parsable2 -j JOBID --format=...' prints.",
    )


def job_usage(job_ids: Iterable[str], scheduler: str | None = None) -> list[JobUsage]:
    """Return what jobs used, from the accounting of their batch scheduler.

    Parameters
    ----------
    job_ids : iterable of str
        Ids of jobs or of array tasks; of an array job all tasks are meant.
    scheduler : str, optional
        Batch scheduler, "slurm" or "sge"; None for the one of this machine.

    Returns
    -------
    list of JobUsage
        Each attempt to run a job or an array task. Of jobs that the accounting does not know, only the state
        is known.

    Raises
    ------
    ClusterOptionError
        If there is no such batch scheduler, or several are installed and none is given.
    SchedulerError
        If it does not answer.
    """
    wanted = list(dict.fromkeys(map(str, job_ids)))
    asked = _only_one() if scheduler is None else _known(scheduler)
    found = [usage for usage in _accounted(asked, wanted) if any(_is_of(usage, job_id) for job_id in wanted)]
    missing = [job_id for job_id in wanted if _may_be_elsewhere(asked, job_id, found)]
    return [*_with_nodes(asked, _with_reasons(asked, found)), *_known_by_state(asked, missing, found)]


def _only_one() -> BatchScheduler:
    installed = find_installed()
    if len(installed) == 1:
        return installed[0]
    names = ", ".join(one.words.scheduler for one in installed)
    found = f"several batch schedulers are ({names})" if installed else "no batch scheduler is"
    raise ClusterOptionError(
        f"Cannot ask what jobs used: {found} installed on this machine.",
        fix=f"give scheduler={' or '.join(map(repr, SCHEDULERS))}."
        if installed
        else "run this where jobs are submitted, or give the text of the accounting ('simherd usage -').",
        cli_fix=f"give --scheduler {'|'.join(SCHEDULERS)}." if installed else "",
    )


def _known(name: str) -> BatchScheduler:
    found = find(name)
    if found.is_installed():
        return found
    raise ClusterOptionError(
        f"Cannot ask what jobs used: {found.words.scheduler} is not installed on this machine.",
        fix="run this where jobs are submitted, or give the text of the accounting ('simherd usage -').",
    )


def _accounted(scheduler: BatchScheduler, job_ids: Sequence[str]) -> list[JobUsage]:
    try:
        text = scheduler.accounting(job_ids)
    except SchedulerError as error:
        if _NO_ACCOUNTING not in error.stderr:
            raise
        warn_user(f"{scheduler.words.scheduler} keeps no accounting here: only the state of jobs is known.")
        return []
    try:
        return _PARSERS[scheduler.name](text) if text.strip() else []
    except AccountingError:  # a table without jobs
        return []


def _is_of(usage: JobUsage, job_id: str) -> bool:
    return job_id in (usage.job_id, usage.own_id) or usage.job_id.startswith(
        tuple(job_id + part for part in _PARTS)
    )


def _may_be_elsewhere(scheduler: BatchScheduler, job_id: str, found: Sequence[JobUsage]) -> bool:
    """Return whether the accounting may lack a job, or some of its tasks, because they are not over."""
    known = [usage for usage in found if _is_of(usage, job_id)]
    is_array = any(usage.job_id != job_id for usage in known)
    runs_again = bool(known) and known[-1].state is JobState.PREEMPTED
    return not known or (scheduler.accounts_when_over and (is_array or runs_again))


def _known_by_state(
    scheduler: BatchScheduler, job_ids: Sequence[str], found: Sequence[JobUsage]
) -> Iterator[JobUsage]:
    """Yield the jobs that wait or run, or that nobody knows."""
    for job_id, status in scheduler.query(job_ids).items() if job_ids else ():
        if not status.state.is_over or not any(_is_of(usage, job_id) for usage in found):
            yield _from_status(scheduler.name, job_id, status)


def _with_reasons(scheduler: BatchScheduler, usages: Sequence[JobUsage]) -> list[JobUsage]:
    """Add why jobs wait, where the accounting does not say."""
    waiting = [usage.job_id for usage in usages if usage.state.is_waiting and not usage.reason]
    known = scheduler.query(waiting) if waiting else {}
    return [
        replace(usage, reason=known[usage.job_id].reason) if usage.job_id in known else usage
        for usage in usages
    ]


def _from_status(scheduler: str, job_id: str, status: JobStatus) -> JobUsage:
    return JobUsage(
        scheduler=scheduler,
        job_id=job_id,
        state=status.state,
        native=status.native,
        reason=status.reason,
        node=status.node,
        exit_code=status.exit_code,
        never_ran=status.state is JobState.GONE,
    )


def _with_nodes(scheduler: BatchScheduler, usages: Sequence[JobUsage]) -> list[JobUsage]:
    """Add how many cores nodes have, where jobs had several nodes."""
    if not any((usage.node_count or 1) > 1 for usage in usages):
        return list(usages)
    try:
        cores = {one.name: one.cores_per_node for one in scheduler.site().partitions}
    except SchedulerError:
        return list(usages)
    return [replace(usage, cores_per_node=cores.get(usage.queue)) for usage in usages]

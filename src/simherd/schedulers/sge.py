"""Grid Engine (SGE), reached through qsub, qstat, qacct, qdel, qconf and qhost."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from simherd.config import site_settings
from simherd.errors import SchedulerError
from simherd.schedulers.base import BatchScheduler, JobStatus, Site, Words
from simherd.schedulers.commands import run_program, submit_with
from simherd.schedulers.sge_accounting import parse_accounting
from simherd.schedulers.sge_site import (
    Host,
    parse_array_limit,
    parse_capacity,
    parse_environments,
    parse_hosts,
    parse_queues,
)
from simherd.schedulers.sge_text import (
    belongs,
    parse_qstat,
    parse_reasons,
    parse_submitted,
)
from simherd.schedulers.states import summarize

__all__ = ["GridEngine"]

_ASKING = "asking Grid Engine for the state of jobs"
_ACCOUNTING = "asking Grid Engine what jobs used"
_CANCELLING = "deleting jobs of Grid Engine"
_LOOKING = "asking Grid Engine for its queues and limits"
_UNKNOWN = ("not found", "No such file or directory")
"""What qacct says of a job that it does not know (yet), and before it knows the first one."""
_OVER = ("does not exist", "already in deletion", "registered the job", "has deleted job")
MEMORY = "h_vmem"
"""The resource that memory is asked with, unless the site says another."""
FEW = 20
"""Hosts, and jobs, that are asked for one by one; of more hosts the memory is not known, and not judged."""
_ACCOUNTING_S = 20.0
"""Longest time for one look into the accounting file, which may be large, in s."""


class GridEngine(BatchScheduler):
    """Grid Engine."""

    name = "sge"
    accounts_when_over = True
    words = Words(
        scheduler="Grid Engine",
        queue="queue",
        look="qconf -sql",
        look_limits="qconf -sq QUEUE; qconf -spl",
        look_nodes="qhost -q",
    )

    def is_installed(self) -> bool:
        """Return whether its commands are on this machine."""
        return shutil.which("qsub") is not None and shutil.which("qconf") is not None

    def submit(self, script: Path, arguments: Sequence[str] = (), of_script: Sequence[str] = ()) -> str:
        """Submit a job script and return the job id, of an array job the array's.

        Raises
        ------
        SubmitError
            If it is refused.
        """
        argv = ["qsub", "-terse", *arguments, str(script), *of_script]
        return submit_with(argv, str(script), parse_submitted)

    def query(self, job_ids: Iterable[str]) -> Mapping[str, JobStatus]:
        """Return the status of jobs: one call of qstat, and the accounting for those that are over.

        The accounting knows a job some seconds after its end; until then it is `JobState.GONE`
        without an exit code.

        Raises
        ------
        SchedulerError
            If Grid Engine does not answer.
        """
        wanted = list(dict.fromkeys(job_ids))
        if not wanted:
            return {}
        listed = parse_qstat(run_program(["qstat", "-xml"], doing=_ASKING).stdout)
        found = {job_id: [status for status in listed if belongs(status, job_id)] for job_id in wanted}
        accounting = _Accounting()
        for job_id, tasks in found.items():
            found[job_id] = tasks or accounting.look(job_id)
        return _with_reasons({job_id: summarize(job_id, tasks) for job_id, tasks in found.items()})

    def cancel(self, job_ids: Iterable[str]) -> None:
        """Delete jobs. Those that are over already do not matter.

        Raises
        ------
        SchedulerError
            If Grid Engine does not answer.
        """
        wanted = list(dict.fromkeys(job_ids))
        if not wanted:
            return
        ran = run_program(["qdel", *wanted], doing=_CANCELLING, may_fail=True)
        said = [line for line in (ran.stdout + ran.stderr).splitlines() if line.strip()]
        if ran.returncode and not (said and all(any(text in line for text in _OVER) for line in said)):
            raise ran.error(_CANCELLING)

    def accounting(self, job_ids: Iterable[str]) -> str:
        """Return what qacct prints of jobs that are over; of many jobs, their lines of the accounting file.

        qacct reads the whole file for each job.

        Raises
        ------
        SchedulerError
            If it does not answer.
        """
        wanted = list(dict.fromkeys(job_id.partition(".")[0] for job_id in job_ids))
        lines = _lines_of(wanted) if len(wanted) > FEW else None
        return "".join(map(_qacct, wanted)) if lines is None else lines

    def site(self) -> Site:
        """Return the queues and parallel environments of Grid Engine and its limit of array jobs.

        Raises
        ------
        SchedulerError
            If Grid Engine does not answer.
        """
        with ThreadPoolExecutor() as asking:  # each of them takes a tenth of a second
            queues = asking.submit(_show_all, "-sql", "-sq")
            environments = asking.submit(_show_all, "-spl", "-sp")
            hosts = asking.submit(_hosts, site_settings(self.name).memory_resource or MEMORY)
            settings = asking.submit(_ask, "qconf", "-sconf")
        return Site(
            partitions=parse_queues(queues.result(), hosts.result()),
            parallel_environments=parse_environments(environments.result()),
            max_array_tasks=parse_array_limit(settings.result()),
        )


class _Accounting:
    """Looks jobs up in the accounting file, until that proves not to work here."""

    def __init__(self) -> None:
        self._works = shutil.which("qacct") is not None

    def look(self, job_id: str) -> list[JobStatus]:
        """Return what is known of a job that is over; nothing if it is not there (yet)."""
        if not self._works:
            return []
        argv = ["qacct", "-j", job_id.partition(".")[0]]
        try:
            ran = run_program(argv, doing=_ASKING, may_fail=True, timeout_s=_ACCOUNTING_S)
        except SchedulerError:
            self._works = False
            return []
        return [status for status in parse_accounting(ran.stdout) if belongs(status, job_id)]


def _qacct(job_id: str) -> str:
    ran = run_program(["qacct", "-j", job_id], doing=_ACCOUNTING, may_fail=True)
    if ran.returncode and not any(words in ran.stderr for words in _UNKNOWN):
        raise ran.error(_ACCOUNTING)
    return ran.stdout


def _lines_of(job_ids: Sequence[str]) -> str | None:
    """Return the lines that the accounting file has of jobs; None if it cannot be read here."""
    common = Path(os.environ.get("SGE_ROOT", ""), os.environ.get("SGE_CELL", "default"), "common")
    wanted = set(job_ids)
    try:
        with (common / "accounting").open(errors="replace") as file:
            return "".join(line for line in file if wanted.intersection(line.split(":", 6)[5:6]))
    except OSError:
        return None


def _with_reasons(statuses: dict[str, JobStatus]) -> dict[str, JobStatus]:
    """Add why jobs wait, by one call for all that do."""
    waiting = [job_id.partition(".")[0] for job_id, status in statuses.items() if status.state.is_waiting]
    if not waiting:
        return statuses
    argv = ["qstat", "-j", ",".join(dict.fromkeys(waiting))]
    reasons = parse_reasons(run_program(argv, doing=_ASKING, may_fail=True).stdout)
    return {
        job_id: replace(status, reason=reasons.get(job_id.partition(".")[0], ""))
        if status.state.is_waiting
        else status
        for job_id, status in statuses.items()
    }


def _show_all(names: str, show: str) -> str:
    """Return what qconf shows of all things of a kind, one after another; "" if there are none."""
    ran = run_program(["qconf", names], doing=_LOOKING, may_fail=True)
    if ran.returncode and "no " not in (ran.stdout + ran.stderr):  # it calls an empty list an error
        raise ran.error(_LOOKING)
    found = [] if ran.returncode else ran.stdout.split()
    with ThreadPoolExecutor() as asking:
        return "\n".join(asking.map(lambda name: _ask("qconf", show, name), found))


def _hosts(resource: str) -> list[Host]:
    """Return the execution hosts, with what they have of the resource that memory is asked with."""
    hosts = parse_hosts(_ask("qhost", "-q", "-F", resource, "-xml"))
    booked = [host.name for host in hosts if host.books_memory]
    if len(booked) > FEW:
        return hosts
    with ThreadPoolExecutor() as asking:
        shown = dict(zip(booked, asking.map(lambda name: _ask("qconf", "-se", name), booked), strict=True))
    return [
        replace(host, memory_bytes=parse_capacity(shown[host.name], resource)) if host.books_memory else host
        for host in hosts
    ]


def _ask(*argv: str) -> str:
    return run_program(argv, doing=_LOOKING).stdout

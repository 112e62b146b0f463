"""Accounting of Grid Engine: ``qacct -j`` of all its descendants, and the accounting file.

Their records differ in units. Grid Engine 6.2 and Univa print bare numbers: sizes in the unit of the
accounting file (``ru_maxrss`` in kB, ``io`` in GB, ``maxvmem`` in bytes). Son of Grid Engine prints suffixes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from simherd.accounting.attempts import RUN_AGAIN, attempts_by_job, has_environment, master_of, wall_of
from simherd.accounting.grid_engine_file import read_lines
from simherd.accounting.quantities import read_count, read_moment, read_number
from simherd.accounting.usage import JobUsage
from simherd.errors import AccountingError
from simherd.schedulers.base import JobState
from simherd.schedulers.sge_accounting import (
    RUNS_AGAIN,
    Record,
    cause,
    read_duration,
    read_records,
    read_size,
    requested,
    task_of,
)

__all__ = ["NEVER_RAN", "parse_qacct"]

# sge_status(5): values of "failed" whose usage is not valid.
NEVER_RAN = frozenset({1, *range(3, 12), *range(18, 22), *range(26, 30), *range(31, 37), 38})
MEMORY = ("h_vmem", "s_vmem", "virtual_free", "h_rss", "m_mem_free", "mem_free", "mem_requested")
"""Resources by which sites let jobs ask for memory of a slot."""
RESIDENT = ("h_rss", "m_mem_free", "mem_free", "mem_requested")
_EXCLUSIVE = ("exclusive", "excl")
_GIB = 1024**3
_SIGNALS = range(129, 193)
_AS_WORKER = "dask-worker"
"""Name of jobs that dask-jobqueue submits, unless the user gives another."""
_NOT_FOUND = re.compile(r"^error: job .*not found", re.MULTILINE)


def parse_qacct(text: str) -> list[JobUsage]:
    """Return what accounting of Grid Engine says of jobs, in the order of the text.

    Parameters
    ----------
    text : str
        What ``qacct -j`` printed, or lines of the accounting file.

    Returns
    -------
    list of JobUsage
        An attempt to run a job, or an array task, each. The records that slaves of a parallel environment
        have of their own are added up.

    Raises
    ------
    AccountingError
        If the text has no record.
    """
    records = [*read_records(text), *read_lines(text)]
    if not records:
        found = _NOT_FOUND.search(text)
        said = f": {found[0]}" if found else ""
        raise AccountingError(
            f"Cannot read accounting of Grid Engine: the text has no record of a job{said}.",
            fix="give what 'qacct -j JOBID' prints; it knows a job some seconds after its end.",
        )
    return [usage for attempts in attempts_by_job(records) for usage in _numbered(attempts)]


def _numbered(attempts: Sequence[Sequence[Record]]) -> Iterator[JobUsage]:
    for number, records in enumerate(attempts, start=1):
        yield replace(_usage(records), attempt=number, is_last=number == len(attempts))


def _usage(records: Sequence[Record]) -> JobUsage:
    master = master_of(records)
    state, reason = cause(master)
    failed, code = read_count(master.get("failed", "")), read_count(master.get("exit_status", ""))
    has_run = failed not in NEVER_RAN and _moment(master, "start_time") is not None
    if failed in RUNS_AGAIN or (failed == 0 and code == RUN_AGAIN):
        state, reason = JobState.PREEMPTED, "Grid Engine ran it again"
    signal = None if code is None or code not in _SIGNALS else code - 128
    resource, asked = _memory_asked(master)
    peaks = [peak for one in records if (peak := _peak(one, resource))] if has_run else []
    return JobUsage(
        scheduler="sge",
        job_id=task_of(master),
        state=state,
        name=master.get("jobname", ""),
        owner=master.get("owner", ""),
        queue=master.get("qname", ""),
        parallel_environment=_name(master.get("granted_pe", "")),
        node=", ".join(dict.fromkeys(one.get("hostname", "") for one in (master, *records))),
        node_count=len({one.get("hostname", "") for one in records}) if _tells_hosts(records) else None,
        native=_native(master),
        reason=reason,
        exit_code=code if has_run and signal is None else None,
        signal=signal if has_run else None,
        never_ran=not has_run and failed not in RUNS_AGAIN,
        submitted=_moment(master, "qsub_time"),
        started=_moment(master, "start_time"),
        ended=_moment(master, "end_time"),
        wall_s=wall_of(master) if has_run else None,
        walltime_s=_walltime(master),
        cores=_slots(master),
        cores_asked=_slots(master),
        cpu_s=_sum(one for record in records for one in _positive(record, "cpu")) if has_run else None,
        memory_bytes=max(peaks, default=None),
        memory_at_most_bytes=sum(peaks) or None,
        memory_asked_bytes=asked,
        memory_resource=resource,
        has_whole_nodes=any(requested(master, name) in ("true", "1", "TRUE") for name in _EXCLUSIVE),
        io_bytes=_bytes_moved(records) if has_run else None,
        io_wait_s=_sum(one for record in records for one in _positive(record, "iow")) if has_run else None,
        is_worker=master.get("jobname", "").startswith(_AS_WORKER),
    )


def _native(record: Record) -> str:
    failed = " ".join(record.get("failed", "?").split())
    exit_status = " ".join(record.get("exit_status", "?").split())
    return f"failed {failed}, exit_status {exit_status}"


def _moment(record: Record, name: str) -> datetime | None:
    return read_moment(record.get(name, ""))


def _walltime(record: Record) -> float | None:
    limits = [read_duration(requested(record, name) or "") for name in ("h_rt", "s_rt")]
    return min((float(limit) for limit in limits if limit), default=None)


def _slots(record: Record) -> int | None:
    return read_count(record.get("slots", "")) or None


def _memory_asked(record: Record) -> tuple[str, int | None]:
    """Return by which resource a job asked for memory, and how much for all slots, in bytes."""
    for resource in MEMORY:
        size = read_size(requested(record, resource) or "")
        if size:
            return resource, size * (_slots(record) or 1)
    return "", None


def _peak(record: Record, resource: str) -> int | None:
    """Return the peak memory of a record in bytes: virtual, unless resident memory was asked for."""
    names = ("maxrss", "maxvmem") if resource in RESIDENT else ("maxvmem",)
    return next((size for name in names if (size := read_size(record.get(name, "")))), None)


def _bytes_moved(records: Iterable[Record]) -> int | None:
    return round(sum(map(_moved, records))) or None


def _moved(record: Record) -> float:
    text = record.get("io", "")
    is_bare = text.replace(".", "", 1).isdigit() and text.isascii()
    return (read_number(text) or 0.0) * _GIB if is_bare else float(read_size(text) or 0)


def _positive(record: Record, name: str) -> Iterator[float]:
    """Yield a time in s unless it is zero, which stands for one that was not measured."""
    number = read_number(record.get(name, ""))
    if number:
        yield number


def _sum(numbers: Iterable[float]) -> float | None:
    return sum(numbers) or None


def _name(text: str) -> str:
    return "" if text == "NONE" else text


def _tells_hosts(records: Sequence[Record]) -> bool:
    """Return whether all hosts are known: the one record of a parallel job names only its master's."""
    return len(records) > 1 or not has_environment(records[0])

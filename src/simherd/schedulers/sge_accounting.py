"""What qacct prints about jobs that are over, read: pure functions of text.

None of them raises an error on any text: what is not understood is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from simherd.resources import format_bytes
from simherd.schedulers.base import JobState, JobStatus

__all__ = [
    "MAY_HAVE_RUN",
    "RUNS_AGAIN",
    "Record",
    "cause",
    "leading_number",
    "parse_accounting",
    "read_duration",
    "read_records",
    "read_size",
    "requested",
    "task_of",
]

Record = Mapping[str, str]
"""A record by the names that qacct prints."""

# sge_status(5), accounting(5): values of "failed" after which the job runs again.
RUNS_AGAIN = (24, 25)
OVER_A_LIMIT = 37
MAY_HAVE_RUN = (0, 100)
KILLED = 137
NEAR_WALLTIME = 0.98
"""Share of a walltime from which a job that was killed is taken to have reached it."""
NEAR_MEMORY = 0.9
"""The same for memory: a process that is refused memory ends just below its limit."""

_NAME = re.compile(r"[a-z_]+")
_RULE = "=" * 20
_FIRST = "qname"
_SIZE = re.compile(r"([\d.]+)([kKmMgGtT]?)B?", re.ASCII)
_UNIT = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "t": 1000**4}
_BINARY_UNIT = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}


def parse_accounting(text: str) -> list[JobStatus]:
    """Return what ``qacct -j ID`` says of a job and its array tasks: of each the last time that it ran."""
    last: dict[str, JobStatus] = {}
    for record in read_records(text):
        status = _accounted(record)
        if status is not None:
            last[status.job_id] = status
    return list(last.values())


def read_records(text: str) -> Iterator[dict[str, str]]:
    """Yield the records that ``qacct -j`` printed, also where the rules between them are missing."""
    record: dict[str, str] = {}
    for line in text.splitlines():
        name, *value = line.split(maxsplit=1)[:2] or [""]
        if name == _FIRST or name.startswith(_RULE):
            yield from _complete(record)
            record = {}
        if value and _NAME.fullmatch(name):
            record.setdefault(name, value[0].strip())
    yield from _complete(record)


def _complete(record: dict[str, str]) -> Iterator[dict[str, str]]:
    if "jobnumber" in record:
        yield record


def task_of(record: Record) -> str:
    """Return the id of a job, of a task of an array job such as ``"12.3"``."""
    task = record.get("taskid", "undefined")
    return record["jobnumber"] + ("" if task in ("undefined", "0") else f".{task}")


def _accounted(record: Record) -> JobStatus | None:
    failed, code = leading_number(record.get("failed", "")), leading_number(record.get("exit_status", ""))
    if failed is None or failed in RUNS_AGAIN:
        return None
    status = JobStatus(
        job_id=task_of(record),
        state=JobState.FAILED,
        native=record["failed"],
        node=record.get("hostname", ""),
        exit_code=code if failed in MAY_HAVE_RUN else None,
    )
    state, reason = cause(record)
    return replace(status, state=state, reason=reason)


def cause(record: Record) -> tuple[JobState, str]:
    """Return the state in which a job ended, and why."""
    failed = leading_number(record.get("failed", ""))
    code = leading_number(record.get("exit_status", "")) or 0
    words = record.get("failed", "").partition(":")[2].strip()
    if failed == 0 and code == 0:
        return JobState.DONE, ""
    if (by := record.get("deleted_by", "NONE")) != "NONE":
        return JobState.CANCELLED, f"deleted by {by}"
    if failed == OVER_A_LIMIT or "enforced" in words or code > 128:
        if _is_over_walltime(record):
            return JobState.TIMEOUT, "it reached its walltime"
        if _is_over_memory(record):
            used = format_bytes(read_size(record["maxvmem"]) or 0)
            return JobState.OUT_OF_MEMORY, f"it used {used} of its memory (h_vmem)"
    if failed in MAY_HAVE_RUN and code == KILLED:
        return JobState.CANCELLED, "it was killed: with qdel, or by its node, such as for want of memory"
    return JobState.FAILED, words


def _is_over_walltime(record: Record) -> bool:
    used = leading_number(record.get("ru_wallclock", record.get("wallclock", ""))) or 0
    limits = [read_duration(requested(record, resource) or "") for resource in ("h_rt", "s_rt")]
    return any(limit is not None and used >= NEAR_WALLTIME * limit for limit in limits)


def _is_over_memory(record: Record) -> bool:
    """Return whether it was near its limit, which a job of several slots has as often."""
    limit, used = read_size(requested(record, "h_vmem") or ""), read_size(record.get("maxvmem", ""))
    slots = leading_number(record.get("slots", "")) or 1
    return limit is not None and used is not None and used >= NEAR_MEMORY * limit * slots


def requested(record: Record, resource: str) -> str | None:
    """Return what a job asked for of a resource: in its category, or on the command line of qsub."""
    asked = f"{record.get('category', '')} {record.get('submit_cmd', '')}"
    found = re.search(rf"(?:^|[\s,]){re.escape(resource)}=([^\s,]+)", asked)
    return found[1] if found else None


def read_duration(text: str) -> int | None:
    """Return a time of Grid Engine such as ``3600`` or ``1:00:00`` in s; None if it is none."""
    parts = text.split(":")
    if not 1 <= len(parts) <= 3 or not all(part.isascii() and part.isdigit() for part in parts if part):
        return None
    seconds = 0
    for part in parts:
        seconds = seconds * 60 + int(part[:12] or 0)
    return seconds if any(parts) else None


def read_size(text: str) -> int | None:
    """Return a size of Grid Engine in bytes; None if it is none.

    ``2G``, as qacct's ``186.918MB``, is binary and ``2g`` decimal.
    """
    found = _SIZE.fullmatch(text.strip())
    if not found or found[1].count(".") > 1 or found[1] == ".":
        return None
    unit = _BINARY_UNIT.get(found[2], _UNIT.get(found[2], 1))
    return int(float(found[1][:18]) * unit)


def leading_number(text: str) -> int | None:
    """Return the number with which a text begins; None if there is none."""
    found = re.match(r"\d{1,15}", text, re.ASCII)
    return int(found[0]) if found else None

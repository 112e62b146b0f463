"""What Grid Engine's commands print about jobs, read: pure functions of text.

None of them raises an error on any text: what is not understood is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from xml.etree import ElementTree

from simherd.schedulers.base import JobState, JobStatus

__all__ = [
    "belongs",
    "parse_accounting",
    "parse_qstat",
    "parse_reasons",
    "parse_submitted",
    "read_state",
]

# qstat(1), "state": letters that stand together, such as hqw, dr or Eqw. The first that is there counts.
STATES = {
    "d": JobState.ENDING,
    "E": JobState.HELD,  # it never starts, but stays until it is deleted
    "r": JobState.RUNNING,
    "t": JobState.RUNNING,
    "s": JobState.RUNNING,
    "S": JobState.RUNNING,
    "T": JobState.RUNNING,
    "N": JobState.RUNNING,
    "P": JobState.PREEMPTED,
    "h": JobState.HELD,
    "w": JobState.PENDING,
    "q": JobState.PENDING,
    "z": JobState.DONE,
}
_CODE = re.compile(r"[A-Za-z]{1,8}")

# sge_status(5), accounting(5): values of "failed" after which the job runs again.
RUNS_AGAIN = (24, 25)
OVER_A_LIMIT = 37
MAY_HAVE_RUN = (0, 100)
KILLED = 137

_NUMBERS = re.compile(r"(\d+)(?:-(\d+)(?::(\d+))?)?", re.ASCII)
_SIZE = re.compile(r"([\d.]+)([kKmMgGtT]?)B?", re.ASCII)
_UNIT = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "t": 1000**4}
_BINARY_UNIT = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}


def read_state(code: str) -> JobState | None:
    """Return the state that a code of qstat stands for; None if it is none."""
    if not _CODE.fullmatch(code):
        return None
    return next((state for letter, state in STATES.items() if letter in code), None)


def parse_submitted(text: str) -> str | None:
    """Return the job id that ``qsub -terse`` printed; of an array job without its tasks."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    found = re.match(r"(\d+)(?:\.\S+)?$", lines[-1], re.ASCII) if lines else None
    return found[1] if found else None


def parse_qstat(text: str) -> list[JobStatus]:
    """Return what ``qstat -xml`` says of jobs; array tasks are ``12.3`` or ``12.1-9:1``."""
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError):
        return []
    return [status for job in root.iter("job_list") if (status := _listed(job))]


def _listed(job: ElementTree.Element) -> JobStatus | None:
    job_id, code = _text(job, "JB_job_number"), _text(job, "state")
    state = read_state(code)
    if not job_id or state is None:
        return None
    tasks, queue = _text(job, "tasks"), _text(job, "queue_name")
    return JobStatus(
        job_id=f"{job_id}.{tasks}" if tasks else job_id,
        state=state,
        native=code,
        node=queue.partition("@")[2],
    )


def _text(job: ElementTree.Element, name: str) -> str:
    return (job.findtext(name) or "").strip()


def parse_reasons(text: str) -> dict[str, str]:
    """Return from ``qstat -j ID,ID`` why jobs wait: the error of those in ``Eqw``, else what is said."""
    reasons: dict[str, str] = {}
    job_id = ""
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name == "job_number":
            job_id = value.strip()
        elif name.startswith("error reason") and job_id:
            reasons[job_id] = " ".join(value.split())
        elif name == "scheduling info" and job_id:
            reasons.setdefault(job_id, " ".join(value.split()))
    return reasons


def parse_accounting(text: str) -> list[JobStatus]:
    """Return what ``qacct -j ID`` says of a job and its array tasks: of each the last time that it ran."""
    last: dict[str, JobStatus] = {}
    for record in _records(text):
        status = _accounted(record)
        if status is not None:
            last[status.job_id] = status
    return list(last.values())


def _records(text: str) -> Iterator[dict[str, str]]:
    for part in re.split(r"^={20,}\s*$", text, flags=re.MULTILINE):
        words = (line.split(maxsplit=1) for line in part.splitlines())
        record = {pair[0]: pair[1].strip() for pair in words if len(pair) == 2}
        if "jobnumber" in record:
            yield record


def _accounted(record: dict[str, str]) -> JobStatus | None:
    failed, code = _leading_number(record.get("failed", "")), _leading_number(record.get("exit_status", ""))
    if failed is None or failed in RUNS_AGAIN:
        return None
    task = record.get("taskid", "undefined")
    status = JobStatus(
        job_id=record["jobnumber"] + ("" if task == "undefined" else f".{task}"),
        state=JobState.FAILED,
        native=record["failed"],
        node=record.get("hostname", ""),
        exit_code=code if failed in MAY_HAVE_RUN else None,
    )
    state, reason = _cause(record, failed, code)
    return replace(status, state=state, reason=reason)


def _cause(record: dict[str, str], failed: int, code: int | None) -> tuple[JobState, str]:
    if failed == 0 and code == 0:
        return JobState.DONE, ""
    if (by := record.get("deleted_by", "NONE")) != "NONE":
        return JobState.CANCELLED, f"deleted by {by}"
    if failed == OVER_A_LIMIT or (code or 0) > 128:
        if _is_over_walltime(record):
            return JobState.TIMEOUT, "it reached its walltime"
        if _is_over_memory(record):
            return JobState.OUT_OF_MEMORY, f"it used {record['maxvmem']} of its memory (h_vmem)"
    if failed in MAY_HAVE_RUN and code == KILLED:
        return JobState.CANCELLED, "it was killed: with qdel, or by its node, such as for want of memory"
    words = record["failed"].partition(":")[2].strip()
    return JobState.FAILED, words


def _is_over_walltime(record: dict[str, str]) -> bool:
    used = _leading_number(record.get("ru_wallclock", record.get("wallclock", "")))
    limits = [_requested(record, resource) or "" for resource in ("h_rt", "s_rt")]
    reached = [limit.isascii() and limit.isdigit() and (used or 0) >= int(limit[:12]) for limit in limits]
    return any(reached)


def _is_over_memory(record: dict[str, str]) -> bool:
    """Return whether it was near its limit: a process that is refused memory ends just below."""
    limit, used = _requested(record, "h_vmem"), record.get("maxvmem", "")
    if limit is None or (limit_bytes := read_size(limit)) is None or (used_bytes := read_size(used)) is None:
        return False
    return used_bytes * _slots(record) >= 0.9 * limit_bytes * _slots(record)


def _slots(record: dict[str, str]) -> int:
    return _leading_number(record.get("slots", "")) or 1


def _requested(record: dict[str, str], resource: str) -> str | None:
    found = re.search(rf"(?:^|[\s,]){resource}=([^\s,]+)", record.get("category", ""))
    return found[1] if found else None


def read_size(text: str) -> int | None:
    """Return a size of Grid Engine in bytes; None if it is none.

    ``2G``, as qacct's ``186.918MB``, is binary and ``2g`` decimal.
    """
    found = _SIZE.fullmatch(text.strip())
    if not found or found[1].count(".") > 1 or found[1] == ".":
        return None
    unit = _BINARY_UNIT.get(found[2], _UNIT.get(found[2], 1))
    return int(float(found[1][:18]) * unit)


def _leading_number(text: str) -> int | None:
    found = re.match(r"\d{1,15}", text, re.ASCII)
    return int(found[0]) if found else None


def belongs(status: JobStatus, job_id: str) -> bool:
    """Return whether a status is of a job such as ``12``, or of its array task ``12.3``."""
    job, _, tasks = status.job_id.partition(".")
    wanted_job, _, wanted = job_id.partition(".")
    return job == wanted_job and (not wanted or wanted == tasks or _has_task(tasks, wanted))


def _has_task(tasks: str, wanted: str) -> bool:
    if not wanted.isascii() or not wanted.isdigit():
        return False
    for part in tasks.split(","):
        found = _NUMBERS.fullmatch(part)
        if found:
            first, last, step = (int(digits[:12]) if digits else None for digits in found.groups())
            if int(wanted[:12]) in range(first or 0, (last or first or 0) + 1, step or 1):
                return True
    return False

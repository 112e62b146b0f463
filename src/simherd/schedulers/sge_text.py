"""What Grid Engine's commands print about jobs, read: pure functions of text.

None of them raises an error on any text: what is not understood is left out.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

from simherd.schedulers.base import JobState, JobStatus

__all__ = [
    "belongs",
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

_NUMBERS = re.compile(r"(\d+)(?:-(\d+)(?::(\d+))?)?", re.ASCII)


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

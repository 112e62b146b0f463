"""What SLURM's commands print, read: pure functions of text.

None of them raises an error on any text: a line that is not understood is left out.
"""

from __future__ import annotations

import re

from simherd.schedulers.base import JobState, JobStatus, Partition

__all__ = [
    "ACCOUNTING_FIELDS",
    "SACCT_FIELDS",
    "SQUEUE_FORMAT",
    "belongs",
    "known_fields",
    "parse_array_limit",
    "parse_job",
    "parse_partitions",
    "parse_sacct",
    "parse_squeue",
    "parse_submitted",
    "read_duration",
    "read_state",
]

# squeue(1), JOB STATE CODES, and sacct(1), JOB STATE CODES.
STATES = {
    "BOOT_FAIL": JobState.NODE_FAIL,
    "CANCELLED": JobState.CANCELLED,
    "COMPLETED": JobState.DONE,
    "COMPLETING": JobState.ENDING,
    "CONFIGURING": JobState.PENDING,
    "DEADLINE": JobState.TIMEOUT,
    "FAILED": JobState.FAILED,
    "NODE_FAIL": JobState.NODE_FAIL,
    "OUT_OF_MEMORY": JobState.OUT_OF_MEMORY,
    "PENDING": JobState.PENDING,
    "PREEMPTED": JobState.PREEMPTED,
    "REQUEUED": JobState.PENDING,
    "REQUEUE_FED": JobState.PENDING,
    "REQUEUE_HOLD": JobState.HELD,
    "RESIZING": JobState.RUNNING,
    "RESV_DEL_HOLD": JobState.HELD,
    "REVOKED": JobState.CANCELLED,
    "RUNNING": JobState.RUNNING,
    "SIGNALING": JobState.RUNNING,
    "SPECIAL_EXIT": JobState.HELD,
    "STAGE_OUT": JobState.ENDING,
    "STOPPED": JobState.RUNNING,
    "SUSPENDED": JobState.RUNNING,
    "TIMEOUT": JobState.TIMEOUT,
}

LEAST_CUT = 5
"""Fewest characters of a word that is cut to the width of a column."""
SQUEUE_FORMAT = "%i|%T|%N|%r"
SACCT_FIELDS = "JobID,State,ExitCode,NodeList"
ACCOUNTING_FIELDS = (
    "JobID", "JobIDRaw", "User", "Partition", "State", "ExitCode", "Reason", "Submit", "Start", "End",
    "ElapsedRaw", "Elapsed", "TimelimitRaw", "Timelimit", "AllocCPUS", "ReqCPUS", "NNodes", "NTasks",
    "NodeList", "TotalCPU", "ReqMem", "MaxRSS", "AllocTRES", "TRESUsageInTot", "TRESUsageOutTot", "JobName",
)  # fmt: skip
"""What accounting is asked for of jobs that are over, as far as a site has it; free text comes last."""

_FIELD = re.compile(r"(?:^|\s)([A-Za-z_:/]+)=(\S*)")
_HELD = re.compile(r"JobHeld|requeued held|JobHoldMaxRequeue", re.IGNORECASE)
_NOTHING = ("", "None", "(null)", "None assigned", "N/A", "Unknown")


def read_state(word: str) -> JobState | None:
    """Return the state that a word of SLURM stands for; None if it is none.

    What follows the word, as in ``CANCELLED by 1000``, does not matter. One that is cut, as in
    ``OUT_OF_ME+``, is the first that begins so.
    """
    first, *_ = word.upper().split() or [""]
    if first.endswith("+") and len(first) > LEAST_CUT:
        return next((state for name, state in STATES.items() if name.startswith(first.rstrip("+"))), None)
    return STATES.get(first)


def parse_submitted(text: str) -> str | None:
    """Return the job id that ``sbatch --parsable`` printed, without the name of the cluster."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    found = re.match(r"(\d+)(?:;\S+)?$", lines[-1]) if lines else None
    return found[1] if found else None


def parse_squeue(text: str) -> list[JobStatus]:
    """Return what ``squeue --noheader --format=%i|%T|%N|%r`` says of jobs and array tasks."""
    rows = (line.split("|", 3) for line in text.splitlines())
    return [_status(*row, exit_code="") for row in rows if len(row) == 4 and read_state(row[1])]


def parse_sacct(text: str) -> list[JobStatus]:
    """Return what ``sacct -n -P -X -o JobID,State,ExitCode,NodeList`` says of jobs.

    Its reasons are left out: they say why a job once waited.
    """
    rows = (line.split("|", 3) for line in text.splitlines())
    return [
        _status(job, state, nodes, "", exit_code=code)
        for job, state, code, nodes in (row for row in rows if len(row) == 4)
        if read_state(state)
    ]


def known_fields(text: str) -> list[str]:
    """Return those of `ACCOUNTING_FIELDS` that ``sacct --helpformat`` lists: any other is an error."""
    known = {name.lower() for name in text.split()}
    return [name for name in ACCOUNTING_FIELDS if name.lower() in known]


def parse_job(text: str) -> list[JobStatus]:
    """Return what ``scontrol --oneliner show job`` says of a job and its array tasks."""
    return [status for line in text.splitlines() if (status := _job_of(_fields(line)))]


def _job_of(fields: dict[str, str]) -> JobStatus | None:
    job_id, state = fields.get("ArrayJobId", fields.get("JobId", "")), fields.get("JobState", "")
    if not job_id or not read_state(state):
        return None
    task = f"_{fields['ArrayTaskId']}" if "ArrayTaskId" in fields else ""
    return _status(
        job_id + task,
        state,
        fields.get("NodeList", ""),
        fields.get("Reason", ""),
        exit_code=fields.get("ExitCode", ""),
    )


def _status(job_id: str, word: str, node: str, reason: str, *, exit_code: str) -> JobStatus:
    state = read_state(word) or JobState.GONE
    if state is JobState.PENDING and _HELD.search(reason):
        state = JobState.HELD
    return JobStatus(
        job_id=job_id.strip(),
        state=state,
        native=word.strip(),
        reason="" if reason.strip() in _NOTHING else reason.strip(),
        node="" if node.strip() in _NOTHING else node.strip(),
        exit_code=_exit_code(exit_code, state) if state.is_over else None,
    )


def _exit_code(text: str, state: JobState) -> int | None:
    """Return an exit code from ``code:signal``, as a shell would give it.

    Jobs that SLURM ended have ``0:0``, which is no exit code of theirs.
    """
    if state is JobState.DONE:
        return 0
    found = re.match(r"(\d{1,3}):(\d{1,3})$", text.strip(), re.ASCII)
    if not found:
        return None
    return 128 + int(found[2]) if int(found[2]) else int(found[1]) or None


def parse_partitions(partitions: str, nodes: str) -> tuple[Partition, ...]:
    """Return the partitions from ``scontrol --oneliner show partition`` and ``... show node``."""
    of_node = [_fields(line) for line in nodes.splitlines()]
    return tuple(
        _partition(fields, [node for node in of_node if fields["PartitionName"] in _listed(node)])
        for fields in map(_fields, partitions.splitlines())
        if fields.get("PartitionName")
    )


def _partition(fields: dict[str, str], nodes: list[dict[str, str]]) -> Partition:
    cores = [_number(node.get("CPUTot")) for node in nodes]
    memory = [_number(node.get("RealMemory")) for node in nodes]
    return Partition(
        name=fields["PartitionName"],
        is_default=fields.get("Default") == "YES",
        is_up=fields.get("State", "UP") == "UP",
        max_walltime_s=read_duration(fields.get("MaxTime", "")),
        nodes=_least(_number(fields.get("TotalNodes")), _number(fields.get("MaxNodes"))) or 0,
        cores_per_node=_least(_most(cores), _number(fields.get("MaxCPUsPerNode"))),
        memory_bytes_per_node=_mebibytes(_least(_most(memory), _number(fields.get("MaxMemPerNode")))),
    )


def read_duration(text: str) -> int | None:
    """Return a time of SLURM such as ``1-12:00:00`` in s; None for no limit, or if it is none."""
    found = re.fullmatch(r"(?:(\d{1,9})-)?(\d{1,9}):(\d{1,9})(?::(\d{1,9}))?", text.strip(), re.ASCII)
    if not found:
        return None
    days, *rest = (int(part or 0) for part in found.groups())
    hours, minutes, seconds = rest if found[4] or found[1] else (0, *rest[:2])
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def parse_array_limit(config: str) -> int | None:
    """Return from ``scontrol show config`` how many tasks an array job may have.

    Indices end before ``MaxArraySize``, so that tasks counted from 1 are one less.
    """
    size = re.search(r"^MaxArraySize\s*=\s*(\d+)", config, re.MULTILINE | re.ASCII)
    tasks = re.search(r"^SchedulerParameters\s*=.*\bmax_array_tasks=(\d+)", config, re.MULTILINE | re.ASCII)
    return _least(max(0, _bounded(size[1]) - 1) if size else None, _bounded(tasks[1]) if tasks else None)


def _fields(line: str) -> dict[str, str]:
    """Return ``Key=value`` pairs; the first of a name counts, since free text comes last."""
    fields: dict[str, str] = {}
    for name, value in _FIELD.findall(line):
        fields.setdefault(name, value)
    return fields


def _listed(node: dict[str, str]) -> list[str]:
    return node.get("Partitions", "").split(",")


def _number(text: str | None) -> int | None:
    return _bounded(text) if text and text.isascii() and text.isdigit() else None


def _bounded(digits: str) -> int:
    return int(digits[:18])


def _most(numbers: list[int | None]) -> int | None:
    return max((number for number in numbers if number is not None), default=None)


def _least(*numbers: int | None) -> int | None:
    return min((number for number in numbers if number is not None), default=None)


def _mebibytes(count: int | None) -> int | None:
    return None if count is None else count * 1024**2


def belongs(status: JobStatus, job_id: str) -> bool:
    """Return whether a status is of a job such as ``123``, or of its array task ``123_4``."""
    job, _, tasks = status.job_id.partition("_")
    wanted_job, _, wanted_task = job_id.partition("_")
    return job == wanted_job and (not wanted_task or tasks == wanted_task or _has_task(tasks, wanted_task))


def _has_task(tasks: str, wanted: str) -> bool:
    """Return whether ``[1-3,7-9:2%2]``, which is how pending tasks are shown, has one."""
    number = _number(wanted)
    if number is None:
        return False
    for part in tasks.strip("[]").split("%")[0].split(","):
        span, _, step = part.partition(":")
        first, _, last = span.partition("-")
        low, high = _number(first), _number(last or first)
        if low is not None and high is not None and number in range(low, high + 1, _number(step) or 1):
            return True
    return False

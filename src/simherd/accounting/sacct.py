"""Accounting of SLURM: what sacct prints of jobs and their steps, versions 20.11 to 24.x.

A line is an allocation (``123``, array task ``123_4``, component ``123+0``) or one of its steps
(``123.batch``, ``123.extern``, ``123.0``). Peaks of memory are in the lines of steps only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from simherd.accounting.quantities import read_count, read_duration, read_moment, read_size
from simherd.accounting.sacct_rows import Row, read_rows
from simherd.accounting.usage import JobUsage
from simherd.errors import AccountingError
from simherd.schedulers.base import JobState
from simherd.schedulers.slurm_text import read_state

__all__ = ["NOT_SET_UP", "parse_sacct"]

NOT_SET_UP = 53
"""Number in place of a signal with which SLURM notes that it could not set a job up, such as its output."""

_JOB = re.compile(r"(\d{1,18}(?:_(?:\d{1,18}|\[[^\]]*\]))?(?:\+\d{1,9})?)(?:\.(\S+))?", re.ASCII)
_PER_PART = re.compile(r"(.*?)([nc]?)", re.DOTALL)
_REQUEUED = "REQUEUED"
_IDLE_STEPS = ("extern",)
_NOTHING = ("", "None", "None assigned", "Unknown", "(null)")
_KILLED = (
    JobState.CANCELLED,
    JobState.TIMEOUT,
    JobState.OUT_OF_MEMORY,
    JobState.NODE_FAIL,
    JobState.PREEMPTED,
)
_UNSIZED = 2**63
"""From here on a number stands for a value that is not known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Attempt:
    """The lines of one attempt to run a job."""

    job_id: str
    job: Row
    """Its own line; that of its first step where the text has no other."""
    steps: list[Row] = field(default_factory=list)
    """Lines of its steps."""


def parse_sacct(text: str) -> list[JobUsage]:
    """Return what sacct says of jobs, in the order of the text.

    Parameters
    ----------
    text : str
        What ``sacct --parsable2`` or ``--parsable`` printed, with any fields and their names in the first
        line; columns of a fixed width are read, too, but hold less.

    Returns
    -------
    list of JobUsage
        An attempt to run a job, or an array task, each.

    Raises
    ------
    AccountingError
        If it is no such table, or has no job in it.
    """
    attempts = list(_attempts(read_rows(text)))
    if not attempts:
        raise AccountingError(
            "Cannot read accounting of SLURM: the table has no line of a job.",
            fix="ask for jobs by their ids, 'sacct -j JOBID': else sacct shows those since midnight.",
        )
    jobs: dict[str, list[_Attempt]] = {}
    for attempt in attempts:
        jobs.setdefault(attempt.job_id, []).append(attempt)
    return [usage for found in jobs.values() for usage in _numbered(found)]


def _numbered(attempts: Sequence[_Attempt]) -> Iterator[JobUsage]:
    for number, attempt in enumerate(attempts, start=1):
        yield replace(_usage(attempt), attempt=number, is_last=number == len(attempts))


def _attempts(rows: Iterable[Row]) -> Iterator[_Attempt]:
    """Yield the lines of each attempt; the steps of an attempt follow its own line."""
    current: _Attempt | None = None
    for row in rows:
        found = _JOB.match(row.get("jobid", ""))
        if not found or read_state(row.get("state", "")) is None:
            continue
        job_id, step = found.groups()
        if step is None or current is None or current.job_id != job_id:
            if current is not None:
                yield current
            current = _Attempt(job_id=job_id, job=row)
        if step is not None:
            current.steps.append(row)
    if current is not None:
        yield current


def _usage(attempt: _Attempt) -> JobUsage:
    row = attempt.job
    state, reason = _state(row, attempt.steps)
    wall = _wall(row)
    cores = _count(row, "alloccpus", "ncpus")
    has_run = bool(cores and wall) or bool(attempt.steps)
    code, signal = _exit(row, attempt.steps, state)
    nodes = _count(row, "nnodes")
    asked = _memory_asked(row, cores, nodes)
    low, high = _peak_memory(attempt) if has_run and state.is_over else (None, None)
    cores_asked = _count(row, "reqcpus", "reqtres")
    return JobUsage(
        scheduler="slurm",
        job_id=attempt.job_id,
        own_id=row.get("jobidraw", "").partition(".")[0],
        state=state,
        name=row.get("jobname", ""),
        owner=row.get("user", ""),
        queue=row.get("partition", ""),
        node=_known(row.get("nodelist", "")),
        node_count=nodes,
        native=_native(row, state),
        reason=reason,
        exit_code=code,
        signal=signal,
        never_ran=state.is_over and (signal == NOT_SET_UP or (wall is not None and not has_run)),
        submitted=read_moment(row.get("submit", "")),
        started=read_moment(row.get("start", "")),
        ended=read_moment(row.get("end", "")),
        wall_s=wall if has_run and cores else None,
        walltime_s=_walltime(row),
        cores=cores,
        cores_asked=cores_asked or cores,
        cpu_s=_cpu(attempt, state) if has_run and state.is_over else None,
        memory_bytes=low,
        memory_at_most_bytes=high,
        memory_asked_bytes=asked,
        has_whole_nodes=_has_whole_nodes(cores or 0, cores_asked or 0),
        io_bytes=_bytes_moved(attempt.steps) if has_run else None,
    )


def _state(row: Row, steps: Iterable[Row]) -> tuple[JobState, str]:
    """Return the state and its reason; a step that ran out of memory counts more than what came of it."""
    native = row.get("state", "")
    if native.startswith(_REQUEUED):
        return JobState.PREEMPTED, "SLURM ran it again"
    by = native.partition(" by ")[2]
    reason = f"cancelled by user {by}" if by else _known(row.get("reason", ""))
    state = read_state(native) or JobState.UNKNOWN
    is_short = any(read_state(step.get("state", "")) is JobState.OUT_OF_MEMORY for step in steps)
    return (JobState.OUT_OF_MEMORY if state is JobState.FAILED and is_short else state), reason


def _native(row: Row, state: JobState) -> str:
    """Return the state in the words of SLURM, of jobs that failed with their exit code."""
    words = [row.get("state", ""), row.get("exitcode", "") if state is JobState.FAILED else ""]
    return " ".join(filter(None, words))


def _exit(row: Row, steps: Iterable[Row], state: JobState) -> tuple[int | None, int | None]:
    """Return exit code and signal; what SLURM ended itself has ``0:0``, which says nothing.

    The script of a job goes on when a signal has ended a step, and may exit with another code.
    """
    code, signal = _code_and_signal(row)
    if not signal and state is JobState.FAILED:
        signal = next((ended for _, ended in map(_code_and_signal, steps) if ended), None)
    if code is None or not state.is_over:
        return None, None
    if signal:
        return None, signal
    if code > 128:
        return None, code - 128
    return (None, None) if state in _KILLED and not code else (code, None)


def _code_and_signal(row: Row) -> tuple[int | None, int | None]:
    found = re.match(r"(\d{1,3}):(\d{1,3})$", row.get("exitcode", ""), re.ASCII)
    return (int(found[1]), int(found[2])) if found else (None, None)


def _known(text: str) -> str:
    return "" if text in _NOTHING else text


def _count(row: Row, *names: str) -> int | None:
    for name in names:
        text = row.get(name, "")
        count = read_count(_resources(text).get("cpu", "")) if name.endswith("tres") else read_count(text)
        if count:
            return count
    return None


def _wall(row: Row) -> float | None:
    raw = read_count(row.get("elapsedraw", ""))
    return read_duration(row.get("elapsed", "")) if raw is None else float(raw)


def _walltime(row: Row) -> float | None:
    minutes = read_count(row.get("timelimitraw", ""))
    return read_duration(row.get("timelimit", "")) if minutes is None else minutes * 60.0


def _resources(text: str) -> Mapping[str, str]:
    """Return trackable resources by name, from ``cpu=2,mem=1G,node=1``."""
    pairs = (part.partition("=") for part in text.split(","))
    return {name: value for name, _, value in pairs}


def _memory_asked(row: Row, cores: int | None, nodes: int | None) -> int | None:
    """Return the memory of the whole job in bytes: what was allocated, else what was asked for."""
    for name in ("alloctres", "reqtres"):
        allocated = _size(_resources(row.get(name, "")).get("mem", ""))
        if allocated:
            return allocated
    found = _PER_PART.fullmatch(row.get("reqmem", ""))
    size, per = found.groups() if found else ("", "")
    parts = {"n": nodes, "c": cores}.get(per, 1)
    each = _size(size if re.search(r"[A-Za-z]$", size) else f"{size}M")
    return each * parts if each and parts else None


def _size(text: str) -> int | None:
    size = read_size(text)
    return None if size is None or size >= _UNSIZED else round(size)


def _has_whole_nodes(cores: int, asked: int) -> bool:
    """Return whether a job got many more cores than it asked for; two of one are those of a hyper-thread."""
    return 0 < 2 * asked <= cores and cores > asked + 1


def _peak_memory(attempt: _Attempt) -> tuple[int | None, int | None]:
    """Return a lower and an upper bound of the peak memory in bytes.

    The lower one is the largest of the steps, the upper one the largest sum of steps that ran at once.
    """
    peaks = [(step, peak) for step in _working_steps(attempt) if (peak := _peak_of(step))]
    if not peaks:
        return None, None
    sums = [sum(peak for other, peak in peaks if _runs_at_start_of(other, step)) for step, _ in peaks]
    largest = max(peak for _, peak in peaks)
    return largest, max(largest, *sums)


def _working_steps(attempt: _Attempt) -> list[Row]:
    return [
        step for step in attempt.steps or [attempt.job] if not step.get("jobid", "").endswith(_IDLE_STEPS)
    ]


def _peak_of(step: Row) -> int | None:
    """Return the peak memory of a step in bytes: that of all its tasks, each at its own peak."""
    total = _size(_resources(step.get("tresusageintot", "")).get("mem", ""))
    if total:
        return total
    largest = _size(step.get("maxrss", ""))
    return largest * (_count(step, "ntasks") or 1) if largest else None


def _runs_at_start_of(other: Row, step: Row) -> bool:
    start, end, moment = (
        read_moment(text) for text in (other.get("start", ""), other.get("end", ""), step.get("start", ""))
    )
    if other is step or start is None or moment is None:
        return other is step
    return start <= moment and (end is None or moment < end)


def _cpu(attempt: _Attempt, state: JobState) -> float | None:
    """Return the CPU time in s; None if nobody measured it.

    The total of a process that a signal ended lacks what was never waited for, so the sampler may know more.
    Without samples such a total says nothing.
    """
    of_steps = [_cpu_of(step) for step in attempt.steps]
    total = max(_cpu_of(attempt.job), sum(of_steps))
    has_samples = any(_peak_of(step) is not None for step in attempt.steps)
    is_told = any("totalcpu" in row or "tresusageintot" in row for row in (attempt.job, *attempt.steps))
    if not is_told or (not has_samples and (total == 0 or (state in _KILLED and total < 1))):
        return None
    return total


def _cpu_of(row: Row) -> float:
    sampled = _resources(row.get("tresusageintot", "")).get("cpu", "")
    return max(read_duration(row.get("totalcpu", "")) or 0.0, read_duration(sampled) or 0.0)


def _bytes_moved(steps: Iterable[Row]) -> int | None:
    texts = (step.get(name, "") for step in steps for name in ("tresusageintot", "tresusageouttot"))
    return sum(_size(_resources(text).get("fs/disk", "")) or 0 for text in texts) or None

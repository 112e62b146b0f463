"""Why a job ended before its workers connected, from its state and its log."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from simherd.errors import ClusterError
from simherd.schedulers import JobState, JobStatus

__all__ = ["end_of_log", "explain", "log_of", "shortage_in"]

LINES = 12
LATE_LINES = 300
"""How far from the end of a log the cause of a late end may stand."""
_SHORTAGE = (
    r"can't start new thread|failed to map segment|[Cc]annot allocate memory|MemoryError|std::bad_alloc"
    r"|(?:Thread creation|pthread_create) failed"
)
"""What programs write that get no more memory or threads, which a limit of address space causes early."""
_MORE_MEMORY = "ask for more memory, for 1 GiB per slot or more where it limits address space (h_vmem)."
_ACTIVATE = "let activation (section simherd of jobqueue.yaml) load the environment"
_CAUSES: tuple[tuple[re.Pattern[str], str, str], ...] = tuple(
    (re.compile(pattern), cause, fix)
    for pattern, cause, fix in (
        (
            r"No module named '?(simherd|dask|distributed)",
            "Python on the node finds no simherd",
            f"{_ACTIVATE} that has it, or give python=PATH of one that nodes see.",
        ),
        (
            r"versions of worker and client differ: .*?(?=\. Fix)",
            "the {0}",
            f"{_ACTIVATE} of the client, or give python=PATH.",
        ),
        (
            r"(python[\d.]*|bin/\S+): (No such file|command not found|not found|Permission denied)",
            "Python was not found on the node",
            "give python=PATH as nodes see it, or python=python where the prologue loads an environment.",
        ),
        (
            r"network interface|interface .* (not found|doesn't)|'[\w.]+' is not a valid network interface",
            "the node has no such network interface",
            "give another interface, or none.",
        ),
        (
            r"[Tt]imed out (during|trying|after)|Connection refused|No route|Cannot connect|failed to conn",
            "its worker could not reach the Dask scheduler",
            "give the interface that nodes can reach; else run in one job (simherd script --mode mpi).",
        ),
        (
            r"certificate|SSLError|SSL:",
            "the worker and the Dask scheduler do not trust each other",
            "let all nodes see the folder of the keys (XDG_STATE_HOME).",
        ),
        (
            _SHORTAGE,
            "it got no more memory or threads ({0})",
            _MORE_MEMORY,
        ),
        (
            r"A line of the prologue failed",
            "a line of its prologue failed, so the worker did not start",
            "mend the line, or let it fail with '|| true' (prologue; activation in jobqueue.yaml).",
        ),
        (
            r"[Oo]ut.?[Oo]f.?[Mm]emory|oom-kill|OOM",
            "it used more memory than it had asked for",
            "ask for more memory.",
        ),
    )
)
_STATES: Mapping[JobState, tuple[str, str]] = {
    JobState.OUT_OF_MEMORY: ("it used more memory than it had asked for", "ask for more memory."),
    JobState.TIMEOUT: ("its walltime was over", "ask for a longer walltime."),
    JobState.CANCELLED: ("somebody cancelled it", "run again; --resume goes on from what is done."),
    JobState.NODE_FAIL: ("its node failed", "run again; --resume goes on from what is done."),
}


def explain(status: JobStatus, scheduler: str, logs: Path) -> ClusterError:
    """Return the error for a job that ended without a worker.

    Parameters
    ----------
    status : JobStatus
        What became of it.
    scheduler : str
        The batch scheduler, for people.
    logs : Path
        Folder of its log.
    """
    log = log_of(status.job_id, logs)
    cause, fix = _cause(status, log)
    code = "" if status.exit_code is None else f", exit code {status.exit_code}"
    node = f" on {status.node}" if status.node else ""
    tail = end_of_log(log)
    said = f" The end of its log:{tail}\n" if tail else " It left no log."
    return ClusterError(
        f"Job {status.job_id} of {scheduler} ended{node} before a worker of it connected "
        f"({status.state.value}{code}): {cause}.{said}",
        fix=fix,
    )


def shortage_in(log: str) -> str:
    """Return what a log says of too little memory or threads, as a clause with its remedy; "" for nothing.

    Parameters
    ----------
    log : str
        What a job wrote after its workers had begun.
    """
    lines = [line for line in log.splitlines()[-LATE_LINES:] if re.search(_SHORTAGE, line)]
    return f"its log says {lines[-1].strip()!r}: {_MORE_MEMORY.removesuffix('.')}" if lines else ""


def end_of_log(log: str) -> str:
    """Return the last lines of a log for a message, each on a new line."""
    return "".join(f"\n    {line}" for line in log.splitlines()[-LINES:])


def _cause(status: JobStatus, log: str) -> tuple[str, str]:
    for pattern, cause, fix in _CAUSES:
        if found := pattern.search(log):
            return cause.format(found[0]), fix
    return _STATES.get(status.state, ("the reason is not known", "look at the log, and at the node."))


def log_of(job_id: str, logs: Path) -> str:
    """Return what a job wrote, as far as it can be found."""
    own = re.compile(rf"(?<!\d){re.escape(job_id)}(?!\d)")
    found = (path for path in logs.glob(f"*{job_id}*") if own.search(path.name) and path.suffix != ".sh")
    texts = []
    for path in sorted(found):
        try:
            texts.append(path.read_text(errors="replace"))
        except OSError:
            continue
    return "\n".join(text.strip() for text in texts if text.strip())

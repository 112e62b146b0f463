"""Sessions in words and as data."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from simherd.errors import SimherdError
from simherd.progress.words import format_duration
from simherd.sessions.record import log_of
from simherd.sessions.state import SessionState, State

__all__ = ["as_data", "ended", "table"]

SHOWN = 60
HEAD = ("name", "state", "age", "host", "progress", "runs")


def ended(found: SessionState) -> str:
    """Return how a session ended, in words."""
    if found.ending is None:
        return "killed, and nobody was left to say how"
    return f"exit code {found.ending.exit_code}"


def table(sessions: Sequence[SessionState]) -> Iterator[str]:
    """Yield a line for each session, below a head."""
    rows = [HEAD, *(_row(one) for one in sessions)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()


def _row(found: SessionState) -> tuple[str, ...]:
    session = found.session
    return (
        session.name,
        _state(found),
        format_duration(found.age_s),
        session.host,
        _progress_text(found),
        _what(found),
    )


def _state(found: SessionState) -> str:
    if found.state is State.FAILED and found.ending is not None:
        return f"failed ({found.ending.exit_code})"
    return found.state.value


def _what(found: SessionState) -> str:
    if found.session.cluster is not None:
        return f"cluster {found.session.cluster} (--cluster session:{found.session.name})"
    text = shlex.join(found.session.command)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def progress_of(found: SessionState) -> dict[str, Any] | None:
    """Return how far the run of a session is; None if it has no store, or none yet."""
    if found.session.store is None:
        return None
    from simherd.store.reading import read_state

    try:
        state = read_state(found.session.store)
    except (SimherdError, OSError):
        return None
    return {
        "simulations": state.simulations,
        "done": state.done,
        "failed": state.failed,
        "pending": state.pending,
        "seconds_left": state.seconds_left,
    }


def _progress_text(found: SessionState) -> str:
    progress = progress_of(found)
    if progress is None or not progress["simulations"]:
        return "-"
    failed = f", {progress['failed']} failed" if progress["failed"] else ""
    left = progress["seconds_left"]
    time_left = f", {format_duration(left)} left" if left and found.state.is_live else ""
    return f"{progress['done']} of {progress['simulations']}{failed}{time_left}"


def as_data(found: SessionState) -> dict[str, Any]:
    """Return what ``--json`` shows of a session."""
    session, processes, ending = found.session, found.processes, found.ending
    return {
        "name": session.name,
        "state": found.state.value,
        "exit_code": ending and ending.exit_code,
        "started": _iso(session.started),
        "ended": ending and _iso(ending.ended),
        "age_s": round(found.age_s, 3),
        "host": session.host,
        "pid": processes and processes.command,
        "command": list(session.command),
        "directory": session.directory,
        "log": str(log_of(session.name)),
        "in_tmux": session.socket is not None,
        "store": session.store,
        "progress": progress_of(found),
        "cluster": session.cluster,
    }


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")

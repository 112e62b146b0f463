"""What is written down about a session, in a folder of its own that only its user can enter."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from simherd.clusters.connection import sessions_folder

__all__ = [
    "Ending",
    "Hosted",
    "Processes",
    "Session",
    "folder_of",
    "log_of",
    "read_ending",
    "read_hosted",
    "read_processes",
    "read_session",
    "write",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """What a session was started with."""

    name: str
    """Its name."""
    command: tuple[str, ...]
    """What it runs."""
    directory: str
    """Where it runs."""
    host: str
    """Machine that it was started on."""
    started: float
    """When, in s since 1970."""
    socket: str | None
    """Name of its tmux socket; None without tmux."""
    store: str | None = None
    """Where the results of its run go, if it is one of simherd and has a store."""
    cluster: str | None = None
    """Kind of the cluster that it hosts; None if it runs a command of the user's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Processes:
    """The processes of a session: a number alone may be another process by now."""

    runner: int
    """The process that watches the command; its number is that of the session of processes, too."""
    runner_mark: str
    """When it began, see `simherd.process_marks.mark_of`."""
    command: int | None = None
    """The process that was started; None before."""
    command_mark: str = ""
    """When it began."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ending:
    """How the command of a session ended."""

    exit_code: int
    """Its exit code; 128 and the signal's number, as in shells, if a signal ended it."""
    ended: float
    """When, in s since 1970."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hosted:
    """The cluster that a session hosts."""

    kind: str
    """Its kind."""
    options: Mapping[str, Any]
    """Options of `simherd.open_client`."""
    config: str | None = None
    """Configuration file that was named; None for the usual ones."""


_FILES: Mapping[type[Any], str] = {
    Session: "session.json",
    Processes: "processes.json",
    Ending: "ending.json",
    Hosted: "cluster.json",
}
Record = TypeVar("Record", Session, Processes, Ending, Hosted)


def folder_of(name: str) -> Path:
    """Return the folder of a session."""
    return sessions_folder() / name


def log_of(name: str) -> Path:
    """Return the file that all goes to that the command of a session prints."""
    return folder_of(name) / "log"


def write(folder: Path, record: Session | Processes | Ending | Hosted) -> None:
    """Write a record into the folder of a session, whole or not at all."""
    path = folder / _FILES[type(record)]
    unfinished = path.with_suffix(f".{os.getpid()}.partial")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(asdict(record), file)
    unfinished.replace(path)


def _read(folder: Path, kind: type[Record]) -> Record | None:
    try:
        return kind(**json.loads((folder / _FILES[kind]).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def read_session(folder: Path) -> Session | None:
    """Return what a session was started with; None if that is not there, or no record."""
    found = _read(folder, Session)
    return found and replace(found, command=tuple(found.command))


def read_processes(folder: Path) -> Processes | None:
    """Return the processes of a session; None before they are there."""
    return _read(folder, Processes)


def read_ending(folder: Path) -> Ending | None:
    """Return how a session ended; None before, and where nobody was left to write it."""
    return _read(folder, Ending)


def read_hosted(folder: Path) -> Hosted | None:
    """Return the cluster that a session is to host; None for a command."""
    return _read(folder, Hosted)

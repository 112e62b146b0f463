"""How a cluster that lives in a session is reached: a file that only its user can read."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from simherd.errors import SessionError
from simherd.private import private_folder, state_folder

__all__ = [
    "Connection",
    "check_session_name",
    "connection_file",
    "read_connection",
    "remove_connection",
    "sessions_folder",
    "write_connection",
]

FOLDER = "sessions"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Connection:
    """Where the Dask scheduler of a session is, and what it takes to reach it."""

    address: str
    """Address of the Dask scheduler."""
    scheduler_id: str
    """What it calls itself: another one may listen at its address later."""
    kind: str
    """Kind of its cluster."""
    host: str
    """Machine that it runs on."""
    pid: int
    """Its operating-system process there."""
    dashboard: str = ""
    """Address of its dashboard, as seen from its machine; "" without one."""
    security: Mapping[str, str] | None = field(default=None, repr=False)
    """Keyword arguments of `distributed.Security`, with the PEM texts themselves; None without TLS."""


def sessions_folder() -> Path:
    """Return the folder in which sessions keep what they know."""
    return state_folder() / FOLDER


def check_session_name(name: str) -> None:
    """Raise an error if a session cannot be called so.

    Raises
    ------
    SessionError
        If so.
    """
    if not NAME.fullmatch(name):
        raise SessionError(
            f"A session cannot be called {name!r}: letters, digits, '-' and '_' are allowed, 64 at most, and "
            "a letter or digit comes first.",
            fix="choose another name.",
        )


def connection_file(name: str) -> Path:
    """Return where the connection file of a session is.

    Raises
    ------
    SessionError
        If there can be no session of that name.
    """
    check_session_name(name)
    return sessions_folder() / name / "connection.json"


def write_connection(name: str, connection: Connection) -> None:
    """Write the connection file of a session, whole or not at all, readable by its user only."""
    path = connection_file(name)
    private_folder(FOLDER, name)
    unfinished = path.with_suffix(".partial")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(asdict(connection), file)
    unfinished.replace(path)


def remove_connection(name: str) -> None:
    """Remove the connection file of a session."""
    connection_file(name).unlink(missing_ok=True)


def read_connection(name: str) -> Connection:
    """Read the connection file of a session.

    Raises
    ------
    SessionError
        If there is none, or others could have written it: who connects runs what the scheduler sends.
    """
    path = connection_file(name)
    try:
        with path.open() as file:
            _check_is_private(path, os.fstat(file.fileno()))
            return Connection(**json.load(file))
    except FileNotFoundError as error:
        raise _no_connection(name, path) from error
    except (OSError, ValueError, TypeError) as error:
        raise SessionError(
            f"Cannot read the connection file {str(path)!r} of session {name!r}: {error}.",
            fix=f"stop the session ('simherd session stop {name}') and start it again.",
        ) from error


def _check_is_private(path: Path, stat: os.stat_result) -> None:
    if stat.st_uid != os.getuid() or stat.st_mode & 0o077:
        raise SessionError(
            f"The connection file {str(path)!r} is not trusted: others than its user can read or write it "
            f"(mode {stat.st_mode & 0o777:o}, owner {stat.st_uid}).",
            fix="stop the session and start it again.",
        )


def _no_connection(name: str, path: Path) -> SessionError:
    if not path.parent.is_dir():
        return SessionError(
            f"There is no session {name!r} (looked in {str(path.parents[1])!r}).",
            fix=f"'simherd session list' shows all, 'simherd session start {name} --cluster KIND' starts it.",
        )
    return SessionError(
        f"The session {name!r} has no cluster that runs can use: it is still starting, hosts none, or ended.",
        fix=f"'simherd session list' shows its state, 'simherd session logs {name}' what it said.",
    )

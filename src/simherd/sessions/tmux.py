"""The few commands of tmux that sessions need, each session on a socket of its own.

A tmux server keeps the environment, the limits and the control group of whoever started it: sessions that
shared one would get those of the first.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from simherd.clusters.connection import sessions_folder
from simherd.errors import SessionError

__all__ = ["attach_arguments", "environment", "is_installed", "kill_server", "open_window", "socket_for"]

TIMEOUT_S = 20.0
SOCKETS = Path("/tmp")
"""Where tmux has its folder of sockets, without TMUX_TMPDIR."""
WIDTH, HEIGHT = "200", "50"


def is_installed() -> bool:
    """Return whether tmux is there."""
    return shutil.which("tmux") is not None


def socket_for(name: str) -> str:
    """Return the name of a session's socket; sessions of another state folder have others."""
    folder, usual = sessions_folder(), Path.home() / ".local" / "state" / "simherd" / "sessions"
    mark = "" if folder == usual else f"-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:8]}"
    return f"simherd{mark}-{name}"


def environment() -> dict[str, str]:
    """Return the environment for tmux: always the same folder of sockets, and not nested in another."""
    return {
        name: value for name, value in os.environ.items() if name not in ("TMUX", "TMUX_PANE", "TMUX_TMPDIR")
    }


def open_window(socket: str, name: str, directory: str, command: Sequence[str]) -> None:
    """Start a tmux server with one session that runs a command.

    Raises
    ------
    SessionError
        If tmux does not start.
    """
    place = ["new-session", "-d", "-s", name, "-x", WIDTH, "-y", HEIGHT, "-c", directory]
    done = _run(socket, *place, *command)
    if done.returncode:
        said = done.stderr.strip() or f"exit code {done.returncode}"
        raise SessionError(
            f"Cannot start tmux for session {name!r}: {said}.",
            fix="'--no-tmux' runs it without.",
        )


def attach_arguments(socket: str, name: str) -> list[str]:
    """Return the command that shows a session in this terminal."""
    return ["tmux", "-L", socket, "attach-session", "-t", f"={name}"]


def kill_server(socket: str) -> None:
    """End the tmux server of a session, if it is still there, and remove its socket: tmux leaves it."""
    if is_installed():
        _run(socket, "kill-server")
        (SOCKETS / f"tmux-{os.getuid()}" / socket).unlink(missing_ok=True)


def _run(socket: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    # -f: a user's own configuration may bind other keys than those we name, or start plugins
    command = ["tmux", "-L", socket, "-f", os.devnull, *arguments]
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, env=environment(), check=False
        )
    except subprocess.TimeoutExpired as error:
        raise SessionError(
            f"tmux did not answer within {TIMEOUT_S:g} s ({' '.join(command[:4])}).",
            fix="'--no-tmux' runs a session without.",
        ) from error

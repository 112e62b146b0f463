"""Starting a session."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from simherd.clusters.connection import FOLDER, check_session_name, sessions_folder
from simherd.errors import SessionError
from simherd.private import private_folder
from simherd.sessions import tmux
from simherd.sessions.control import state_in
from simherd.sessions.record import (
    Hosted,
    Session,
    folder_of,
    read_ending,
    read_processes,
    read_session,
    write,
)
from simherd.sessions.state import State

__all__ = ["Request", "start"]

PATIENCE_S = 30.0
"""Time that the runner may take to say that it is there."""
LOOK_S = 0.05
PREVIOUS = "log.previous"


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A session that is to be started."""

    name: str
    """Its name."""
    command: tuple[str, ...]
    """What it runs."""
    store: str | None = None
    """Where the results of its run go, if it is one of simherd and has a store."""
    hosted: Hosted | None = None
    """The cluster that the command is to host."""
    in_tmux: bool = True
    """Whether it gets a terminal that one can attach to."""


def start(request: Request) -> Session:
    """Start a session, which goes on when this process and its terminal are gone.

    Parameters
    ----------
    request : Request
        What it runs. What is left of an ended session of the same name is replaced, but for its log.

    Returns
    -------
    Session
        Its runner has begun.

    Raises
    ------
    SessionError
        If the name is not allowed or in use, the command is not there, or the runner does not begin.
    """
    check_session_name(request.name)
    _check_command(request)
    private_folder(FOLDER)
    session = _session(request)
    folder = folder_of(request.name)
    with _alone(sessions_folder()):
        _refuse_if_live(request.name, folder)
        _prepare(folder, session, request.hosted)
        runner = [sys.executable, "-P", "-m", "simherd.sessions.runner", str(folder)]
        end = _open(session, runner)
    if not _has_begun(folder):
        end()  # else its command might begin later, after all
        raise SessionError(
            f"Session {session.name!r} did not begin within {PATIENCE_S:g} s.",
            fix="look at the load of this machine, or run it without tmux ('--no-tmux').",
        )
    return session


def _open(session: Session, runner: list[str]) -> Callable[[], None]:
    """Start the runner of a session, and return what ends it."""
    if session.socket is None:
        return _detach(runner, session.directory).kill
    tmux.kill_server(session.socket)  # one whose runner is dead keeps the name
    tmux.open_window(session.socket, session.name, session.directory, runner)
    return partial(tmux.kill_server, session.socket)


def _session(request: Request) -> Session:
    return Session(
        name=request.name,
        command=request.command,
        directory=os.getcwd(),
        host=socket.gethostname(),
        started=time.time(),
        socket=tmux.socket_for(request.name) if request.in_tmux else None,
        store=request.store,
        cluster=None if request.hosted is None else request.hosted.kind,
    )


def _check_command(request: Request) -> None:
    if not request.command or shutil.which(request.command[0]) is None:
        found = repr(request.command[0]) if request.command else "nothing"
        raise SessionError(
            f"Cannot start session {request.name!r}: there is no command {found}.",
            fix="give a command that can be run from here, after '--'.",
        )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one session start at a time; where files cannot be locked nobody waits."""
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _refuse_if_live(name: str, folder: Path) -> None:
    before = read_session(folder)
    if before is None:
        return
    state = state_in(folder, before).state
    if state is State.ELSEWHERE:
        raise SessionError(
            f"A session {name!r} was started on {before.host} and has not ended, as far as one can see from "
            f"{socket.gethostname()}.",
            fix=f"choose another name, or on {before.host} run 'simherd session stop {name}'. If that "
            f"machine is gone: 'simherd session remove {name} --force'.",
        )
    if state.is_live:
        raise SessionError(
            f"A session {name!r} is {state.value} already.",
            fix=f"choose another name, or stop it first: 'simherd session stop {name}'.",
        )


def _prepare(folder: Path, session: Session, hosted: Hosted | None) -> None:
    private_folder(FOLDER, session.name)
    for path in folder.iterdir():
        if path.name == "log":
            path.replace(folder / PREVIOUS)
        elif path.name != PREVIOUS:
            path.unlink()
    os.close(os.open(folder / "log", os.O_WRONLY | os.O_CREAT, 0o600))
    if hosted is not None:
        write(folder, hosted)
    write(folder, session)


def _detach(runner: list[str], directory: str) -> subprocess.Popen[bytes]:
    """Start the runner in a session of processes of its own, which no terminal can end."""
    return subprocess.Popen(
        runner,
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _has_begun(folder: Path) -> bool:
    """Wait until the runner has started the command; return whether it has, within the time."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        processes = read_processes(folder)
        if read_ending(folder) is not None or (processes is not None and processes.command is not None):
            return True
        time.sleep(LOOK_S)
    return False

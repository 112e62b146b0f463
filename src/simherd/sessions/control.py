"""Finding sessions, and ending them."""

from __future__ import annotations

import shutil
import signal
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from simherd.clusters.connection import check_session_name, sessions_folder
from simherd.errors import SessionError, close_matches
from simherd.process_marks import is_alive, mark_of
from simherd.sessions import tmux
from simherd.sessions.processes import members_of, send
from simherd.sessions.record import (
    Ending,
    Processes,
    Session,
    folder_of,
    read_ending,
    read_processes,
    read_session,
    write,
)
from simherd.sessions.state import SessionState, State, judge

__all__ = [
    "Members",
    "attach_command",
    "find",
    "kill",
    "list_all",
    "remove",
    "request_stop",
    "state_in",
    "wait_until_over",
]

LOOK_S = 0.1
ENDING_S = 5.0
"""Time that the runner may take to write down how a command that was killed ended."""
KILLED = 128 + signal.SIGKILL


def state_in(folder: Path, session: Session) -> SessionState:
    """Return the state of the session that a folder holds."""
    processes, ending = read_processes(folder), read_ending(folder)
    is_here = session.host == socket.gethostname()
    lives = None if processes is None else _lives(processes)
    if ending is None and lives is False:
        ending = read_ending(folder)  # it may have ended between the two
    state = judge(session, ending, is_here, lives, time.time() - session.started)
    return SessionState(session=session, state=state, processes=processes, ending=ending)


def _lives(processes: Processes) -> bool:
    return is_alive(processes.runner, processes.runner_mark) or is_alive(
        processes.command, processes.command_mark
    )


def list_all() -> list[SessionState]:
    """Return all sessions of this user, oldest first."""
    folder = sessions_folder()
    folders = [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    found = [state_in(path, session) for path in folders if (session := read_session(path)) is not None]
    return sorted(found, key=lambda one: one.session.started)


def find(name: str) -> SessionState:
    """Return a session.

    Raises
    ------
    SessionError
        If there is none of that name.
    """
    check_session_name(name)
    session = read_session(folder_of(name))
    if session is None:
        known = [one.session.name for one in list_all()]
        close = f" {close_matches(name, known)}" if known else ""
        raise SessionError(f"There is no session {name!r}.{close}", fix="'simherd session list' shows all.")
    return state_in(folder_of(name), session)


def attach_command(found: SessionState) -> list[str]:
    """Return the command that shows a session in this terminal.

    Raises
    ------
    SessionError
        If it has ended, lives on another machine, or runs without tmux.
    """
    name = found.session.name
    _check_is_here(found, "attach")
    if not found.state.is_live:
        raise SessionError(
            f"Session {name!r} has ended.", fix=f"'simherd session logs {name}' shows what it said."
        )
    if found.session.socket is None:
        raise SessionError(
            f"Session {name!r} runs without tmux, in no terminal that could be shown.",
            fix=f"'simherd session logs {name} --follow' shows what it says.",
        )
    return tmux.attach_arguments(found.session.socket, name)


def _check_is_here(found: SessionState, verb: str) -> None:
    if found.state is State.ELSEWHERE:
        session = found.session
        raise SessionError(
            f"Session {session.name!r} lives on {session.host}; this is {socket.gethostname()}.",
            fix=f"there run 'simherd session {verb} {session.name}' (ssh -t {session.host}).",
        )


@dataclass(frozen=True, slots=True)
class Members:
    """Processes that a session has started, each with what tells it from a later one of its number."""

    marks: dict[int, str]
    """Marks by process number."""

    def alive(self) -> list[int]:
        """Return those that live."""
        return [process for process, mark in self.marks.items() if is_alive(process, mark)]


def _members(processes: Processes | None) -> Members:
    members = set() if processes is None else members_of(processes)
    return Members({process: mark for process in members if (mark := mark_of(process)) is not None})


def request_stop(found: SessionState) -> Members:
    """Tell the command of a session to end, as a batch scheduler does (SIGTERM).

    Returns
    -------
    Members
        All that the session has started.

    Raises
    ------
    SessionError
        If it lives on another machine.
    """
    _check_is_here(found, "stop")
    processes = found.processes
    members = _members(processes)
    if processes is not None and processes.command in members.marks:
        send(processes.command, signal.SIGTERM)
    return members


def wait_until_over(found: SessionState, members: Members, timeout_s: float) -> bool:
    """Wait until a session and all that it started have ended.

    What is left when the command has ended is told to end as well.

    Returns
    -------
    bool
        Whether they have, within the time.
    """
    deadline = time.monotonic() + timeout_s
    told: set[int] = set()
    while members.alive() or find(found.session.name).state.is_live:
        if time.monotonic() >= deadline:
            return False
        if found.processes is None or found.processes.command not in members.alive():
            for process in set(members.alive()) - told:
                send(process, signal.SIGTERM)
                told.add(process)
        time.sleep(LOOK_S)
    return True


def kill(found: SessionState, members: Members) -> None:
    """End at once what a session has started, and the session itself."""
    for process in {*_members(found.processes).alive(), *members.alive()}:
        send(process, signal.SIGKILL)
    runner = found.processes
    is_over = wait_until_over(found, members, ENDING_S)
    if not is_over and runner is not None and is_alive(runner.runner, runner.runner_mark):
        send(runner.runner, signal.SIGKILL)
    if found.session.socket is not None:
        tmux.kill_server(found.session.socket)
    folder = folder_of(found.session.name)
    if read_ending(folder) is None:
        write(folder, Ending(exit_code=KILLED, ended=time.time()))
    (folder / "connection.json").unlink(missing_ok=True)


def remove(found: SessionState, force: bool = False) -> None:
    """Forget a session that has ended, with its log.

    Parameters
    ----------
    found : SessionState
        The session.
    force : bool, optional
        Forget one of another machine too, whatever became of it there.

    Raises
    ------
    SessionError
        If it has not ended.
    """
    if found.state.is_live and not (force and found.state is State.ELSEWHERE):
        _check_is_here(found, "remove")
        name = found.session.name
        raise SessionError(
            f"Session {name!r} is {found.state.value}.", fix=f"'simherd session stop {name}' first."
        )
    shutil.rmtree(folder_of(found.session.name))

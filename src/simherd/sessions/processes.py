"""Operating-system processes of a session: which they are, how they are ended."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress

import psutil

from simherd.process_marks import is_alive, mark_of
from simherd.sessions.record import Processes

__all__ = ["members_of", "send"]


def members_of(processes: Processes) -> set[int]:
    """Return all processes that the command of a session started, itself included, that live.

    They share the session of processes (``setsid``) that the runner leads, or descend from the command.
    """
    if not (is_alive(processes.runner, processes.runner_mark) or _is_command_alive(processes)):
        return set()
    return {*_in_session(processes.runner), *_descendants(processes)} - {processes.runner}


def _is_command_alive(processes: Processes) -> bool:
    return is_alive(processes.command, processes.command_mark)


def _in_session(leader: int) -> Iterator[int]:
    for process in psutil.pids():
        with suppress(OSError):
            if os.getsid(process) == leader and mark_of(process) is not None:
                yield process


def _descendants(processes: Processes) -> Iterator[int]:
    if processes.command is not None and _is_command_alive(processes):
        yield processes.command
        with suppress(psutil.Error):
            for child in psutil.Process(processes.command).children(recursive=True):
                yield child.pid


def send(process: int, number: signal.Signals) -> None:
    """Send a signal to a process, which may have ended."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(process, number)

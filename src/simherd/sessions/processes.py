"""Operating-system processes of a session: which they are, whether they live, how they are ended."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from simherd.sessions.record import Processes

__all__ = ["is_alive", "mark_of", "members_of", "send"]

BOOT = Path("/proc/sys/kernel/random/boot_id")
STATE_FIELD, START_FIELD = 0, 19


def mark_of(process: int) -> str | None:
    """Return what tells a process from a later one of the same number; None if there is none.

    On Linux that is the boot and the tick of its start, which no change of the clock moves.
    """
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return None if fields[STATE_FIELD] in "ZX" else f"{BOOT.read_text().strip()} {fields[START_FIELD]}"
    except OSError:
        return None if Path("/proc/self/stat").exists() else _portable_mark(process)


def _portable_mark(process: int) -> str | None:
    try:
        found = psutil.Process(process)
        return None if found.status() == psutil.STATUS_ZOMBIE else str(found.create_time())
    except psutil.Error:
        return None


def is_alive(process: int | None, mark: str) -> bool:
    """Return whether a process lives and is still the same."""
    return process is not None and mark_of(process) == mark


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

"""Programs that a simulation or worker started: found, and ended.

On Linux only: elsewhere none are found. Imports nothing but the standard library, for the warden.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

__all__ = ["Programs", "descendants", "end_all", "marked", "now_ticks", "of_thread", "send", "still_there"]

Programs: TypeAlias = dict[int, int]
"""Processes by number, each with its start in ticks since boot: numbers are used again."""

PROC = Path("/proc")
STATE, PARENT, START = 0, 1, 19
"""Fields of /proc/PID/stat that follow the command."""
GRACE_S = 0.5
LOOK_S = 0.02
ROUNDS = 50


def of_thread(thread: int) -> Programs:
    """Return the programs that a thread of this process started, and what these started in turn.

    Parameters
    ----------
    thread : int
        Number that the operating system gives it.
    """
    try:
        children = (PROC / f"self/task/{thread}/children").read_bytes().split()
    except OSError:  # another operating system
        return {}
    return _with_descendants({int(child) for child in children}) if children else {}


def descendants(process: int) -> Programs:
    """Return the programs that a process started, and what these started in turn."""
    found = _with_descendants({process})
    found.pop(process, None)
    return found


def _with_descendants(found: set[int]) -> Programs:
    there = dict(_stats())
    while more := {one for one, fields in there.items() if int(fields[PARENT]) in found} - found:
        found = found | more
    return {process: int(there[process][START]) for process in found & there.keys()}


def marked(mark: str, since: int = 0) -> Programs:
    """Return the processes of this user with a text in their environment, or in the name of a file they map.

    The first is so for programs started by a process that set it, also in sessions of their own; the second
    for its forks.

    Parameters
    ----------
    mark : str
        The text.
    since : int, optional
        Leave out those that started earlier, in ticks since boot.
    """
    young = {process: int(fields[START]) for process, fields in _stats() if int(fields[START]) >= since}
    return {process: start for process, start in young.items() if _is_marked(process, mark.encode())}


def _is_marked(process: int, mark: bytes) -> bool:
    for file in ("environ", "maps"):
        with suppress(OSError):  # it has ended
            if mark in (PROC / f"{process}/{file}").read_bytes():
                return True
    return False


def now_ticks() -> int:
    """Return the time since boot, in ticks."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return int(time.clock_gettime(clock) * os.sysconf("SC_CLK_TCK"))


def still_there(programs: Programs) -> Programs:
    """Return those of some programs that have not ended."""
    there = {process: int(fields[START]) for process, fields in _stats()}
    return {process: start for process, start in programs.items() if there.get(process) == start}


def _stats() -> Iterator[tuple[int, list[str]]]:
    """Yield what the kernel says of each process of this user that has not ended."""
    with suppress(OSError):
        for name in filter(str.isdigit, os.listdir(PROC)):
            with suppress(OSError):
                if (PROC / name).stat().st_uid == os.geteuid():
                    text = (PROC / name / "stat").read_text(errors="replace")
                    fields = text.rpartition(")")[2].split()  # the command may hold anything
                    if fields[STATE] not in "ZX":
                        yield int(name), fields


def send(programs: Programs, number: int) -> None:
    """Send a signal to programs that may have ended."""
    for process in programs:
        with suppress(OSError):
            os.kill(process, number)


def end_all(find: Callable[[], Programs]) -> None:
    """Ask programs to end, and end those that do not within half a second, until none is found."""
    asked: Programs = {}
    deadline = time.monotonic() + GRACE_S
    while (found := find()) and time.monotonic() < deadline:
        send({process: start for process, start in found.items() if process not in asked}, signal.SIGTERM)
        asked |= found
        time.sleep(LOOK_S)
    for _ in range(ROUNDS):
        if not found:
            return
        send(found, signal.SIGKILL)
        time.sleep(LOOK_S)
        found = find()

"""Telling a process of this machine from a later one that has the same number."""

from __future__ import annotations

from pathlib import Path

import psutil

__all__ = ["is_alive", "mark_of"]

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

"""Telling a process from a later one, or one of another machine or container, that has the same number."""

from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path

import psutil

__all__ = ["boot_here", "is_alive", "mark_of", "namespace_here", "place_here"]

BOOT = Path("/proc/sys/kernel/random/boot_id")
STATE_FIELD, START_FIELD = 0, 19


def mark_of(process: int) -> str | None:
    """Return what tells a process from a later one of the same number; None if there is none.

    On Linux that is the boot and the tick of its start, which no change of the clock moves.
    """
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return None if fields[STATE_FIELD] in "ZX" else f"{boot_here()} {fields[START_FIELD]}"
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


def boot_here() -> str:
    """Return what tells this boot of the machine from others; "" where the system does not say."""
    try:
        return BOOT.read_text().strip()
    except OSError:
        return ""


def namespace_here() -> str:
    """Return the process namespace of this process, such as that of its container; "" without any."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def place_here() -> str:
    """Return a short word for machine, boot and process namespace, in which a process has its number."""
    words = (socket.gethostname(), boot_here(), namespace_here())
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:12]

"""Cores, memory, threads and scratch space that simulations have here."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil

from simherd.doctor.finding import Finding, Verdict
from simherd.resources import core_limits, format_bytes, memory_limits
from simherd.threads import GUARD_VARIABLES

__all__ = ["look", "look_at_cores", "look_at_memory", "look_at_scratch", "look_at_threads"]

LITTLE = 2**30
"""Scratch space below which workers soon have none, in bytes."""
IN_MEMORY = {"tmpfs", "ramfs"}
SHARED = {"nfs", "nfs4", "lustre", "gpfs", "beegfs", "cifs", "fuse.sshfs", "afs", "ceph", "panfs"}


def look() -> Iterator[Finding]:
    """Yield what simulations have here."""
    yield look_at_cores(os.cpu_count() or 1, core_limits())
    yield look_at_memory(memory_limits())
    cores = max(1, min(core_limits().values()))
    yield look_at_threads({name: os.environ[name] for name in GUARD_VARIABLES if name in os.environ}, cores)
    folder = tempfile.gettempdir()
    yield look_at_scratch(folder, shutil.disk_usage(folder).free, _file_system(Path(folder)))


def look_at_cores(machine: int, limits: Mapping[str, int]) -> Finding:
    """Return how many cores are usable, and what keeps it from being all."""
    usable = max(1, min(limits.values()))
    data = {"usable": usable, "machine": machine, "limits": dict(limits)}
    if usable >= machine:
        return Finding(topic="cores", text=f"{usable} usable: all of this machine", data=data)
    by = ", ".join(name for name, limit in limits.items() if limit == min(limits.values()))
    text = f"{usable} usable of {machine} that the machine has: limited by {by}"
    return Finding(topic="cores", text=text, verdict=Verdict.NOTE, data=data)


def look_at_memory(limits: Mapping[str, int]) -> Finding:
    """Return how much memory is usable, and what keeps it from being all."""
    usable = min(limits.values())
    data = {"usable": usable, "limits": dict(limits)}
    by = ", ".join(name for name, limit in limits.items() if limit == usable)
    if limits.get("machine") == usable:
        return Finding(topic="memory", text=f"{format_bytes(usable)} usable: all of this machine", data=data)
    whole = f" of {format_bytes(limits['machine'])}" if "machine" in limits else ""
    text = f"{format_bytes(usable)} usable{whole}: limited by {by}"
    return Finding(topic="memory", text=text, verdict=Verdict.NOTE, data=data)


def look_at_threads(given: Mapping[str, str], cores: int) -> Finding:
    """Return what the environment says to numerical libraries; workers get values of their own."""
    if not given:
        text = "no variable of numerical libraries is set; workers get 1 for each simulation"
        return Finding(topic="threads", text=text, data={"variables": {}})
    many = {name: value for name, value in given.items() if not value.isdigit() or int(value) > cores}
    shown = ", ".join(f"{name}={value}" for name, value in given.items())
    if not many:
        return Finding(topic="threads", text=shown, data={"variables": dict(given)})
    return Finding(
        topic="threads",
        verdict=Verdict.NOTE,
        text=f"{shown}: more than the {cores} usable cores, or no number, in {', '.join(many)}",
        fix=f"unset {' '.join(many)}; the workers of simherd are guarded from it, other programs are not.",
        data={"variables": dict(given)},
    )


def _file_system(folder: Path) -> str:
    """Return the type of file system that a folder is on; "" if unknown."""
    mounts = {Path(part.mountpoint): part.fstype for part in psutil.disk_partitions(all=True)}
    resolved = folder.resolve()
    for place in (resolved, *resolved.parents):
        if place in mounts:
            return str(mounts[place])
    return ""


def look_at_scratch(folder: str, free: int, file_system: str) -> Finding:
    """Return where workers put what does not fit into memory, and what that place is."""
    data = {"folder": folder, "free": free, "file_system": file_system}
    on = f" on {file_system}" if file_system else ""
    text = f"{folder}: {format_bytes(free)} free{on}"
    fix = "give local_directory, or let TMPDIR name a folder on a disk of this machine."
    if free < LITTLE:
        return Finding(
            topic="scratch", verdict=Verdict.WRONG, text=f"{text}, which is little", fix=fix, data=data
        )
    if file_system in IN_MEMORY:
        text += ": what is put there takes memory"
    elif file_system in SHARED:
        text += ": it is shared with other machines and slow"
    else:
        return Finding(topic="scratch", text=text, data=data)
    return Finding(topic="scratch", verdict=Verdict.NOTE, text=text, fix=fix, data=data)

"""Lets the n-th system call of a kind fail, or end the process, in processes that this one forks.

Files are written by Python, by Zarr and by the C library of compressors. What stands between all of them
and the system is the C library: ``inject.c`` is loaded before it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CALLS", "FAULTS", "Fault", "arm", "begin_with_injection", "count_calls"]

SOURCE = Path(__file__).with_name("inject.c")
LIBRARY = "SIMHERD_FAULTS_LIBRARY"
CALLS = ("rename", "fsync", "write", "mkdir", "open", "unlink")
"""Kinds of calls, in the order of ``enum kind``."""
FAULTS = {
    "SIGKILL": (0, False),
    "EIO": (errno.EIO, False),
    "ENOSPC": (errno.ENOSPC, True),
    "EMFILE": (errno.EMFILE, True),
}
"""Error of each fault, 0 for a kill, and whether it lasts: a full disk stays full until the run has ended."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """What happens to a run."""

    name: str
    """One of `FAULTS`."""
    call: str
    """One of `CALLS`."""
    number: int
    """At which of these calls, from 1."""

    def __str__(self) -> str:
        return f"{self.name} at {self.call} {self.number}"


def begin_with_injection() -> None:
    """Start this program again with the library loaded, unless it is."""
    if LIBRARY in os.environ:
        os.unlink(os.environ.pop(LIBRARY))
        return
    descriptor, library = tempfile.mkstemp(suffix=".so")
    os.close(descriptor)
    build = ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-o", library, str(SOURCE), "-ldl"]
    try:
        subprocess.run(build, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        os.unlink(library)
        sys.exit(f"A C compiler is needed to inject faults: {error}")
    os.environ |= {LIBRARY: library, "LD_PRELOAD": library}
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def arm(folder: Path, fault: Fault | None) -> None:
    """Count the calls of this process that concern a folder from now on, and let a fault happen to one."""
    library = ctypes.CDLL(None)
    library.inject_watch(os.fsencode(folder))
    if fault is not None:
        error, lasts = FAULTS[fault.name]
        library.inject_arm(CALLS.index(fault.call), ctypes.c_long(fault.number), error, lasts)


def count_calls() -> dict[str, int]:
    """Return how many calls of each kind this process has made since `arm`."""
    library = ctypes.CDLL(None)
    library.inject_count.restype = ctypes.c_long
    return {call: library.inject_count(number) for number, call in enumerate(CALLS)}

"""What this process may really use: cores, and sizes of memory as texts."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TypeGuard

from simherd.errors import ClusterOptionError

__all__ = ["format_bytes", "is_count", "parse_bytes", "usable_cores"]

_UNITS = {
    "": 1,
    "b": 1,
    **{f"{p}b": 1000**n for n, p in enumerate("kmgtp", start=1)},
    **{f"{p}ib": 1024**n for n, p in enumerate("kmgtp", start=1)},
    **{p: 1024**n for n, p in enumerate("kmgtp", start=1)},
}
_SIZE = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)\s*", re.IGNORECASE)
_CGROUP_FILES = (
    (Path("/sys/fs/cgroup/cpu.max"), None),
    (
        Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"),
        Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us"),
    ),
)


def usable_cores() -> int:
    """Return the cores that this process may use: at least 1.

    The smallest of what affinity, the control group's quota and the batch scheduler allow; a machine's
    own count is an upper bound only.
    """
    limits = [_affinity(), _cgroup_quota(), *_scheduler_counts()]
    return max(1, min(limit for limit in limits if limit is not None))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cgroup_quota() -> int | None:
    for quota_file, period_file in _CGROUP_FILES:
        try:
            words = quota_file.read_text().split()
            if period_file is not None:
                words += period_file.read_text().split()
            quota, period = (int(word) for word in words)
        except (OSError, ValueError):
            continue
        if quota > 0:
            return max(1, quota // period)
    return None


def _scheduler_counts() -> list[int]:
    names = ("SLURM_CPUS_PER_TASK", "NSLOTS", "PBS_NUM_PPN", "LSB_DJOB_NUMPROC")
    return [int(value) for name in names if (value := os.environ.get(name, "")).isdigit()]


def is_count(value: object, least: int) -> TypeGuard[int]:
    """Return whether a value is a whole number of at least `least`; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def parse_bytes(text: str | int) -> int:
    """Return a size of memory in bytes.

    ``"48GB"`` is 48 · 1000³, ``"48GiB"`` and the schedulers' ``"48G"`` are 48 · 1024³; spaces do not
    matter.

    Raises
    ------
    ClusterOptionError
        If the text is no size, or not above zero.
    """
    found = _SIZE.fullmatch(str(text))
    if not found or found[2].lower() not in _UNITS or float(found[1]) <= 0:
        raise ClusterOptionError(
            f"{text!r} is not a size of memory.", fix="write for instance '4 GiB' or '500 MB'."
        )
    return int(float(found[1]) * _UNITS[found[2].lower()])


def format_bytes(nbytes: float) -> str:
    """Return a size for people, such as ``"12.3 MiB"``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if nbytes < 1024:
            return f"{nbytes:.0f} {unit}" if unit == "B" else f"{nbytes:.1f} {unit}"
        nbytes /= 1024
    return f"{nbytes:.1f} TiB"

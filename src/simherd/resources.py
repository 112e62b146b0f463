"""What this process may really use: cores, and sizes of memory and walltimes as texts."""

from __future__ import annotations

import math
import operator
import os
import re
from typing import TypeGuard

from simherd.control_groups import cores_allowed, memory_allowed
from simherd.errors import ClusterOptionError

__all__ = [
    "core_limits",
    "format_bytes",
    "format_walltime",
    "is_count",
    "memory_limits",
    "parse_bytes",
    "parse_job_memory",
    "parse_walltime",
    "usable_cores",
    "usable_memory",
]

LEAST_MEMORY = 64 * 1024**2
"""Memory in bytes below which no worker starts."""

_UNITS = {
    "": 1,
    "b": 1,
    **{f"{p}b": 1000**n for n, p in enumerate("kmgtp", start=1)},
    **{f"{p}ib": 1024**n for n, p in enumerate("kmgtp", start=1)},
    **{p: 1024**n for n, p in enumerate("kmgtp", start=1)},
}
_SIZE = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)\s*", re.IGNORECASE)
_CORE_VARIABLES = ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE", "NSLOTS", "PBS_NUM_PPN", "LSB_DJOB_NUMPROC")
_WALLTIME = re.compile(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?")
_READINGS = {
    (60,): "minutes",
    (1,): "seconds",
    (60, 1): "minutes and seconds",
    (3600, 60): "hours and minutes",
    (3600, 60, 1): "hours, minutes and seconds",
}
"""Units of the numbers of a walltime in s, and their names."""


def usable_cores() -> int:
    """Return the cores that this process may use: at least 1.

    The smallest of what affinity, the control group's quota and the batch scheduler allow; a machine's
    own count is an upper bound only.
    """
    return max(1, min(core_limits().values()))


def core_limits() -> dict[str, int]:
    """Return what limits the cores of this process: numbers by who sets them."""
    limits = {"affinity": _affinity(), "control group": cores_allowed(), **_scheduler_counts()}
    return {name: limit for name, limit in limits.items() if limit is not None}


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _scheduler_counts() -> dict[str, int | None]:
    names = [*_CORE_VARIABLES, *(["NCPUS"] if "PBS_JOBID" in os.environ else [])]
    return {name: _count(name) for name in names}


def _count(variable: str) -> int | None:
    value = os.environ.get(variable, "")
    return int(value) if value.isdigit() and int(value) > 0 else None


def usable_memory() -> int:
    """Return the memory that all processes of this user's job may use on this machine, in bytes.

    The smallest of what there is, and what control groups, limits and the batch scheduler allow.
    """
    return min(memory_limits().values())


def memory_limits() -> dict[str, int]:
    """Return what limits the memory of this process: bytes by who sets them."""
    limits = {
        "machine": _physical_memory(),
        "control group": memory_allowed(),
        "limits of the process": min(_process_limits(), default=None),
        "SLURM": _slurm_memory(),
    }
    return {name: limit for name, limit in limits.items() if limit}


def _physical_memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _process_limits() -> list[int]:
    """Return the limits that schedulers set: SLURM that of resident memory, Grid Engine's h_vmem others."""
    import resource

    names = (resource.RLIMIT_RSS, resource.RLIMIT_AS, resource.RLIMIT_DATA)
    return [limit for name in names if (limit := resource.getrlimit(name)[0]) != resource.RLIM_INFINITY]


def _slurm_memory() -> int | None:
    """Return what SLURM gave the job on this node; its variables count MiB, and 0 is all there is."""
    if whole := _count("SLURM_MEM_PER_NODE"):
        return whole * 1024**2
    per_cpu, cpus = _count("SLURM_MEM_PER_CPU"), _count("SLURM_CPUS_ON_NODE")
    return per_cpu * cpus * 1024**2 if per_cpu and cpus else None


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


def parse_job_memory(text: str | int) -> int:
    """Return the memory of a job or of workers in bytes, see `parse_bytes`.

    Raises
    ------
    ClusterOptionError
        If the text is no size, or so small that it must be a number without its unit.
    """
    nbytes = parse_bytes(text)
    if nbytes < LEAST_MEMORY:
        raise ClusterOptionError(
            f"A memory of {text!r} is {format_bytes(nbytes)}: no worker starts with less than "
            f"{format_bytes(LEAST_MEMORY)}.",
            fix="write a unit, for instance '16 GiB': a number without one counts bytes.",
        )
    return nbytes


def format_bytes(nbytes: float) -> str:
    """Return a size for people, such as ``"12.3 MiB"``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if nbytes < 1024:
            return f"{nbytes:.0f} {unit}" if unit == "B" else f"{nbytes:.1f} {unit}"
        nbytes /= 1024
    return f"{nbytes:.1f} TiB"


def parse_walltime(text: object, *, may_begin_with_hours: bool = False) -> int:
    """Return a walltime in s.

    Read as SLURM does [1]_: ``"30:00"`` is minutes and seconds, ``"01:30:00"`` hours, minutes and seconds;
    with days in front, ``"1-12"``, ``"1-12:30"`` and ``"1-12:30:00"`` begin with hours. A bare number is
    refused: SLURM and LSF count minutes, Grid Engine and PBS seconds.

    Parameters
    ----------
    text : str
        The walltime; what a YAML file gives instead of a text is refused.
    may_begin_with_hours : bool, optional
        Whether the batch scheduler reads ``"30:00"`` as hours and minutes: then that is refused too.

    Raises
    ------
    ClusterOptionError
        If the text is no time, has two readings, or is not above zero.

    References
    ----------
    .. [1] sbatch(1), option ``--time``.
    """
    readings = _readings(str(text), may_begin_with_hours=may_begin_with_hours)
    if not any(readings):
        raise ClusterOptionError(
            f"{text!r} is not a walltime.", fix="write for instance '01:30:00' (hours:minutes:seconds)."
        )
    if len(readings) > 1:
        both = [f"{format_walltime(seconds)} ({name})" for seconds, name in readings.items()]
        raise ClusterOptionError(
            f"The walltime {text!r} is ambiguous: it may mean {' or '.join(both)}.",
            fix=f"write hours:minutes:seconds in quotes, such as '{format_walltime(max(readings))}'.",
        )
    return next(iter(readings))


def _readings(text: str, *, may_begin_with_hours: bool) -> dict[int, str]:
    """Return all that a walltime may mean in s, with the units of its numbers."""
    found = _WALLTIME.fullmatch(text.strip())
    if not found:
        return {}
    days, *parts = found.groups()
    values = [int(part) for part in parts if part is not None]
    if days is not None or len(values) == 3:
        units: list[tuple[int, ...]] = [(3600, 60, 1)]
    elif len(values) == 1:
        units = [(60,), (1,)]
    else:
        units = [(3600, 60), (60, 1)] if may_begin_with_hours else [(60, 1)]
    return {
        int(days or 0) * 86400 + sum(map(operator.mul, scale, values)): _READINGS[scale] for scale in units
    }


def format_walltime(seconds: float) -> str:
    """Return a walltime as ``"HH:MM:SS"``, which SLURM, Grid Engine and PBS all read."""
    whole = math.ceil(seconds)
    return f"{whole // 3600:02d}:{whole % 3600 // 60:02d}:{whole % 60:02d}"

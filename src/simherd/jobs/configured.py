"""What jobqueue.yaml and the experiment say of worker jobs, as far as job scripts take it, checked alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from simherd.clusters.checks import folder, lines, one_line, positive, word
from simherd.resources import parse_job_memory, parse_walltime

__all__ = ["Configured", "read_configured"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Configured:
    """What is configured for worker jobs; None where nothing is."""

    cores: int | None = None
    """Cores of a job."""
    processes: int | None = None
    """Worker processes of a job."""
    memory: int | None = None
    """Memory of a job, in bytes."""
    walltime: int | None = None
    """Walltime of a job, in s."""
    queue: str | None = None
    """Partition or queue."""
    account: str | None = None
    """Account or project."""
    parallel_environment: str | None = None
    """Grid Engine's parallel environment."""
    prologue: tuple[str, ...] = ()
    """Lines of shell that run before the experiment."""
    directives: tuple[str, ...] = ()
    """Further directives."""
    directives_skip: tuple[str, ...] = ()
    """Texts: a directive that has one of them is left out."""
    log_directory: str | None = None
    """Folder of the logs."""
    shebang: str | None = None
    """First line of a script."""


SPELLINGS = {"partition": "queue", "project": "account"}
"""Other words for options."""
_CHECKS: Mapping[str, Callable[[str, Any], Any]] = {
    **dict.fromkeys(("cores", "processes"), positive),
    "memory": lambda name, value: parse_job_memory(value),
    "walltime": lambda name, value: parse_walltime(value),
    **dict.fromkeys(("queue", "account", "parallel_environment"), word),
    **dict.fromkeys(("prologue", "directives", "directives_skip"), lines),
    "log_directory": folder,
    "shebang": lambda name, value: str(one_line(name, value)),
}


def read_configured(*layers: Mapping[str, Any]) -> Configured:
    """Return what is configured.

    Parameters
    ----------
    *layers : mapping of str to object
        Options of worker jobs under simherd's names, the lowest first; those that scripts do not take
        may be among them.

    Raises
    ------
    ClusterOptionError
        If one is wrong.
    """
    found = {}
    for layer in layers:
        for name, value in layer.items():
            field = SPELLINGS.get(name, name)
            if field in _CHECKS and value is not None:
                found[field] = _CHECKS[field](name, value)
    return Configured(**found)

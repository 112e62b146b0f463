"""The options of a cluster that is not to start yet, held to what it would take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from simherd.clusters import KINDS, job_script
from simherd.clusters.checks import positive, seconds, shares
from simherd.clusters.security import as_security
from simherd.resources import parse_job_memory

__all__ = ["check_options"]

_CHECKS: Mapping[str, Callable[[str, Any], Any]] = {
    **dict.fromkeys(("workers", "threads_per_worker", "guard_threads"), positive),
    "memory": lambda name, value: parse_job_memory(value),
    "worker_memory": shares,
    "death_timeout": seconds,
}
"""Checks of the kinds whose workers are no jobs, by option."""


def check_options(kind: str, options: Mapping[str, Any]) -> None:
    """Raise the error that a cluster would raise for its options, where it takes no cluster to see it.

    Parameters
    ----------
    kind : str
        Kind of cluster; an address or class judges its options itself.
    options : mapping
        Those that it has.

    Raises
    ------
    ClusterOptionError
        If one is wrong.
    """
    if kind not in KINDS:
        return
    jobs = getattr(import_module(KINDS[kind]), "KIND", None)
    if jobs is None:
        given = {name: value for name, value in options.items() if value is not None}
        for name in given.keys() & _CHECKS.keys():
            _CHECKS[name](name, given[name])
        security = given.get("security")
    else:
        from simherd.clusters.jobqueue.options import read_options

        job_script(kind, **options)
        security = read_options(jobs, options).security
    as_security(security, is_wanted=False)

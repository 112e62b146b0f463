"""What the worker jobs of a cluster ask for, and whether the site can give it; nothing is submitted."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from simherd.clusters import KINDS, job_script
from simherd.clusters.jobqueue.options import read_options, request_of
from simherd.schedulers import SCHEDULERS, JobRequest, find
from simherd.schedulers.limits import check_request

__all__ = ["caution_of", "check_workers", "worker_request"]


def worker_request(kind: str, given: Mapping[str, Any]) -> JobRequest | None:
    """Return what each worker job asks for; None if the workers of this kind of cluster are no jobs.

    Parameters
    ----------
    kind : str
        Kind of cluster.
    given : mapping of str to object
        Options, on top of those of jobqueue.yaml.

    Raises
    ------
    ClusterOptionError
        If an option is wrong.
    """
    found = getattr(import_module(KINDS[kind]), "KIND", None) if kind in KINDS else None
    return None if found is None else request_of(found, read_options(found, given))


def caution_of(kind: str, given: Mapping[str, Any]) -> str | None:
    """Return what the user should know before worker jobs are submitted; None for nothing.

    Parameters
    ----------
    kind : str
        Kind of cluster.
    given : mapping of str to object
        Options, on top of those of jobqueue.yaml.

    Raises
    ------
    ClusterOptionError
        If an option is wrong.
    """
    found = getattr(import_module(KINDS[kind]), "KIND", None) if kind in KINDS else None
    return None if found is None else found.caution(job_script(kind, **given) or "")


def check_workers(kind: str, given: Mapping[str, Any]) -> None:
    """Refuse worker jobs that the site can never start, where its batch scheduler can be asked.

    Raises
    ------
    ClusterOptionError
        If an option is wrong, or the site cannot give what the jobs ask for.
    SchedulerError
        If the batch scheduler is on this machine and does not answer.
    """
    request = worker_request(kind, given)
    if request is None or kind not in SCHEDULERS:
        return
    scheduler = find(kind)
    if scheduler.is_installed():
        check_request(request, scheduler.site(), scheduler)

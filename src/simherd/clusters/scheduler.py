"""The Dask schedulers that simherd starts: how they treat workers that fail or fall silent."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from simherd.clusters.scratch import folder_prefix
from simherd.errors import ClusterError

if TYPE_CHECKING:
    from distributed import SpecCluster
    from distributed.security import Security

__all__ = ["SETTINGS", "start_scheduler"]

ANY_PORT = "127.0.0.1:0"
SETTINGS: Mapping[str, Any] = {
    "distributed.scheduler.allowed-failures": 0,
    # A simulation may hold Python's lock for as long as it likes. Workers that are gone are noticed by
    # their connection, those of a machine that is gone by its keep-alive.
    "distributed.scheduler.worker-ttl": None,
}
"""Dask's settings while a scheduler starts: the client hears at once of a task whose worker ended, and
knows better what to do; a worker that says nothing is not dropped."""


@contextmanager
def start_scheduler(
    host: str,
    security: Security | None,
    *,
    dashboard_address: str | None,
    name: str | None,
    options: Mapping[str, Any] | None = None,
) -> Iterator[SpecCluster]:
    """Give a Dask cluster that has a scheduler, and gets its workers from elsewhere.

    Its files are in a folder of its own, which ends with it.

    Parameters
    ----------
    host : str
        Where it listens, at a free port.
    security : distributed.Security, optional
        Credentials.
    dashboard_address : str, optional
        Where the dashboard listens; None is nowhere.
    name : str, optional
        Name of the cluster.
    options : mapping, optional
        Arguments of Dask's ``Scheduler`` in place of these.

    Raises
    ------
    ClusterError
        If it does not start.
    """
    import dask

    arguments = {
        "host": host,
        "port": 0,
        "protocol": "tls://" if security else "tcp://",
        "security": security,
        "dashboard": dashboard_address is not None,
        "dashboard_address": dashboard_address or ANY_PORT,
        **(options or {}),
    }
    with tempfile.TemporaryDirectory(prefix=folder_prefix(), ignore_cleanup_errors=True) as folder:
        with dask.config.set({**SETTINGS, "temporary-directory": folder}):
            cluster = _started(arguments, security, name)
        with cluster:
            yield cluster


def _started(arguments: Mapping[str, Any], security: Security | None, name: str | None) -> SpecCluster:
    from distributed import Scheduler

    from simherd.clusters.watching import SchedulerOnly

    try:
        return SchedulerOnly(  # type: ignore[no-untyped-call]
            scheduler={"cls": Scheduler, "options": arguments},
            workers={},
            security=security,
            name=name,
            silence_logs=logging.CRITICAL,  # what matters comes back as an exception
        )
    except RuntimeError as error:
        raise ClusterError(
            f"The Dask scheduler did not start: {_root(error)}.",
            fix="look at interface and dashboard_address, and at scheduler_options if they are given.",
        ) from error


def _root(error: BaseException) -> str:
    """Return what an error that Dask wrapped several times began with."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).rstrip(".")

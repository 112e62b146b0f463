"""A cluster that lives in a session: several runs use it, one after the other or at once."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

from distributed import Client, Security

from simherd.batch_jobs import BatchJob
from simherd.clusters.base import OwningClient
from simherd.clusters.connection import Connection, read_connection
from simherd.errors import ClusterOptionError, SessionError
from simherd.executors.asking import ask

__all__ = ["offer_keeper", "open", "open_connection"]

TIMEOUT_S = 10.0
"""Time that a living scheduler may take to answer."""
KEEPER = "simherd_keeper"
"""Attribute of the Dask scheduler that holds who replaces its workers."""


def open(name: str, **options: Any) -> OwningClient:  # noqa: A001 (the one verb that all adapters have)
    """Return a client of the cluster that a session hosts. Closing it leaves the cluster alone.

    Parameters
    ----------
    name : str
        Name of the session, as in ``simherd session start NAME --cluster KIND``.
    **options
        There is none: the cluster is what it was started as.

    Raises
    ------
    ClusterOptionError
        If there is an option.
    SessionError
        If there is no such session, it hosts no cluster, or its cluster does not answer.
    """
    for option in options:
        raise ClusterOptionError(
            f"The cluster of session {name!r} is there already and takes no option: found {option!r}.",
            fix="leave it out here, and give it to 'simherd session start'.",
        )
    return open_connection(name, read_connection(name))


def open_connection(name: str, connection: Connection) -> OwningClient:
    """Return a client of the scheduler that a connection names, once it has shown to be that one.

    Raises
    ------
    SessionError
        If nobody answers, or another scheduler does.
    """
    _check_listens(name, connection)
    try:
        client = OwningClient(
            connection.address,
            ExitStack(),
            dashboard=connection.dashboard or None,
            security=_security(connection),
            timeout=TIMEOUT_S,
        )
    except (OSError, TimeoutError, ValueError) as error:
        raise _stale(name, connection, str(error)) from error
    found = client.scheduler_info().get("id", "")
    if found != connection.scheduler_id:
        client.close()
        raise _stale(name, connection, f"another scheduler ({found}) is there")
    client.keeper = _keeper_of(client)
    return client


def offer_keeper(client: OwningClient) -> None:
    """Let clients in other processes ask who replaces the workers of a cluster of this process."""
    if client.keeper is not None and client.cluster is not None:
        setattr(client.cluster.scheduler, KEEPER, client.keeper)


def _keeper_of(client: Client) -> _DistantKeeper | None:
    threads = _ask(client, _most_threads)
    return None if threads is None else _DistantKeeper(client, threads)


class _DistantKeeper:
    """The keeper of a cluster in another process, see `simherd.executors.losses.Keeper`."""

    def __init__(self, client: Client, most_threads: int) -> None:
        self._client = client
        self.most_threads = most_threads

    @property
    def failure(self) -> Exception | None:
        """Why there will be no more workers."""
        found: Exception | None = _ask(self._client, _failure)
        return found

    @property
    def batch_jobs(self) -> dict[BatchJob, bool]:
        """Nothing: the jobs are the session's, and those of a run are the ones that its workers tell."""
        return {}

    def end_of(self, worker: str) -> tuple[str, bool] | None:
        """Return how the job of a worker ended, and whether what it ran is to blame; None if it has not."""
        found: tuple[str, bool] | None = _ask(self._client, _end_of, worker)
        return found

    def complaint_of(self, worker: str) -> str:
        """Return what the log of a worker's job says of too little memory or threads; "" for nothing."""
        return str(_ask(self._client, _complaint_of, worker))


def _ask(client: Client, function: Callable[..., Any], *arguments: Any) -> Any:
    return ask(client, lambda: client.run_on_scheduler(function, *arguments))  # type: ignore[no-untyped-call]


def _most_threads(dask_scheduler: Any = None) -> int | None:
    keeper = getattr(dask_scheduler, KEEPER, None)
    return None if keeper is None else keeper.most_threads


def _failure(dask_scheduler: Any = None) -> Any:
    return getattr(dask_scheduler, KEEPER).failure


async def _end_of(worker: str, dask_scheduler: Any = None) -> Any:
    """Ask in a thread: the batch scheduler takes its time, and the keeper may wait for this loop."""
    return await asyncio.to_thread(getattr(dask_scheduler, KEEPER).end_of, worker)


async def _complaint_of(worker: str, dask_scheduler: Any = None) -> Any:
    """Read in a thread: logs may be on a slow file system."""
    return await asyncio.to_thread(getattr(dask_scheduler, KEEPER).complaint_of, worker)


def _check_listens(name: str, connection: Connection) -> None:
    """Find out at once what Dask's client, which tries again and again, needs its whole timeout for."""
    place = urlsplit(connection.address)
    if place.scheme not in ("tcp", "tls") or place.hostname is None or place.port is None:
        return
    try:
        socket.create_connection((place.hostname, place.port), timeout=TIMEOUT_S).close()
    except OSError as error:
        raise _stale(name, connection, error.strerror or str(error)) from error


def _security(connection: Connection) -> Any:
    if connection.security is None:
        return None
    return Security(**connection.security, require_encryption=True)  # type: ignore[no-untyped-call]


def _stale(name: str, connection: Connection, what: str) -> SessionError:
    here = socket.gethostname()
    where = "this machine" if connection.host == here else f"{connection.host} (this is {here})"
    return SessionError(
        f"The cluster of session {name!r} does not answer at {connection.address} (process {connection.pid} "
        f"on {where}): {what}.",
        fix=f"'simherd session list' shows its state; 'simherd session start {name} --cluster "
        f"{connection.kind}' starts it anew once it has ended.",
    )

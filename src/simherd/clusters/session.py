"""A cluster that lives in a session: several runs use it, one after the other or at once."""

from __future__ import annotations

import socket
from typing import Any
from urllib.parse import urlsplit

from distributed import Client, Security

from simherd.clusters.connection import Connection, read_connection
from simherd.errors import SessionError

__all__ = ["open", "open_connection"]

TIMEOUT_S = 10.0
"""Time that a living scheduler may take to answer."""


def open(name: str) -> Client:  # noqa: A001 (the one verb that all adapters have)
    """Return a client of the cluster that a session hosts. Closing it leaves the cluster alone.

    Parameters
    ----------
    name : str
        Name of the session, as in ``simherd session start NAME --cluster KIND``.

    Raises
    ------
    SessionError
        If there is no such session, it hosts no cluster, or its cluster does not answer.
    """
    return open_connection(name, read_connection(name))


def open_connection(name: str, connection: Connection) -> Client:
    """Return a client of the scheduler that a connection names, once it has shown to be that one.

    Raises
    ------
    SessionError
        If nobody answers, or another scheduler does.
    """
    _check_listens(name, connection)
    try:
        client = Client(connection.address, security=_security(connection), timeout=TIMEOUT_S)  # type: ignore[no-untyped-call]
    except (OSError, TimeoutError, ValueError) as error:
        raise _stale(name, connection, str(error)) from error
    found = client.scheduler_info().get("id", "")
    if found != connection.scheduler_id:
        client.close()  # type: ignore[no-untyped-call]
        raise _stale(name, connection, f"another scheduler ({found}) is there")
    return client


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

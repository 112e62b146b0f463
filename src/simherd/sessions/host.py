"""What a session runs that hosts a cluster: starts it, says how to reach it, keeps it until told to stop."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from simherd.clusters.connection import Connection, remove_connection, write_connection
from simherd.config import naming_jobs, using_file
from simherd.errors import ClusterError
from simherd.schedulers.job_names import safe_name
from simherd.sessions.record import Hosted

if TYPE_CHECKING:
    from simherd.clusters.base import OwningClient

__all__ = ["host_cluster"]

LOOK_S = 1.0
FAREWELL_S = 10.0
"""Time that runs have to hear why there will be no more workers."""
SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
TEXTS = ("tls_ca_file", "tls_client_cert", "tls_client_key")


def host_cluster(name: str, hosted: Hosted, say: Callable[[str], None]) -> None:
    """Host a cluster for runs that come and go, until a signal comes.

    Parameters
    ----------
    name : str
        Name of the session.
    hosted : Hosted
        The cluster.
    say : callable
        Is told what happens.

    Raises
    ------
    ClusterError
        If the cluster does not start, or ends by itself.
    """
    from simherd.clusters import open_client
    from simherd.clusters.session import offer_keeper

    say(f"Starting a cluster of kind {hosted.kind!r} ...")
    options = {**_secured(hosted.kind), **hosted.options}
    with (
        _until_told(say),
        using_file(hosted.config),
        _jobs_named(hosted.kind, name),
        open_client(hosted.kind, **options) as client,
    ):
        offer_keeper(client)
        write_connection(name, _connection(client, hosted.kind))
        try:
            say(f"Runs can use it: --cluster session:{name}")
            _keep(client)
        finally:
            remove_connection(name)
    say("The cluster is closed.")


def _jobs_named(kind: str, name: str) -> AbstractContextManager[None]:
    """Let the jobs of a cluster have the name of its session, unless jobqueue.yaml gives another."""
    from simherd.clusters import is_of_jobs

    return naming_jobs(kind, safe_name(name)) if is_of_jobs(kind) else nullcontext()


def _secured(kind: str) -> Mapping[str, Any]:
    """Return the option that lets nobody else in: other users of this machine reach loopback, too."""
    from simherd.clusters import KINDS, split_options

    return split_options(kind, {"security": "tls"})[0] if kind in KINDS else {}


@contextmanager
def _until_told(say: Callable[[str], None]) -> Iterator[None]:
    """Leave what runs here when a signal comes; a second one does not disturb the closing."""
    is_told = False

    def leave(number: int, frame: FrameType | None) -> None:
        nonlocal is_told
        if not is_told:
            is_told = True
            raise _Told(signal.Signals(number).name)

    for number in SIGNALS:
        signal.signal(number, leave)
    try:
        yield
    except _Told as told:
        say(f"Ended by {told}.")


class _Told(BaseException):
    """A signal came."""


def _keep(client: OwningClient) -> None:
    """Stay while the scheduler does, and there is hope for workers."""
    never = threading.Event()
    while client.status in ("running", "connecting"):
        never.wait(LOOK_S)
        if client.keeper is not None and client.keeper.failure is not None:
            never.wait(FAREWELL_S)
            raise client.keeper.failure
    raise ClusterError(
        "The scheduler of the cluster has ended.", fix="look above for why, and start it again."
    )


def _connection(client: OwningClient, kind: str) -> Connection:
    info = client.scheduler_info()
    return Connection(
        address=info["address"],
        scheduler_id=info["id"],
        kind=kind,
        host=socket.gethostname(),
        pid=os.getpid(),
        dashboard=client.dashboard_link or "",
        security=_texts(client.security),
    )


def _texts(security: Any) -> Mapping[str, str] | None:
    """Return the credentials of clients as texts: the files they stand in end with their owner."""
    found = {key: str(value) for key in TEXTS if (value := getattr(security, key, None))}
    return {key: value if "\n" in value else Path(value).read_text() for key, value in found.items()} or None

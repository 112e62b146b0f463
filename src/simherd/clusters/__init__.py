"""What gives a Dask client: one file per kind of cluster."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from simherd.errors import ClusterOptionError, close_matches

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["KINDS", "check_kind", "open_client"]

KINDS = {"local": "simherd.clusters.local"}


def check_kind(kind: str) -> None:
    """Raise an error if there is no such kind of cluster.

    Raises
    ------
    ClusterOptionError
        If so.
    """
    if kind not in KINDS:
        raise ClusterOptionError(
            f"There is no cluster kind {kind!r}. {close_matches(kind, KINDS)}",
            fix="choose another kind (--cluster KIND, or cluster.kind in the experiment file).",
        )


def open_client(kind: str = "local", **options: Any) -> Client:
    """Start a cluster and return a client of it, which stops the cluster when it is closed.

    Parameters
    ----------
    kind : {"local"}, optional
        Kind of cluster: "local" for worker processes on this machine.
    **options
        Options of the kind, see `simherd.clusters.local.open`.

    Returns
    -------
    dask.distributed.Client
        A context manager. Closing it leaves no process and no file behind.

    Raises
    ------
    ClusterOptionError
        If the kind or an option is wrong.
    """
    check_kind(kind)
    client: Client = import_module(KINDS[kind]).open(**options)
    return client

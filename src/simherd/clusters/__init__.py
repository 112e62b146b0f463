"""What gives a Dask client: one file per kind of cluster."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from simherd.errors import ClusterOptionError, close_matches

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["KINDS", "check_kind", "open_client", "split_options"]

KINDS = {
    "local": "simherd.clusters.local",
    "mpi": "simherd.clusters.mpi",
    "slurm-runner": "simherd.clusters.slurm_runner",
}


def check_kind(kind: str) -> None:
    """Raise an error if there is no such kind of cluster.

    Raises
    ------
    ClusterOptionError
        If so.
    """
    if kind not in KINDS:
        raise ClusterOptionError(
            f"The cluster kind {kind!r} is not available in this version. {close_matches(kind, KINDS)}",
            fix="choose another kind (--cluster KIND, or cluster.kind in the experiment file).",
        )


def split_options(kind: str, options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options that a kind of cluster has, and those that it has no use for.

    Raises
    ------
    ClusterOptionError
        If there is no such kind.
    """
    allowed = _options_of(kind)
    used = {name: value for name, value in options.items() if name in allowed}
    return used, {name: value for name, value in options.items() if name not in allowed}


def _options_of(kind: str) -> tuple[str, ...]:
    check_kind(kind)
    return tuple(inspect.signature(import_module(KINDS[kind]).open).parameters)


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
    _, unknown = split_options(kind, options)
    for name in unknown:
        raise ClusterOptionError(
            f"A cluster of kind {kind!r} has no option {name!r}. {close_matches(name, _options_of(kind))}"
        )
    client: Client = import_module(KINDS[kind]).open(**options)
    return client

"""Clusters that are there already, or whose class the user names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

import dask
from distributed import Client

from simherd.clusters.base import OwningClient
from simherd.clusters.security import as_security
from simherd.errors import ClusterError, ClusterOptionError
from simherd.executors.mainless import without_main
from simherd.threads import guard_environment, lent_environment

__all__ = ["open_given"]

CONNECT_S = 20
SEED = "PYTHONHASHSEED"
PRE_SPAWN = "distributed.nanny.pre-spawn-environ"
"""Variables that Dask's nannies set, and leave, in the process that they live in."""


def open_given(cluster: Any, options: Mapping[str, Any]) -> Client:
    """Return a client of a cluster that somebody else has started.

    Parameters
    ----------
    cluster : object
        A Dask client, which is returned as it is; a Dask cluster; a scheduler file; an address; or the path
        ``"module.Class"`` of a cluster class.
    options : mapping
        ``security`` for addresses and files; arguments of the class.

    Raises
    ------
    ClusterOptionError
        If an option has no use here, or there is no such file or class.
    ClusterError
        If nobody answers.
    """
    if isinstance(cluster, Client):
        _check_unused(options, "a client")
        return cluster
    if isinstance(cluster, str | Path):
        text = str(cluster)
        if text.endswith(".json"):
            return _connected(None, options, scheduler_file=_existing(text))
        if ":" in text:
            return _connected(text, options)
        return _started(text, options)
    if hasattr(cluster, "scheduler_address") or hasattr(cluster, "get_client"):
        _check_unused(options, "a cluster")
        return OwningClient(cluster, ExitStack())
    raise ClusterOptionError(
        f"{cluster!r} is not a cluster.",
        fix="give a kind such as 'slurm', an address, a scheduler file, or a Dask client or cluster.",
    )


def _check_unused(options: Mapping[str, Any], what: str) -> None:
    for name in options:
        raise ClusterOptionError(
            f"{what.capitalize()} that is given has no option {name!r}.", fix="leave it out."
        )


def _existing(path: str) -> str:
    if Path(path).exists():
        return path
    raise ClusterOptionError(
        f"There is no scheduler file {path!r}.", fix="start the Dask scheduler first, with --scheduler-file."
    )


def _connected(address: str | None, options: Mapping[str, Any], **where: Any) -> Client:
    """Return a client of a Dask scheduler, or an error if it does not answer."""
    _check_unused({name: value for name, value in options.items() if name != "security"}, "a Dask scheduler")
    place = address or where["scheduler_file"]
    security = _credentials(options.get("security"))
    try:
        return OwningClient(address, ExitStack(), security=security, timeout=CONNECT_S, **where)
    except (OSError, ValueError, TypeError) as error:
        raise ClusterError(
            f"Cannot connect to the Dask scheduler at {place}: {error}.",
            fix="look whether it runs, this machine reaches its port, and whether it needs security=...",
        ) from error


def _credentials(security: Any) -> Any:
    """Return the credentials of a scheduler that others started: new ones would be of no use."""
    if security in (True, "tls", "temporary"):
        raise ClusterOptionError(
            f"security={security!r}: credentials made now are not those of a Dask scheduler that runs.",
            fix="give its own: a distributed.Security, or a mapping with tls_ca_file, tls_client_cert ...",
        )
    return as_security(security or False, is_wanted=False)


def _started(path: str, options: Mapping[str, Any]) -> Client:
    """Return a client of a new cluster of a class, such as ``"dask_gateway.GatewayCluster"``."""
    module, _, name = path.rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ClusterOptionError(
            f"There is no cluster class {path!r}: {error}.",
            fix="write module.Class, and install its package.",
        ) from error
    with ExitStack() as stack:
        theirs = {name: str(value) for name, value in dask.config.get(PRE_SPAWN).items()}
        theirs[SEED] = os.environ.get(SEED, "6640")  # Dask's
        with without_main(), lent_environment({**theirs, **guard_environment()}):
            cluster = stack.enter_context(_made(path, found, options))
        return OwningClient(cluster, stack)


def _made(path: str, found: Any, options: Mapping[str, Any]) -> Any:
    try:
        return found(**options)
    except (TypeError, RuntimeError) as error:
        cause = _first_cause(error)
        if not isinstance(cause, TypeError):
            raise
        raise ClusterOptionError(f"{path} refuses its options {dict(options)}: {cause}.") from error


def _first_cause(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error

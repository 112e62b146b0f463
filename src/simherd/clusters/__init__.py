"""What gives a Dask client: one file per kind of cluster."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from simherd.errors import ClusterOptionError, close_matches

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["KINDS", "check_kind", "is_given", "is_of_jobs", "job_script", "open_client", "split_options"]

KINDS = {
    "local": "simherd.clusters.local",
    "slurm": "simherd.clusters.slurm",
    "sge": "simherd.clusters.sge",
    "pbs": "simherd.clusters.pbs",
    "lsf": "simherd.clusters.lsf",
    "oar": "simherd.clusters.oar",
    "htcondor": "simherd.clusters.htcondor",
    "moab": "simherd.clusters.moab",
    "mpi": "simherd.clusters.mpi",
    "slurm-runner": "simherd.clusters.slurm_runner",
}
"""Kinds of clusters, and the module of each: with a function ``open``, whose options are the names in its
``OPTIONS``, or else the parameters of the function."""
SESSION = "session:"


def check_kind(kind: str) -> None:
    """Raise an error if there is no such kind of cluster.

    Raises
    ------
    ClusterOptionError
        If so.
    """
    if kind not in KINDS and not is_given(kind):
        raise ClusterOptionError(
            f"The cluster kind {kind!r} is not known. {close_matches(kind, KINDS)}",
            fix="choose another kind (--cluster KIND, or cluster.kind in the experiment file).",
        )


def split_options(kind: str, options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options that a kind of cluster has, and those that it has no use for.

    Raises
    ------
    ClusterOptionError
        If there is no such kind.
    """
    allowed = options if _is_class(kind) else _options_of(kind)
    used = {name: value for name, value in options.items() if name in allowed}
    return used, {name: value for name, value in options.items() if name not in allowed}


def _options_of(kind: str) -> tuple[str, ...]:
    check_kind(kind)
    if is_given(kind):
        return () if kind.startswith(SESSION) else ("security",)
    module = import_module(KINDS[kind])
    return getattr(module, "OPTIONS", None) or tuple(inspect.signature(module.open).parameters)


def is_of_jobs(kind: str) -> bool:
    """Return whether the workers of a kind of cluster are jobs of a batch scheduler."""
    return kind in KINDS and hasattr(import_module(KINDS[kind]), "KIND")


def job_script(kind: str, **options: Any) -> str | None:
    """Return the job script of a cluster's workers, without contacting anything.

    Parameters
    ----------
    kind : str
        Kind of cluster.
    **options
        As for `open_client`.

    Returns
    -------
    str or None
        None if the workers are no jobs.

    Raises
    ------
    ClusterOptionError
        If the kind or an option is wrong.
    """
    check_kind(kind)
    if is_given(kind):
        return None
    write = getattr(import_module(KINDS[kind]), "job_script", None)
    return None if write is None else str(write(**options))


def open_client(kind: Any = "local", **options: Any) -> Client:
    """Return a Dask client of a cluster, which is started for it where there is none yet.

    Parameters
    ----------
    kind : str or object, optional
        Kind of cluster that is started: "local" for worker processes on this machine; "slurm", "sge",
        "pbs", "lsf", "oar", "htcondor" and "moab" for workers that are jobs; "mpi" under mpirun;
        "slurm-runner" under srun. Or where there is one already: an address such as
        ``"tcp://host:8786"``, ``"session:NAME"``, a scheduler file, a Dask client or cluster, or the path
        ``"module.Class"`` of a cluster class, which is called with the options.
    **options
        Options of the kind, see ``docs/clusters.md``.

    Returns
    -------
    dask.distributed.Client
        A context manager. Closing it ends what was started for it, and leaves no job, process or file.

    Raises
    ------
    ClusterOptionError
        If the kind or an option is wrong.
    SubmitError
        If a batch scheduler refuses a job.
    ClusterError
        If no worker comes.
    """
    if isinstance(kind, str) and kind.startswith(SESSION):
        from simherd.clusters.session import open as open_session

        return open_session(kind.removeprefix(SESSION), **options)
    if not isinstance(kind, str) or is_given(kind):
        from simherd.clusters.given import open_given

        return open_given(kind, options)
    _, unknown = split_options(kind, options)
    for name in unknown:
        raise ClusterOptionError(
            f"A cluster of kind {kind!r} has no option {name!r}. {close_matches(name, _options_of(kind))}"
        )
    client: Client = import_module(KINDS[kind]).open(**options)
    return client


def is_given(name: str) -> bool:
    """Return whether a name stands for a cluster that is there: an address, a session, a file or a class."""
    return name not in KINDS and (":" in name or name.endswith(".json") or "." in name)


def _is_class(name: str) -> bool:
    return is_given(name) and ":" not in name and not name.endswith(".json")

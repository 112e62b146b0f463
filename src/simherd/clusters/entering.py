"""Which kinds of clusters are made of the processes that a launcher started, this one among them."""

from __future__ import annotations

import os
from importlib import import_module

from simherd.clusters.launching import launched

__all__ = ["enter_ranks"]

RANKED = {"mpi": "simherd.clusters.mpi", "slurm-runner": "simherd.clusters.slurm_runner"}


def enter_ranks(kind: object, dry_run: bool = False) -> None:
    """Let ranks that only work do so from here on, before they load and check what rank 0 does.

    Nothing happens for other kinds of clusters.

    Parameters
    ----------
    kind : str
        Kind of cluster.
    dry_run : bool, optional
        Whether there will be nothing to do: the others leave at once.

    Raises
    ------
    SystemExit
        On all ranks but the first, when it is over.
    ClusterError
        If the ranks cannot find each other.
    MissingDependencyError
        If mpi4py is needed and not installed.
    """
    if kind not in RANKED:
        return
    if not dry_run:
        import_module(RANKED[str(kind)]).enter()
    elif launched(os.environ).rank > 0:
        raise SystemExit(0)

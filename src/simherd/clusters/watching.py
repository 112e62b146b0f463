"""Dask's clusters, which watch the workers come and go, made to bear what they did not see coming."""

from __future__ import annotations

from typing import Any

from distributed import LocalCluster, SpecCluster

__all__ = ["LocalWorkers", "SchedulerOnly"]


class SchedulerOnly(SpecCluster):
    """A cluster whose scheduler gets its workers from elsewhere.

    Dask tells a cluster of the end of a worker of which it has not told the beginning, if both come together;
    the cluster then could not be closed without a KeyError.
    """

    def _update_worker_status(self, op: str, msg: Any) -> None:
        if op != "remove" or msg in self.scheduler_info["workers"]:
            super()._update_worker_status(op, msg)  # type: ignore[no-untyped-call]


class LocalWorkers(SchedulerOnly, LocalCluster):
    """The same, with workers on this machine."""

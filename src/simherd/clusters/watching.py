"""Dask's clusters, which watch the workers come and go, made to bear what they did not see coming."""

from __future__ import annotations

from typing import Any, cast

from distributed import LocalCluster, SpecCluster
from distributed.deploy.cluster import Cluster
from distributed.utils import format_dashboard_link

from simherd.clusters.dashboard import Gate

__all__ = ["LocalWorkers", "SchedulerOnly"]

OPEN = "tcp://"
"""How the address of a scheduler begins to which everybody may connect."""


class SchedulerOnly(SpecCluster):
    """A cluster whose scheduler gets its workers from elsewhere.

    Dask tells a cluster of the end of a worker of which it has not told the beginning, if both come together;
    the cluster then could not be closed without a KeyError. A `SpecCluster` also gives up a worker that is
    not connected 15 s after it ended, although its nanny may be starting it again after another end.

    The dashboard needs the token in its link, unless the scheduler itself is open to all.
    """

    _gate: Gate | None = None

    async def _start(self) -> None:
        await super()._start()  # type: ignore[no-untyped-call]
        if not self.scheduler_address.startswith(OPEN):
            self._gate = Gate(self._web)

    @property
    def _web(self) -> Any:
        return cast(Any, self.scheduler).http_server

    @property
    def dashboard_link(self) -> str:
        """Address of the dashboard, with the token if it needs one."""
        if self._web.address in ("0.0.0.0", "::"):
            link = str(super().dashboard_link)
        else:
            link = format_dashboard_link(self._web.address, self._web.port)  # type: ignore[no-untyped-call]
        return link if self._gate is None else self._gate.link(link)

    def _update_worker_status(self, op: str, msg: Any) -> None:
        if op != "remove" or msg in self.scheduler_info["workers"]:
            Cluster._update_worker_status(self, op, msg)  # type: ignore[no-untyped-call]


class LocalWorkers(SchedulerOnly, LocalCluster):
    """The same, with workers on this machine."""

"""What the Dask scheduler of this process says of its workers, asked from any thread."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

__all__ = ["Herd"]

RETIRE_S = 30.0
"""Time that other workers have to take the results of one that ends, in s."""


class Herd:
    """The workers of a Dask scheduler that runs in this process.

    Parameters
    ----------
    cluster : distributed.SpecCluster
        The cluster of that scheduler.
    """

    def __init__(self, cluster: Any) -> None:
        self._cluster = cluster

    @property
    def _scheduler(self) -> Any:
        return self._cluster.scheduler

    def names(self) -> list[str]:
        """Return the names of the workers that are connected."""
        return [str(worker.name) for worker in list(self._scheduler.workers.values())]

    def busy(self) -> list[str]:
        """Return the names of those that have tasks."""
        return [str(worker.name) for worker in list(self._scheduler.workers.values()) if worker.processing]

    def unfinished(self) -> int:
        """Return the number of tasks that run, or could if there were workers."""
        scheduler = self._scheduler
        running = sum(len(worker.processing) for worker in list(scheduler.workers.values()))
        return running + len(scheduler.queued) + len(scheduler.unrunnable)

    def retire(self, names: Iterable[str]) -> None:
        """Let workers end once their results are elsewhere."""
        wanted = set(names)
        addresses = [
            worker.address for worker in list(self._scheduler.workers.values()) if str(worker.name) in wanted
        ]
        if addresses:
            with suppress(TimeoutError):  # its job is cancelled all the same
                self._cluster.sync(
                    self._scheduler.retire_workers,
                    workers=addresses,
                    close_workers=True,
                    callback_timeout=RETIRE_S,
                )

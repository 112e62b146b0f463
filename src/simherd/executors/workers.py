"""What the Dask scheduler of a client knows of its workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from simherd.executors.asking import ask

__all__ = ["PausedWorker", "paused_workers", "worker_names"]


def worker_names(client: Any) -> dict[str, str]:
    """Return the names of all workers by their addresses; ``scheduler_info`` may tell of a few only.

    Parameters
    ----------
    client : dask.distributed.Client
        Of their scheduler, which need not have simherd: a function inside of another one travels by value.
    """

    def look(dask_scheduler: Any) -> dict[str, str]:
        return {address: str(one.name) for address, one in dask_scheduler.workers.items()}

    names: dict[str, str] = ask(client, lambda: client.run_on_scheduler(look))
    return names


@dataclass(frozen=True, kw_only=True, slots=True)
class PausedWorker:
    """A worker that begins no task, and runs none."""

    address: str
    """Its address."""
    name: str
    """Its name."""
    held_bytes: int
    """Memory of its process, in bytes."""
    limit_bytes: int
    """Memory that it may hold, in bytes; 0 for no limit."""
    has_nanny: bool
    """Whether Dask can start it again."""


def paused_workers(client: Any) -> tuple[list[PausedWorker], int]:
    """Return the workers that are paused and run nothing, and the number of all others.

    Parameters
    ----------
    client : dask.distributed.Client
        Of their scheduler.
    """

    def look(dask_scheduler: Any) -> tuple[list[dict[str, Any]], int]:
        paused = [
            {
                "address": one.address,
                "name": str(one.name),
                "held_bytes": int(one.metrics.get("memory") or 0),
                "limit_bytes": int(one.memory_limit or 0),
                "has_nanny": bool(one.nanny),
            }
            for one in dask_scheduler.workers.values()
            if one.status.name == "paused" and not one.metrics.get("task_counts", {}).get("executing")
        ]
        return paused, len(dask_scheduler.workers) - len(paused)

    paused, others = ask(client, lambda: client.run_on_scheduler(look))
    return [PausedWorker(**one) for one in paused], others

"""What the Dask scheduler of a client knows of its workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from simherd.executors.asking import ask

__all__ = ["WorkerSeen", "see_workers", "worker_names"]


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
class WorkerSeen:
    """A worker as the scheduler knew it at a look."""

    address: str
    """Its address."""
    name: str
    """Its name."""
    is_paused: bool
    """Whether it begins no task, and runs none."""
    has_work: bool
    """Whether it was given tasks of this client."""
    last_sign: float
    """When the scheduler last heard of it, by the scheduler's clock, in s."""
    held_bytes: int
    """Memory of its process, in bytes."""
    limit_bytes: int
    """Memory that it may hold, in bytes; 0 for no limit."""
    has_nanny: bool
    """Whether Dask can start it again."""


def see_workers(client: Any) -> list[WorkerSeen]:
    """Return all workers as the scheduler knows them now.

    Parameters
    ----------
    client : dask.distributed.Client
        Of their scheduler.
    """

    def look(dask_scheduler: Any, asking: str) -> list[dict[str, Any]]:
        return [
            {
                "address": one.address,
                "name": str(one.name),
                "is_paused": one.status.name == "paused"
                and not one.metrics.get("task_counts", {}).get("executing"),
                "has_work": any(
                    who.client_key == asking for task in one.processing for who in task.who_wants
                ),
                "last_sign": float(one.last_seen),
                "held_bytes": int(one.metrics.get("memory") or 0),
                "limit_bytes": int(one.memory_limit or 0),
                "has_nanny": bool(one.nanny),
            }
            for one in dask_scheduler.workers.values()
        ]

    seen = ask(client, lambda: client.run_on_scheduler(look, asking=client.id))
    return [WorkerSeen(**one) for one in seen]

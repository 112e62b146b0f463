"""Whether a worker was lost with its machine or job, or was ended by what it ran.

A nanny that outlives its worker has seen the worker end by itself: what it ran is to blame. If nanny and
worker are both gone, a job was cancelled or preempted, its walltime was over, or a node failed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from simherd.batch_jobs import BatchJob
from simherd.executors.asking import ask
from simherd.executors.base import Lost
from simherd.executors.workers import worker_names
from simherd.resources import format_bytes

__all__ = ["Keeper", "loss_of"]

MEMORY_TOPIC = "worker-restart-memory"
"""Topic in which Dask's nannies tell of workers that they end because they hold too much."""
LOOK_S = 0.25
LIMIT_S = 10.0
CONNECT_S = 2


class Keeper(Protocol):
    """Who replaces the workers of a client that are lost; its attribute ``keeper``, if it has one."""

    @property
    def most_threads(self) -> int:
        """Tasks that run at once when all workers are there."""
        ...

    @property
    def failure(self) -> Exception | None:
        """Why there will be no more workers."""
        ...

    @property
    def batch_jobs(self) -> Mapping[BatchJob, bool]:
        """The batch jobs that it has submitted, and whether each is over."""
        ...

    def end_of(self, worker: str) -> tuple[str, bool] | None:
        """Return how the job of a worker ended, and whether what it ran is to blame; None if it has not."""
        ...

    def complaint_of(self, worker: str) -> str:
        """Return what the log of a worker's job says of too little memory or threads; "" for nothing."""
        ...


def loss_of(client: Any, worker: Any) -> Lost:
    """Return how a worker was lost.

    Parameters
    ----------
    client : dask.distributed.Client
        Of the scheduler that lost it.
    worker : distributed.scheduler.WorkerState
        What the scheduler knew of it.
    """
    lost, keeper = _how_lost(client, worker), getattr(client, "keeper", None)
    said = keeper.complaint_of(str(worker.name)) if keeper and not lost.is_innocent else ""
    return replace(lost, reason=f"{lost.reason}; {said}") if said else lost


def _how_lost(client: Any, worker: Any) -> Lost:
    where, keeper = f"worker {worker.address}", getattr(client, "keeper", None)
    if (held := _memory_at_end(client, worker.address)) is not None:
        return Lost(f"{where} {_too_full(held, worker.memory_limit)}")
    if _is_nanny_here(client, worker.nanny):
        return Lost(f"{where} ended")
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        end = keeper and keeper.end_of(str(worker.name))
        if end:
            how, is_to_blame = end
            return Lost(f"the job of {where} ended ({how})", is_innocent=not is_to_blame)
        if str(worker.name) in worker_names(client).values():
            return Lost(f"{where} ended, and was started again")
        if worker.nanny and keeper is None and not _answers(client, worker.nanny):
            return Lost(f"{where} and its nanny are gone", is_innocent=True)
        time.sleep(LOOK_S)
    is_gone = bool(worker.nanny) and not _answers(client, worker.nanny)
    return Lost(f"{where} ended", is_innocent=is_gone)


def _memory_at_end(client: Any, address: str) -> int | None:
    """Return the memory in bytes for which a nanny ended a worker; None if it was not ended for that."""
    events = ask(client, lambda: client.get_events(MEMORY_TOPIC))
    held = [int(event["rss"]) for _, event in events if event.get("worker") == address]
    return held[-1] if held else None


def _too_full(held: int, limit: int | None) -> str:
    of = f" of {format_bytes(limit)}" if limit else ""
    held_of_it = f"held {format_bytes(held)}{of} of memory"
    return f"{held_of_it} and was ended: give workers more memory, or fewer simulations at once"


def _is_nanny_here(client: Any, address: str | None) -> bool:
    """Return whether a nanny lives in this process: it is there as long as anybody can ask."""
    nannies = getattr(getattr(client, "cluster", None), "workers", {})
    return bool(address) and any(getattr(nanny, "address", None) == address for nanny in nannies.values())


def _answers(client: Any, address: str) -> bool:
    """Return whether a nanny answers the scheduler."""
    return bool(ask(client, lambda: client.run_on_scheduler(_ping, address)))


async def _ping(address: str, dask_scheduler: Any = None) -> bool:
    import asyncio

    try:
        comm = await asyncio.wait_for(dask_scheduler.rpc.connect(address), CONNECT_S)
    except (TimeoutError, OSError):
        return False
    dask_scheduler.rpc.reuse(address, comm)
    return True

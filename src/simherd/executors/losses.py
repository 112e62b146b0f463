"""Whether a worker was lost with its machine or job, or was ended by what it ran.

A nanny that outlives its worker has seen the worker end by itself: what it ran is to blame. If nanny and
worker are both gone, a job was cancelled or preempted, its walltime was over, or a node failed.
"""

from __future__ import annotations

import time
from typing import Any, Protocol

from simherd.executors.base import Lost
from simherd.executors.workers import worker_names

__all__ = ["Keeper", "loss_of"]

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

    def end_of(self, worker: str) -> tuple[str, bool] | None:
        """Return how the job of a worker ended, and whether what it ran is to blame; None if it has not."""
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
    where, keeper = f"worker {worker.address}", getattr(client, "keeper", None)
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


def _is_nanny_here(client: Any, address: str | None) -> bool:
    """Return whether a nanny lives in this process: it is there as long as anybody can ask."""
    nannies = getattr(getattr(client, "cluster", None), "workers", {})
    return bool(address) and any(getattr(nanny, "address", None) == address for nanny in nannies.values())


def _answers(client: Any, address: str) -> bool:
    """Return whether a nanny answers the scheduler."""
    return bool(client.run_on_scheduler(_ping, address))


async def _ping(address: str, dask_scheduler: Any = None) -> bool:
    import asyncio

    try:
        comm = await asyncio.wait_for(dask_scheduler.rpc.connect(address), CONNECT_S)
    except (TimeoutError, OSError):
        return False
    dask_scheduler.rpc.reuse(address, comm)
    return True

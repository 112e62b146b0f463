"""What the Dask scheduler of a client knows of its workers."""

from __future__ import annotations

from typing import Any

__all__ = ["worker_names"]


def worker_names(client: Any) -> dict[str, str]:
    """Return the names of all workers by their addresses; ``scheduler_info`` may tell of a few only.

    Parameters
    ----------
    client : dask.distributed.Client
        Of their scheduler, which need not have simherd: a function without a name travels by value.
    """
    names: dict[str, str] = client.run_on_scheduler(
        lambda dask_scheduler: {address: str(one.name) for address, one in dask_scheduler.workers.items()}
    )
    return names

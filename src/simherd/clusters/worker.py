"""What a worker process of ours does first; Dask calls it when a worker starts."""

from __future__ import annotations

from typing import Any

from simherd.executors.leaving import leave_when_due
from simherd.executors.signals import leave_signals_to_client
from simherd.warden import warden

__all__ = ["dask_setup"]


def dask_setup(worker: Any) -> None:
    """Leave Ctrl-C, which a terminal sends to all processes, to the client; end before the job does."""
    warden()
    leave_signals_to_client("SIGINT")
    leave_when_due(worker)

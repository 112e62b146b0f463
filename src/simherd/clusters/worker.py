"""What a worker process of ours does first; Dask calls it when a worker starts."""

from __future__ import annotations

import signal
from typing import Any

from simherd.executors.leaving import leave_when_due

__all__ = ["dask_setup"]


def dask_setup(worker: Any) -> None:
    """Leave Ctrl-C, which a terminal sends to all processes, to the client; end before the job does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    leave_when_due(worker)

"""What xarray-simlab takes for a scheduler, in terms of ours."""

from __future__ import annotations

from typing import Any

__all__ = ["as_scheduler"]

_NAMES = {"dask.threaded": "threads", "dask.multiprocessing": "processes", "dask.local": "sync"}


def as_scheduler(given: Any) -> Any:
    """Return the name or the client for one of Dask's functions that run graphs; else what is given."""
    client = getattr(given, "__self__", None)
    if hasattr(client, "scheduler_info"):
        return client
    return _NAMES.get(given.__module__, given) if callable(given) and hasattr(given, "__module__") else given

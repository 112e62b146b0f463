"""What xarray-simlab takes for a scheduler, in terms of ours."""

from __future__ import annotations

from typing import Any

from simherd.executors.choose import ALIASES, default_scheduler
from simherd.user_warnings import warn_user

__all__ = ["as_scheduler", "scheduler_of"]

_NAMES = {"dask.threaded": "threads", "dask.multiprocessing": "processes", "dask.local": "sync"}


def as_scheduler(given: Any) -> Any:
    """Return the name or the client for one of Dask's functions that run graphs; else what is given."""
    client = getattr(given, "__self__", None)
    if hasattr(client, "scheduler_info"):
        return client
    return _NAMES.get(given.__module__, given) if callable(given) and hasattr(given, "__module__") else given


def scheduler_of(parallel: bool, given: Any, *, is_batch: bool) -> Any:
    """Return the scheduler of a run: as in xarray-simlab none without ``parallel``, and threads by default.

    Warns
    -----
    UserWarning
        If one is given that does not count without ``parallel``.
    """
    if parallel:
        return as_scheduler(default_scheduler("threads") if is_batch and given is None else given)
    if given is not None and ALIASES.get(str(as_scheduler(given)).lower()) != "serial":
        warn_user(
            f"scheduler={given!r} has no effect without parallel=True, as in xarray-simlab: "
            "the run is serial.",
        )
    return None

"""From what a user says of parallelism to an executor."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any

from simherd.errors import SetupError, close_matches
from simherd.executors.base import Executor
from simherd.executors.client import ClientExecutor
from simherd.executors.pool import PoolExecutor, thread_pool
from simherd.executors.processes import ProcessExecutor
from simherd.executors.serial import SerialExecutor
from simherd.resources import usable_cores
from simherd.user_warnings import warn_user

__all__ = ["active_client", "choose_executor", "default_scheduler", "runs_serially", "threads_for_one"]

ALIASES = {
    "threads": "threads",
    "threading": "threads",
    "processes": "processes",
    "multiprocessing": "processes",
    "sync": "serial",
    "synchronous": "serial",
    "single-threaded": "serial",
    "serial": "serial",
    "ray": "ray",
}
_CLIENT = ("distributed", "dask.distributed")
"""Names of the active client."""


def choose_executor(parallel: bool, scheduler: Any = None, workers: int | None = None) -> Executor:
    """Return the executor for a batch.

    Parameters
    ----------
    parallel : bool
        False runs in this process whatever `scheduler` says.
    scheduler : str, Client or concurrent.futures.Executor, optional
        "threads", "processes", "sync" or another of Dask's names, a ``dask.distributed.Client`` or an
        executor. By default the active Dask client, then what ``dask.config`` says, then processes.
    workers : int, optional
        Threads or processes; as many as there are usable cores by default.

    Raises
    ------
    SetupError
        If `scheduler` is something else.
    """
    if not parallel:
        return SerialExecutor()
    found = default_scheduler(None) if scheduler is None else scheduler
    if found is None:
        return ProcessExecutor(workers or usable_cores(), is_most=workers is None)
    if isinstance(found, Executor):
        return found
    workers = workers or usable_cores()
    if isinstance(found, str):
        return _named(found, workers)
    if isinstance(found, futures.Executor):
        return _given_pool(found, workers)
    _check_scheduler(found)
    return ClientExecutor(found)


def runs_serially(scheduler: Any) -> bool:
    """Return whether a given scheduler runs all simulations sequentially in this process."""
    if isinstance(scheduler, str):
        return ALIASES.get(scheduler.lower()) == "serial"
    return isinstance(scheduler, SerialExecutor)


def _check_scheduler(found: Any) -> None:
    if isinstance(found, str):
        if found.lower() not in (*ALIASES, *_CLIENT):
            raise SetupError(f"scheduler={found!r} is not known. {close_matches(found, ALIASES)}")
    elif not isinstance(found, Executor | futures.Executor) and not (
        hasattr(found, "scheduler_info") and hasattr(found, "submit")
    ):
        raise SetupError(
            f"scheduler={found!r} is not a scheduler.",
            fix="give one of "
            f"{', '.join(map(repr, ALIASES))}, a dask.distributed.Client or a concurrent.futures.Executor.",
        )


@contextmanager
def threads_for_one(
    parallel: bool, scheduler: Any = None, workers: int | None = None
) -> Iterator[futures.ThreadPoolExecutor | None]:
    """Give the threads in which the processes of one simulation run, or none for this one alone.

    Their values are handed on in memory, so that other schedulers serve batches only: they get a warning
    and threads, whether they are given or come from an active client or Dask's configuration.

    Raises
    ------
    SetupError
        If `scheduler` is none.
    """
    if not parallel:
        yield None
        return
    found = default_scheduler("threads") if scheduler is None else scheduler
    if isinstance(found, futures.ThreadPoolExecutor):
        yield found
        return
    if runs_serially(found):
        yield None
        return
    kind = ALIASES.get(found.lower()) if isinstance(found, str) else None
    if kind != "threads":
        _check_scheduler(found)
        where = f"scheduler={found!r}" if scheduler is not None else f"The default scheduler, {found!r},"
        warn_user(f"{where} runs batches; the processes of one simulation run in threads here.")
    with futures.ThreadPoolExecutor(workers or usable_cores(), thread_name_prefix="simherd") as pool:
        yield pool


def default_scheduler(otherwise: str | None) -> Any:
    """Return an active Dask client, else what Dask's configuration says, else what is given."""
    import dask

    return active_client() or dask.config.get("scheduler", None) or otherwise


def active_client() -> Any:
    """Return the client in use, if there is one: nobody can have made one without importing it."""
    if "distributed" not in sys.modules:
        return None
    from distributed import get_client

    try:
        return get_client()
    except ValueError:
        return None


def _named(name: str, workers: int) -> Executor:
    _check_scheduler(name)
    kind = ALIASES.get(name.lower())
    if kind == "serial":
        return SerialExecutor()
    if kind == "threads":
        return thread_pool(workers)
    if kind == "processes":
        return ProcessExecutor(workers)
    if kind == "ray":
        from simherd.executors.ray import RayExecutor

        return RayExecutor(workers)
    if (client := active_client()) is None:
        raise SetupError(f"scheduler={name!r}: there is no active client.", fix="open one first.")
    return ClientExecutor(client)


def _given_pool(pool: futures.Executor, workers: int) -> Executor:
    in_threads = isinstance(pool, futures.ThreadPoolExecutor)
    workers = getattr(pool, "_max_workers", None) or workers
    return PoolExecutor(pool, workers, f"{type(pool).__name__}", not in_threads, owns_pool=False)

"""Thread guards: one simulation process shall not start a thread per core for each of its arrays.

Numerical libraries read their number of threads from the environment when they are loaded. One list,
here, says which variables these are.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

__all__ = [
    "ASKED",
    "GUARD_THREADS",
    "GUARD_VARIABLES",
    "guard_environment",
    "guard_task",
    "guard_threads",
    "guarded_here",
    "guarding",
    "lent_environment",
]

GUARD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "GOTO_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMEXPR_MAX_THREADS",
    "NUMBA_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
    "JULIA_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


GUARD_THREADS = 1
"""Threads of numerical libraries in each simulation of a batch, wherever it runs, unless others are asked.

It is the same everywhere, because a sum over two threads has other last bits than over one.
"""
ASKED = "SIMHERD_THREADS_PER_SIMULATION"
"""Environment variable of workers: the threads that they were given before NumPy was loaded."""
_asked: list[int] = []


def guard_threads() -> int:
    """Return the threads of numerical libraries in each simulation: those asked, or one."""
    given = os.environ.get(ASKED, "")
    return _asked[-1] if _asked else int(given) if given.isdigit() else GUARD_THREADS


@contextmanager
def guarding(threads: int) -> Iterator[None]:
    """Give simulations that run here, and in workers that start now, this number of threads.

    Parameters
    ----------
    threads : int
        Threads of each numerical library in a simulation. It belongs to what results depend on.
    """
    _asked.append(threads)
    try:
        yield
    finally:
        _asked.remove(threads)


def guard_environment(threads: int | None = None) -> dict[str, str]:
    """Return the environment that keeps numerical libraries to a number of threads."""
    count = str(threads or guard_threads())
    return {**dict.fromkeys(GUARD_VARIABLES, count), ASKED: count}


@contextmanager
def guarded_here() -> Iterator[None]:
    """Keep the libraries that this process has loaded to the threads that workers have."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(guard_threads()):
        yield


def guard_task() -> None:
    """Keep the process of a task to its threads, where libraries were loaded without the guards.

    That is so in workers that others started. They keep these threads, since other tasks may run at the same
    time; where workers are threads of the user's process, the client gives it back its own.
    """
    if ASKED not in os.environ:
        from threadpoolctl import threadpool_limits

        threadpool_limits(guard_threads())


_lock = threading.Lock()
_users = 0
_before: dict[str, str | None] = {}


@contextmanager
def lent_environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables for worker processes that start now, and put them back as they were.

    Several may do so at once: what the first one finds is what the last one restores.
    """
    global _users
    with _lock:
        _users += 1
        for name in values:
            _before.setdefault(name, os.environ.get(name))
        os.environ.update(values)
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                _restore()


def _restore() -> None:
    for name, value in _before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    _before.clear()

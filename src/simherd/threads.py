"""Thread guards: one simulation process shall not start a thread per core for each of its arrays.

Numerical libraries read their number of threads from the environment when they are loaded. One list,
here, says which variables these are.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

__all__ = ["GUARD_THREADS", "GUARD_VARIABLES", "guard_environment", "guarded_here", "lent_environment"]

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
"""Threads of numerical libraries in each simulation of a batch, wherever it runs.

It is the same everywhere, because a sum over two threads has other last bits than over one.
"""


def guard_environment(threads: int = GUARD_THREADS) -> dict[str, str]:
    """Return the environment that keeps numerical libraries to a number of threads."""
    return dict.fromkeys(GUARD_VARIABLES, str(threads))


@contextmanager
def guarded_here() -> Iterator[None]:
    """Keep the libraries that this process has loaded to the threads that workers have."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(GUARD_THREADS):
        yield


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

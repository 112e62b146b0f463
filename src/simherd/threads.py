"""Thread guards: one simulation process shall not start a thread per core for each of its arrays.

Numerical libraries read their number of threads from the environment when they are loaded. One list,
here, says which variables these are.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["GUARD_VARIABLES", "guard_environment", "preserved_environment"]

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


def guard_environment(threads: int = 1) -> dict[str, str]:
    """Return the environment that keeps numerical libraries to a number of threads."""
    return dict.fromkeys(GUARD_VARIABLES, str(threads))


@contextmanager
def preserved_environment() -> Iterator[None]:
    """Put the environment back as it was: Dask's nannies leave their guards in the client's."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)

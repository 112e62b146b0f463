"""The shares of its memory at which a worker acts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dask

__all__ = ["memory_settings"]

SECTION = "distributed.worker.memory"
DASK_PAUSE = 0.8
"""Dask's default: a worker that holds more begins no task."""


def memory_settings(given: Mapping[str, float | bool]) -> dict[str, Any]:
    """Return the settings of Dask for the memory of workers.

    Workers do not pause unless the user asks for it. Dask lets a worker wait until spilling frees memory, but
    blocks keep nothing that could be spilled: a table that a model has loaded stays in memory, and the worker
    would wait for ever. A worker that reaches the share `terminate` is ended and started again.

    Parameters
    ----------
    given : mapping of str to float or False
        Shares by what Dask does then: target, spill, pause, terminate.
    """
    is_configured = dask.config.get(f"{SECTION}.pause", DASK_PAUSE) != DASK_PAUSE
    shares = {**({} if is_configured else {"pause": False}), **given}
    return {f"{SECTION}.{what}": share for what, share in shares.items()}

"""Questions to the Dask scheduler of a client, each with a limit for its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import wait
from typing import Any

__all__ = ["LIMIT_S", "ask"]

LIMIT_S = 120.0
"""Time in which a Dask scheduler that is alive answers."""
SLICE_S = 1.0


def ask(client: Any, question: Callable[[], Any], limit_s: float = LIMIT_S) -> Any:
    """Return what a method of a client gives, and wait for it no longer than a limit.

    Parameters
    ----------
    client : dask.distributed.Client
        The client.
    question : callable
        Calls the method, such as ``client.nthreads``, in the event loop of the client, where Dask's methods
        return awaitables.
    limit_s : float, optional
        Longest time to wait, in s. Time in which a simulation holds the interpreter lock of this process does
        not count.

    Raises
    ------
    TimeoutError
        If there is no answer in time.
    """
    answer = asyncio.run_coroutine_threadsafe(_asked(question), client.loop.asyncio_loop)
    try:
        for _ in range(max(1, round(limit_s / SLICE_S))):
            if wait([answer], SLICE_S).done:
                return answer.result()
    finally:
        answer.cancel()
    raise TimeoutError(f"no answer within {limit_s:.0f} s")


async def _asked(question: Callable[[], Awaitable[Any]]) -> Any:
    return await question()

"""Workers that Dask has paused because their memory is nearly full, and that wait for ever.

Workers that simherd starts do not pause by default (`simherd.clusters.memory`). Those of other clusters do,
and so do ours where the user asks for it. Waiting does not free what a simulation leaves in memory. So a
paused worker is started again, and where that does not help the run ends.
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from typing import Any

from simherd.errors import ClusterError
from simherd.executors.asking import ask
from simherd.executors.workers import PausedWorker, paused_workers
from simherd.resources import format_bytes
from simherd.user_warnings import warn_user

__all__ = ["PauseWatch"]

LOOK_S = 5.0
"""Time between two looks at the workers, in s."""
PATIENCE_S = 20.0
"""Time that a worker may be paused without running anything, in s."""
RESTARTS = 2
"""How often a worker is started again while no block ends."""
RESTART_S = 60.0
FIX = (
    "give workers more memory, or fewer simulations at once (threads_per_worker); or let them fill their "
    "memory (worker_memory={'pause': False})."
)


class PauseWatch:
    """Starts paused workers again, and ends the run where that does not help.

    Parameters
    ----------
    client : dask.distributed.Client
        Of their scheduler.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._since: dict[str, float] = {}
        self._restarts: Counter[str] = Counter()
        self._restarted: dict[str, str] = {}
        self._told: set[str] = set()
        self._next_look = 0.0

    def why_restarted(self, address: str) -> str | None:
        """Return why a worker was started again by this watch; None if it was not."""
        return self._restarted.get(address)

    def look(self, has_progress: bool) -> None:
        """Look at the workers, if it is time to.

        Parameters
        ----------
        has_progress : bool
            Whether a block has ended since the last call.

        Raises
        ------
        ClusterError
            If all workers stay paused.
        """
        if has_progress:
            self._restarts.clear()
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + LOOK_S
        paused, others = paused_workers(self._client)
        self._since = {one.address: self._since.get(one.address, now) for one in paused}
        stuck = [one for one in paused if now - self._since[one.address] > PATIENCE_S]
        if stuck:
            self._free(stuck, are_all=not others and len(stuck) == len(paused))

    def _free(self, stuck: list[PausedWorker], are_all: bool) -> None:
        startable = [one for one in stuck if one.has_nanny and self._restarts[one.name] < RESTARTS]
        if not startable and are_all:
            raise ClusterError(f"All workers are paused. {_describe(stuck[0])}", fix=FIX)
        for one in stuck:
            self._tell(one, is_restarted=one in startable)
        for one in startable:
            self._restarts[one.name] += 1
            self._restarted[one.address] = _describe(one)
            del self._since[one.address]
        if startable:
            addresses = [one.address for one in startable]
            with suppress(TimeoutError):  # it is looked at again
                restarting = {"timeout": RESTART_S, "raise_for_error": False}
                ask(self._client, lambda: self._client.restart_workers(addresses, **restarting), RESTART_S)

    def _tell(self, worker: PausedWorker, is_restarted: bool) -> None:
        if worker.name in self._told:
            return
        self._told.add(worker.name)
        end = " It is started again, and what it was to run runs again." if is_restarted else ""
        warn_user(f"{_describe(worker)}{end} Fix: {FIX}", RuntimeWarning)


def _describe(worker: PausedWorker) -> str:
    limit = f" of {format_bytes(worker.limit_bytes)}" if worker.limit_bytes else ""
    return (
        f"Worker {worker.name} ({worker.address}) has been paused by Dask for {PATIENCE_S:.0f} s: it holds "
        f"{format_bytes(worker.held_bytes)}{limit} of memory and begins no simulation."
    )

"""Workers that Dask has paused because their memory is nearly full, and that wait for ever.

Workers that simherd starts do not pause by default (`simherd.clusters.memory`). Those of other clusters do,
and so do ours where the user asks for it. Waiting does not free what a simulation leaves in memory. So a
paused worker is started again, and where that does not help the run ends.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence

from simherd.errors import ClusterError
from simherd.executors.workers import WorkerSeen
from simherd.resources import format_bytes
from simherd.user_warnings import warn_user

__all__ = ["PauseWatch"]

PATIENCE_S = 20.0
"""Time that a worker may be paused without running anything, in s."""
RESTARTS = 2
"""How often a worker is started again while no block ends."""
FIX = (
    "give workers more memory, or fewer simulations at once (threads_per_worker); or let them fill their "
    "memory (worker_memory={'pause': False})."
)


class PauseWatch:
    """Says which paused workers to start again, and ends the run where that does not help."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._restarts: Counter[str] = Counter()
        self._told: set[str] = set()

    def note_progress(self) -> None:
        """Take into account that a block has ended: workers may be started again anew."""
        self._restarts.clear()

    def to_restart(self, workers: Sequence[WorkerSeen]) -> Mapping[str, str]:
        """Return the addresses of the workers to start again, each with why.

        Raises
        ------
        ClusterError
            If all workers stay paused.
        """
        now = time.monotonic()
        paused = [one for one in workers if one.is_paused]
        self._since = {one.address: self._since.get(one.address, now) for one in paused}
        stuck = [one for one in paused if now - self._since[one.address] > PATIENCE_S]
        startable = [one for one in stuck if one.has_nanny and self._restarts[one.name] < RESTARTS]
        if stuck and not startable and len(stuck) == len(workers):
            raise ClusterError(f"All workers are paused. {_describe(stuck[0])}", fix=FIX)
        for one in stuck:
            self._tell(one, is_restarted=one in startable)
        for one in startable:
            self._restarts[one.name] += 1
            del self._since[one.address]
        return {one.address: _describe(one) for one in startable}

    def _tell(self, worker: WorkerSeen, is_restarted: bool) -> None:
        if worker.name in self._told:
            return
        self._told.add(worker.name)
        end = " It is started again, and what it was to run runs again." if is_restarted else ""
        warn_user(f"{_describe(worker)}{end} Fix: {FIX}", RuntimeWarning)


def _describe(worker: WorkerSeen) -> str:
    limit = f" of {format_bytes(worker.limit_bytes)}" if worker.limit_bytes else ""
    return (
        f"Worker {worker.name} ({worker.address}) has been paused by Dask for {PATIENCE_S:.0f} s: it holds "
        f"{format_bytes(worker.held_bytes)}{limit} of memory and begins no simulation."
    )

"""Looks at the workers of a client every few seconds: which are paused or silent, or use many threads."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from simherd.executors.asking import ask
from simherd.executors.base import Lost
from simherd.executors.paused import PauseWatch
from simherd.executors.silence import Silence
from simherd.executors.thread_watch import ThreadWatch
from simherd.executors.workers import see_workers

__all__ = ["WorkerWatch"]

LOOK_S = 5.0
"""Time between two looks at the workers, in s."""
RESTART_S = 20.0
"""Time that the nanny of a worker has to end it, in s."""
ANSWER_S = 5.0


class WorkerWatch:
    """Starts workers again that are paused or silent, and ends the run where that does not help.

    Parameters
    ----------
    client : dask.distributed.Client
        Of their scheduler.
    threads : ThreadWatch
        Hears what threads they use.
    silence_s : float, optional
        Time after which a worker that gives no sign of life is given up, in s; None waits for ever.
    """

    def __init__(self, client: Any, threads: ThreadWatch, silence_s: float | None) -> None:
        self._client = client
        self._threads = threads
        self._paused = PauseWatch()
        self._silence: Silence[str] = Silence(silence_s)
        self._ended: dict[str, Lost] = {}
        self._next_look = 0.0

    def end_of(self, address: str) -> Lost | None:
        """Return why this watch has ended a worker; None if it has not."""
        return self._ended.get(address)

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
            self._paused.note_progress()
        now = time.monotonic()
        if now < self._next_look and not self._threads.has_news:
            return
        self._next_look = now + LOOK_S
        workers = see_workers(self._client)
        self._threads.warn({one.address: one.name for one in workers})
        signs = {one.address: one.last_sign for one in workers if one.has_work}
        paused, silent = self._paused.to_restart(workers), self._silence.beyond_limit(signs)
        self._restart(
            {address: Lost(why, is_innocent=True) for address, why in paused.items()}
            | {address: Lost(self._describe(address)) for address in silent}
        )

    def _describe(self, address: str) -> str:
        return f"worker {address} gave no sign of life for {self._silence.limit_s:.0f} s and was given up"

    def _restart(self, ends: dict[str, Lost]) -> None:
        """End workers; their nannies start new ones. The scheduler forgets a worker that does not end."""
        self._ended |= ends
        if ends:
            with suppress(TimeoutError):  # it is looked at again
                options = {"timeout": RESTART_S, "raise_for_error": False}
                ask(
                    self._client,
                    lambda: self._client.restart_workers(list(ends), **options),
                    RESTART_S + ANSWER_S,
                )

"""Hearing from workers what threads their libraries use, and saying it where that is too many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from simherd.batch_jobs import BatchJob
from simherd.executors.asking import ask
from simherd.thread_use import ThreadUse, first_use_of, overused
from simherd.user_warnings import warn_user

__all__ = ["ThreadWatch", "report_threads"]

TOPIC = "simherd-threads"
FIX = (
    "give workers the cores that their threads need; or export OMP_NUM_THREADS=1 and its like before they "
    "start, which simherd does for those that it starts itself."
)


def report_threads() -> None:
    """Tell the client, after a worker's first task, when its libraries are loaded, what threads they use."""
    from distributed import get_worker

    try:
        worker = get_worker()
    except ValueError:
        return  # no task of Dask
    use = first_use_of(worker.address, worker.state.nthreads)
    if use is not None:
        worker.log_event(TOPIC, use.as_message())


class ThreadWatch:
    """Gathers what workers report.

    Parameters
    ----------
    client : dask.distributed.Client
        Of their scheduler.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._uses: dict[str, ThreadUse] = {}
        self._said: set[tuple[str, str]] = set()
        self.jobs: set[BatchJob] = set()
        """Batch jobs of the workers that have been connected."""
        self._looked_at = 0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hear what comes while this lasts."""
        self._client.subscribe_topic(TOPIC, self._hear)
        earlier = ask(self._client, lambda: self._client.get_events(TOPIC))
        for event in earlier:  # a worker says it once, perhaps in an earlier run
            self._hear(event)
        try:
            yield
        finally:
            with suppress(OSError, ValueError):  # the scheduler is gone
                self._client.unsubscribe_topic(TOPIC)

    def _hear(self, event: tuple[float, Any]) -> None:
        _, message = event
        with suppress(KeyError, TypeError):  # of another version
            use = ThreadUse.from_message(message)
            self._uses[use.worker] = use

    @property
    def has_news(self) -> bool:
        """Whether a worker has reported since the last warning."""
        return len(self._uses) != self._looked_at

    def warn(self, names: Mapping[str, str]) -> None:
        """Warn of what was heard since the last time.

        Parameters
        ----------
        names : mapping
            The names of the workers that are there, by their addresses.
        """
        heard = list(self._uses.items())  # more may be heard at any moment
        if len(heard) == self._looked_at:
            return
        self._looked_at = len(heard)
        uses = [replace(use, worker=names[address]) for address, use in heard if address in names]
        self.jobs.update(use.job for use in uses if use.job is not None)
        for key, sentence in overused(uses).items():
            if key not in self._said:
                self._said.add(key)
                warn_user(f"{sentence} Fix: {FIX}", RuntimeWarning)

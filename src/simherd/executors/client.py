"""The workers of a Dask client, wherever they are."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Iterable
from itertools import islice
from typing import Any

from simherd.errors import ClusterError
from simherd.executors.base import TaskFunction, workers_died
from simherd.executors.payload import Payload, pack, unpack
from simherd.progress.words import counted

__all__ = ["ClientExecutor"]

AHEAD = 2
WORKER_TIMEOUT_S = 120


class ClientExecutor:
    """Runs items as tasks of a ``dask.distributed.Client``, which stays open.

    Parameters
    ----------
    client : dask.distributed.Client
        A client whose workers have simherd installed.

    Raises
    ------
    ClusterError
        If no worker arrives within two minutes.
    """

    crosses_processes = True

    def __init__(self, client: Any) -> None:
        self.client = client
        self.workers = self._count_threads()
        processes = counted(len(client.nthreads()), "worker")
        threads = f" with {self.workers} threads" if self.workers > len(client.nthreads()) else ""
        self.description = f"{processes}{threads} of the Dask scheduler at {client.scheduler.address}"

    def _count_threads(self) -> int:
        threads = sum(self.client.nthreads().values())
        if not threads:
            self._wait_for_one()
            threads = sum(self.client.nthreads().values())
        return int(threads)

    def _wait_for_one(self) -> None:
        try:
            self.client.wait_for_workers(1, timeout=WORKER_TIMEOUT_S)
        except TimeoutError as error:
            raise ClusterError(
                f"No worker connected to {self.client.scheduler.address} within {WORKER_TIMEOUT_S} s.",
                fix="look at the logs of the workers.",
            ) from error

    def map(self, function: TaskFunction, shared: Any, items: Iterable[Any]) -> Generator[Any, None, None]:
        """Yield results as they come, at most twice as many tasks on their way as there are threads.

        The shared object travels once to each worker: as the result of a task, which the scheduler
        repeats elsewhere if the worker that holds it is lost.
        """
        payload = shared if isinstance(shared, Payload) else pack(shared)
        carried = self._carry_to_workers(payload)
        waiting = iter(items)

        names: dict[str, str] = {}

        def submit() -> list[Any]:
            futures = []
            for item in islice(waiting, 1):
                futures.append(self.client.submit(_call, function, carried, item, pure=False))
                names[futures[-1].key] = str(item)
            return futures

        first = [future for _ in range(AHEAD * self.workers) for future in submit()]
        running: Any = _as_completed(first)
        try:
            for future in running:
                running.update(submit())
                result = _result_of(future, names.pop(future.key))
                future.release()
                yield result
        finally:
            self.client.cancel(list(running.futures), force=True)
            carried.release()

    def _carry_to_workers(self, payload: Payload) -> Any:
        """Return a future of the payload that all workers hold: tasks go first to those that do."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sending large graph")
            carried = self.client.submit(_carry, payload, pure=False)
        self.client.replicate([carried])
        return carried

    def __enter__(self) -> ClientExecutor:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass


def _as_completed(first: list[Any]) -> Any:
    import distributed

    return distributed.as_completed(first)  # type: ignore[no-untyped-call]


def _result_of(future: Any, name: str) -> Any:
    from distributed import KilledWorker

    try:
        return future.result()
    except KilledWorker as error:
        raise workers_died(error, name) from error


def _carry(payload: Payload) -> Payload:
    return payload


def _call(function: TaskFunction, payload: Payload, item: Any) -> Any:
    return function(unpack(payload), item)

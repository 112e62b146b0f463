"""The workers of a Dask client, wherever they are."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any

from simherd.batch_jobs import BatchJob
from simherd.errors import ClusterError
from simherd.executors.asking import ask
from simherd.executors.base import AHEAD, Executor, Lost, QueuedTasks, TaskFunction, Tasks
from simherd.executors.leaving import Refused, call_in_time
from simherd.executors.losses import Keeper, loss_of
from simherd.executors.payload import Payload, pack, seal
from simherd.executors.thread_watch import ThreadWatch
from simherd.executors.worker_watch import WorkerWatch
from simherd.progress.words import counted
from simherd.threads import guarded_here

__all__ = ["ClientExecutor"]

POLL_S = 1.0
WITH_EACH_ITEM_BYTES = 2**15
"""Size in bytes up to which what items share travels with each of them: that is quicker than to fetch it."""
WORKER_TIMEOUT_S = 120
SPREAD_S = 15.0
"""Time that workers have to fetch what blocks share before the first block, in s; others fetch it later."""
RESULT_S = 600.0
"""Time that the result of a block may take from its worker, in s."""
CANCEL_S = 10.0


class ClientExecutor(Executor):
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
        self.threads = ThreadWatch(client)
        threads_of = self._wait_for_threads()
        there = len(threads_of)
        most = 0 if self.keeper is None else self.keeper.most_threads
        self.workers = max(sum(threads_of.values()), most)
        self._before = {job for job, is_over in self._submitted().items() if is_over}
        if self.keeper is not None:
            size = f"up to {counted(self.workers, 'thread')} of workers ({there} connected so far)"
        else:
            threads = f" with {self.workers} threads" if self.workers > there else ""
            size = f"{counted(there, 'worker')}{threads}"
        self.description = f"{size} of the Dask scheduler at {client.scheduler.address}"

    def _wait_for_threads(self) -> dict[str, int]:
        threads = _threads(self.client)
        if not threads and self.keeper is None:
            self._wait_for_one()
            threads = _threads(self.client)
        return threads

    @property
    def keeper(self) -> Keeper | None:
        """Who replaces workers that are lost."""
        return getattr(self.client, "keeper", None)

    def _submitted(self) -> Mapping[BatchJob, bool]:
        return {} if self.keeper is None else self.keeper.batch_jobs

    def batch_jobs(self) -> frozenset[BatchJob]:
        """Return the jobs that were submitted for workers, and those that workers say they run in."""
        return frozenset((self._submitted().keys() | self.threads.jobs) - self._before)

    def _wait_for_one(self) -> None:
        try:
            self.client.wait_for_workers(1, timeout=WORKER_TIMEOUT_S)
        except TimeoutError as error:
            raise ClusterError(
                f"No worker connected to {self.client.scheduler.address} within {WORKER_TIMEOUT_S} s.",
                fix="look at the logs of the workers.",
            ) from error

    @contextmanager
    def tasks(self, function: TaskFunction, shared: Any, silence_s: float | None = None) -> Iterator[Tasks]:
        """Give tasks of which at most twice as many are on their way as there are threads.

        A small shared object travels with each item. A larger one travels once to each worker: as the
        result of a task, which the scheduler repeats elsewhere if the worker that holds it is lost.
        """
        payload = shared if isinstance(shared, Payload) else pack(shared)
        watch = WorkerWatch(self.client, self.threads, silence_s if self.can_end_items else None)
        tasks = _ClientTasks(self, function, payload, watch)
        try:
            with self.threads.listening(), self._guarded():
                yield tasks
        finally:
            tasks.close()

    @property
    def can_end_items(self) -> bool:  # type: ignore[override]  # it depends on the workers that are there
        """Whether no worker is a thread of this process."""
        return not any(address.startswith("inproc:") for address in _threads(self.client))

    def _guarded(self) -> AbstractContextManager[None]:
        """Return the context of tasks that run in threads of this process."""
        return nullcontext() if self.can_end_items else guarded_here()

    def __enter__(self) -> ClientExecutor:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass


class _ClientTasks(QueuedTasks[Any]):
    def __init__(
        self, executor: ClientExecutor, function: TaskFunction, payload: Payload, watch: WorkerWatch
    ) -> None:
        super().__init__(AHEAD * executor.workers)
        self._executor = executor
        self._client = executor.client
        self._function = function
        self._payload = payload
        self._carried = None if payload.size <= WITH_EACH_ITEM_BYTES else self._carry()
        self._watch = watch
        if self._carried is not None:
            self._spread()
        self._seen_workers = time.monotonic()

    def _carry(self) -> Any:
        """Return a future of the payload, which workers have from each other."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sending large graph")
            return self._client.submit(_unchanged, self._payload, pure=False)

    def _spread(self) -> None:
        """Let all workers fetch the payload."""
        with suppress(TimeoutError, ValueError):  # no worker now, or all are paused
            if _threads(self._client):
                ask(self._client, lambda: self._client.replicate([self._carried]), SPREAD_S)

    def _start(self, item: Any) -> Any:
        payload = self._payload if self._carried is None else self._carried
        return self._client.submit(call_in_time, self._function, payload, seal(item), pure=False)

    def finished(self, timeout: float | None = None) -> list[tuple[Any, Any]]:
        """Return what has ended; what a worker refused, because it leaves, is given to another one."""
        ended = super().finished(POLL_S if timeout is None else timeout)
        for item, _ in (pair for pair in ended if isinstance(pair[1], Refused)):
            self.submit(item)
        results = [pair for pair in ended if not isinstance(pair[1], Refused)]
        self._look_after_workers(bool(ended))
        with self._asking(OSError):
            self._watch.look(any(not isinstance(result, Lost) for _, result in results))
        return results

    def _look_after_workers(self, are_working: bool) -> None:
        """Raise an error if no worker is left, and none will come."""
        threads = self._count_threads() if not are_working else None
        if threads:
            self._limit = max(self._limit, AHEAD * threads)  # more of them have come
        if are_working or threads:
            self._seen_workers = time.monotonic()
        elif (keeper := self._executor.keeper) is not None:
            if keeper.failure is not None:
                raise keeper.failure
        elif time.monotonic() - self._seen_workers > WORKER_TIMEOUT_S:
            raise ClusterError(
                f"All workers of {self._address} are gone, for {WORKER_TIMEOUT_S} s by now.",
                fix="look at their logs; what is finished stays in the store.",
            )

    def _count_threads(self) -> int:
        with self._asking(OSError):
            return sum(_threads(self._client).values())

    @contextmanager
    def _asking(self, *lost: type[BaseException]) -> Iterator[None]:
        """Name the scheduler in the error, if one of these says that it does not answer."""
        try:
            yield
        except lost as error:
            raise ClusterError(
                f"The connection to the Dask scheduler at {self._address} was lost: {error}.",
                fix="look at its log; what is finished stays in the store.",
            ) from error

    def _result(self, future: Any) -> Any:
        from distributed import CancelledError, KilledWorker
        from distributed.comm.core import CommClosedError

        try:
            with self._asking(CancelledError, CommClosedError):  # an OSError may be the task's own
                result = self._fetched(future)
        except KilledWorker as error:
            if (
                self._carried is not None and self._carried.status == "error"
            ):  # it was on its way to the worker that was lost
                self._carried = self._carry()
            if end := self._watch.end_of(error.last_worker.address):
                return end
            with self._asking(OSError):
                return loss_of(self._client, error.last_worker)
        future.release()
        return result

    def _fetched(self, future: Any) -> Any:
        """Return the result of a task, or raise its error."""
        try:
            return future.result(RESULT_S)
        except TimeoutError as error:
            if future.status == "error":
                raise  # its own
            raise ClusterError(
                f"A worker did not hand over the result of a block within {RESULT_S:.0f} s.",
                fix="look whether its node is overloaded or hangs; what is finished stays in the store.",
            ) from error

    @property
    def _address(self) -> str:
        return str(self._client.scheduler.address)

    def close(self) -> None:
        with suppress(OSError):  # a scheduler that is gone has nothing to cancel
            ask(self._client, lambda: self._client.cancel(list(self._items), force=True), CANCEL_S)
        if self._carried is not None:
            self._carried.release()


def _threads(client: Any) -> dict[str, int]:
    """Return how many tasks each worker runs at once."""
    threads: dict[str, int] = ask(client, client.nthreads)
    return threads


def _unchanged(payload: Payload) -> Payload:
    return payload

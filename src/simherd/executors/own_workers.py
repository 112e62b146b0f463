"""Executors with workers of their own: it is known what each one runs, so also what ended it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any, ClassVar, Generic, Self, TypeVar

from simherd.executors.base import AHEAD, Executor, Lost, QueuedTasks, TaskFunction, Tasks
from simherd.executors.payload import Payload, pack

__all__ = ["OwnWorker", "OwnWorkerTasks", "OwnWorkersExecutor"]


class OwnWorker(ABC):
    """A worker that runs items sequentially, in the order in which it gets them."""

    gone: ClassVar[tuple[type[BaseException], ...]]
    """Errors of futures whose worker has ended."""

    def __init__(self) -> None:
        self.futures: set[futures.Future[Any]] = set()
        """Items on their way to it."""
        self.end = "the process ended abruptly"
        """How it ended, in words."""
        self.is_lost = False
        """Whether one of its items has been told that it ended."""

    @abstractmethod
    def submit(self, function: TaskFunction, payload: Payload, item: Any) -> futures.Future[Any]:
        """Return the future of an item.

        Raises
        ------
        Exception
            One of `gone`, if the worker has ended.
        """

    @abstractmethod
    def stop(self) -> None:
        """End it at once."""

    @property
    def is_started(self) -> bool:
        """Whether it need not start with its next item."""
        return True

    def _count(self, future: futures.Future[Any]) -> futures.Future[Any]:
        """Take an item for on its way until it ends."""
        self.futures.add(future)
        future.add_done_callback(self.futures.discard)
        return future


W = TypeVar("W", bound=OwnWorker)


class OwnWorkersExecutor(Executor, Generic[W]):
    """Runs items on workers of its own.

    Parameters
    ----------
    workers : int
        Number of workers.
    """

    crosses_processes = True

    def __init__(self, workers: int) -> None:
        self._workers: list[W] = [self._new_worker() for _ in range(workers)]
        self._reserve: list[W] = []

    @abstractmethod
    def _new_worker(self) -> W: ...

    @property
    def workers(self) -> int:  # type: ignore[override]
        """Items that run at once."""
        return len(self._workers)

    @property
    def is_usable(self) -> bool:
        """Whether what the workers need is still there."""
        return True

    @property
    def is_idle(self) -> bool:
        """Whether no worker has anything to do."""
        return not any(worker.futures for worker in self._workers)

    def resize(self, workers: int) -> None:
        """Use another number of workers; those that are not needed now stay for later.

        Parameters
        ----------
        workers : int
            Number of workers.
        """
        there = [*self._workers, *self._reserve]
        there.extend(self._new_worker() for _ in range(workers - len(there)))
        self._workers[:], self._reserve[:] = there[:workers], there[workers:]

    def stop(self) -> None:
        """End all workers; new ones start with the next items."""
        for worker in (*self._workers, *self._reserve):
            worker.stop()
        self._workers.clear()
        self._reserve.clear()

    @contextmanager
    def tasks(self, function: TaskFunction, shared: Any, silence_s: float | None = None) -> Iterator[Tasks]:
        """Give tasks of which at most two are on their way to each worker."""
        payload = shared if isinstance(shared, Payload) else pack(shared)
        tasks = self._tasks(function, payload, silence_s)
        try:
            yield tasks
        finally:
            tasks.close()

    def _tasks(self, function: TaskFunction, payload: Payload, silence_s: float | None) -> OwnWorkerTasks[W]:
        return OwnWorkerTasks(self._workers, self._new_worker, function, payload)

    def __enter__(self) -> Self:
        return self


class OwnWorkerTasks(QueuedTasks["futures.Future[Any]"], Generic[W]):
    """Items of which at most two are on their way to each worker.

    Of the items of a worker that ended, the first one is to blame; the others run elsewhere.

    Parameters
    ----------
    workers : list
        The workers; one that ends is replaced in this list.
    new_worker : callable
        Makes a worker.
    function : callable
        Called with the shared object and an item.
    payload : Payload
        The shared object.
    """

    def __init__(
        self, workers: list[W], new_worker: Callable[[], W], function: TaskFunction, payload: Payload
    ) -> None:
        super().__init__(AHEAD * len(workers))
        self._workers = workers
        self._new_worker = new_worker
        self._function = function
        self._payload = payload
        self._worker_of: dict[futures.Future[Any], W] = {}

    def _start(self, item: Any) -> futures.Future[Any]:
        worker = min(self._workers, key=lambda one: len(one.futures))
        try:
            future = worker.submit(self._function, self._payload, item)
        except worker.gone:
            worker = self._replace(worker)
            future = worker.submit(self._function, self._payload, item)
        self._worker_of[future] = worker
        return future

    def _replace(self, worker: W) -> W:
        """Put a new worker in the place of one that ended."""
        worker.stop()
        place = self._workers.index(worker)
        self._workers[place] = self._new_worker()
        return self._workers[place]

    def _settled(self, future: futures.Future[Any]) -> Iterator[tuple[Any, Any]]:
        worker = self._worker_of.pop(future)
        if not isinstance(future.exception(), worker.gone):
            yield from super()._settled(future)
            return
        item, was_lost, worker.is_lost = self._items.pop(future), worker.is_lost, True
        if worker in self._workers:
            self._replace(worker)
        if was_lost:
            self.submit(item)
        else:
            yield item, Lost(worker.end)

    def _result(self, future: futures.Future[Any]) -> Any:
        return future.result()

    def close(self) -> None:
        """Drop the items that have not begun."""
        for future in self._items:
            future.cancel()

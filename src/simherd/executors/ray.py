"""Actors of Ray, one per worker: each runs items sequentially, as worker processes of this machine do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any

from simherd.errors import MissingDependencyError
from simherd.executors.base import Executor, TaskFunction, Tasks
from simherd.executors.own_workers import OwnWorker, OwnWorkerTasks
from simherd.executors.payload import Payload, call_packed, pack, seal
from simherd.progress.words import counted
from simherd.threads import guard_environment
from simherd.warden import warden

__all__ = ["RayExecutor"]


class RayExecutor(Executor):
    """Runs items on actors of a Ray cluster: the one that is connected, else one of this machine.

    Parameters
    ----------
    workers : int, optional
        Number of actors; by default as many as the cluster has CPUs.

    Raises
    ------
    MissingDependencyError
        If Ray is not installed.
    """

    crosses_processes = True

    def __init__(self, workers: int | None = None) -> None:
        self._ray = _import_ray()
        self._owns_cluster = not self._ray.is_initialized()
        if self._owns_cluster:
            self._ray.init(
                num_cpus=workers, include_dashboard=False, log_to_driver=False, logging_level="ERROR"
            )
        self.workers = workers or int(self._ray.cluster_resources().get("CPU", 1))
        self.description = f"{counted(self.workers, 'actor')} of Ray"
        self._actors = [self._new_actor() for _ in range(self.workers)]

    def _new_actor(self) -> _Actor:
        return _Actor(self._ray)

    @contextmanager
    def tasks(self, function: TaskFunction, shared: Any, silence_s: float | None = None) -> Iterator[Tasks]:
        """Give tasks of which at most two are on their way to each actor."""
        payload = shared if isinstance(shared, Payload) else pack(shared)
        tasks = OwnWorkerTasks(self._actors, self._new_actor, function, payload)
        try:
            yield tasks
        finally:
            tasks.close()

    def __enter__(self) -> RayExecutor:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for actor in self._actors:
            actor.stop()
        if self._owns_cluster:
            self._ray.shutdown()


class _Actor(OwnWorker):
    """One actor. Ray keeps the shared object; a node has it once."""

    def __init__(self, ray: Any) -> None:
        super().__init__()
        self.gone = (ray.exceptions.RayActorError,)  # type: ignore[misc]  # known where Ray is installed
        self.end = "the actor ended abruptly"
        self._ray = ray
        environment = {"env_vars": guard_environment()}
        self._actor = ray.remote(_Caller).options(num_cpus=1, runtime_env=environment).remote()
        self._sent: dict[str, Any] = {}

    def submit(self, function: TaskFunction, payload: Payload, item: Any) -> futures.Future[Any]:
        if payload.digest not in self._sent:
            self._sent = {payload.digest: self._ray.put(payload)}
        reference = self._actor.call.remote(function, self._sent[payload.digest], seal(item))
        return self._count(reference.future())

    def stop(self) -> None:
        self._ray.kill(self._actor)


class _Caller:
    """What an actor does."""

    def __init__(self) -> None:
        warden()

    def call(self, function: TaskFunction, payload: Payload, item: Any) -> Any:
        """Call a function with a shared object and an item."""
        return call_packed(function, payload, item)


def _import_ray() -> Any:
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # quiet: actors ask for no GPU
    try:
        import ray
    except ImportError as error:
        raise MissingDependencyError(
            "Ray is asked for and is not installed.", fix="pip install 'simherd[ray]'."
        ) from error
    return ray

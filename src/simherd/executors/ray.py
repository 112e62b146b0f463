"""Actors of Ray, one per worker: each runs items sequentially, as worker processes of this machine do."""

from __future__ import annotations

import os
from concurrent import futures
from typing import Any

from simherd.errors import MissingDependencyError
from simherd.executors.base import TaskFunction
from simherd.executors.own_workers import OwnWorker, OwnWorkersExecutor
from simherd.executors.payload import Payload, call_packed, seal
from simherd.progress.words import counted
from simherd.resources import usable_cores
from simherd.threads import guard_environment
from simherd.warden import warden

__all__ = ["RayExecutor"]


class RayExecutor(OwnWorkersExecutor["_Actor"]):
    """Runs items on actors of a Ray cluster: the one that is connected, else one of this machine.

    Parameters
    ----------
    workers : int
        Number of actors.

    Raises
    ------
    MissingDependencyError
        If Ray is not installed.
    """

    def __init__(self, workers: int) -> None:
        self._ray = _import_ray()
        self._owns_cluster = not self._ray.is_initialized()
        if self._owns_cluster:
            quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
            self._ray.init(num_cpus=max(workers, usable_cores()), **quiet)
        self._cluster = _cluster_of(self._ray)
        super().__init__(workers)

    def _new_worker(self) -> _Actor:
        return _Actor(self._ray)

    @property
    def description(self) -> str:  # type: ignore[override]
        """How many actors there are."""
        return f"{counted(self.workers, 'actor')} of Ray"

    @property
    def is_usable(self) -> bool:
        """Whether the cluster of the actors is still the one that is connected."""
        return _cluster_of(self._ray) == self._cluster

    def stop(self) -> None:
        """End the actors, and the cluster if it was started for them."""
        if not self.is_usable:
            return
        super().stop()
        if self._owns_cluster:
            self._ray.shutdown()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()


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


def _cluster_of(ray: Any) -> str:
    """Return what tells the connected Ray cluster from others; "" if there is none."""
    return str(ray.get_runtime_context().gcs_address) if ray.is_initialized() else ""


def _import_ray() -> Any:
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # quiet: actors ask for no GPU
    try:
        import ray
    except ImportError as error:
        raise MissingDependencyError(
            "Running on Ray needs the package ray, which is not installed.", fix="pip install 'simherd[ray]'."
        ) from error
    return ray

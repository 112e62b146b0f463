"""What all adapters share: a client that takes its cluster along when it closes."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from distributed import Client, Nanny

from simherd.errors import ClusterOptionError
from simherd.executors.mainless import without_main
from simherd.resources import is_count
from simherd.threads import guard_environment, lent_environment

__all__ = ["GuardedNanny", "OwningClient", "positive"]


class OwningClient(Client):
    """A client that closes what was opened for it, newest first.

    Parameters
    ----------
    cluster : distributed.deploy.Cluster
        What it connects to.
    resources : ExitStack
        Cluster, folders and whatever else ends with the client; the client's own once it is connected.
    """

    def __init__(self, cluster: Any, resources: ExitStack) -> None:
        self._resources = ExitStack()
        super().__init__(cluster)  # type: ignore[no-untyped-call]
        self._resources = resources.pop_all()

    def close(self, *args: Any, **kwargs: Any) -> Any:
        """Close the client and then its cluster."""
        try:
            return super().close(*args, **kwargs)  # type: ignore[no-untyped-call]
        finally:
            self._resources.close()


class GuardedNanny(Nanny):
    """A nanny whose worker processes do not import the user's ``__main__`` and compute with one thread.

    It leaves the environment of the process that it lives in as it was, unlike Dask's own.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.pre_spawn_env |= guard_environment()
        self.env |= guard_environment()
        self.preload = [*(self.preload or ()), "simherd.clusters.worker"]

    async def instantiate(self) -> Any:
        """Start the worker process, also when it starts again after a crash."""
        with without_main(), lent_environment(self.pre_spawn_env):
            return await super().instantiate()


def positive(name: str, value: Any) -> int:
    """Return a whole number of at least 1.

    Raises
    ------
    ClusterOptionError
        If it is something else.
    """
    if is_count(value, 1):
        return value
    raise ClusterOptionError(
        f"{name}={value!r} is not allowed: a whole number, 1 or more, is needed.",
        fix=f"give {name} as 1 or more, or leave it out.",
    )

"""What all adapters share: a client that takes its cluster along when it closes."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from distributed import Client, Nanny

from simherd.errors import ClusterOptionError, close_matches
from simherd.executors.mainless import without_main
from simherd.threads import preserved_environment

__all__ = ["MainlessNanny", "OwningClient", "check_options", "positive"]


class OwningClient(Client):
    """A client that closes what was opened for it, newest first.

    Parameters
    ----------
    cluster : distributed.deploy.Cluster
        What it connects to.
    resources : ExitStack
        Cluster, folders and whatever else ends with the client.
    """

    def __init__(self, cluster: Any, resources: ExitStack) -> None:
        self._resources = resources
        super().__init__(cluster)  # type: ignore[no-untyped-call]

    def close(self, *args: Any, **kwargs: Any) -> Any:
        """Close the client and then its cluster."""
        try:
            return super().close(*args, **kwargs)  # type: ignore[no-untyped-call]
        finally:
            self._resources.close()


class MainlessNanny(Nanny):
    """A nanny whose worker processes do not import the user's ``__main__``.

    It leaves the environment of the process that it lives in as it was.
    """

    async def instantiate(self) -> Any:
        """Start the worker process, also when it starts again after a crash."""
        with without_main(), preserved_environment():
            return await super().instantiate()


def check_options(kind: str, options: dict[str, Any], allowed: tuple[str, ...]) -> None:
    """Raise an error for options that a kind of cluster does not have.

    Raises
    ------
    ClusterOptionError
        If there are any.
    """
    for name in options:
        if name not in allowed:
            raise ClusterOptionError(
                f"A cluster of kind {kind!r} has no option {name!r}. {close_matches(name, allowed)}"
            )


def positive(name: str, value: Any) -> int:
    """Return a whole number of at least 1.

    Raises
    ------
    ClusterOptionError
        If it is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ClusterOptionError(
            f"{name}={value!r} is not allowed: a whole number, 1 or more, is needed.",
            fix=f"give {name} as 1 or more, or leave it out.",
        )
    return value

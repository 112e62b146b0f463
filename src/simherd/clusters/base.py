"""What all adapters share: a client that takes its cluster along when it closes."""

from __future__ import annotations

import asyncio
import atexit
import multiprocessing
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal

from distributed import Client, Nanny

from simherd.executors.mainless import without_main
from simherd.executors.signals import starting_with_blocked
from simherd.threads import guard_environment, lent_environment

if TYPE_CHECKING:
    from simherd.executors.losses import Keeper

__all__ = ["GuardedNanny", "OwningClient", "ended_by_signals"]

KILLS = 2.5
"""How much longer than its time to end a worker may need until it has ended, killed at last."""


class OwningClient(Client):
    """A client that closes what was opened for it, newest first.

    It also does so when the program ends without closing it, or is told to by SIGTERM or SIGHUP, unless these
    have handlers already.

    Parameters
    ----------
    cluster : distributed.deploy.Cluster or str
        What it connects to.
    resources : ExitStack
        Cluster, folders and whatever else ends with the client; the client's own once it is connected.
    keeper : Keeper, optional
        Who replaces workers that are lost, see `simherd.executors.client`.
    dashboard : str, optional
        Address of the dashboard, where the cluster is not in this process.
    **options
        Further arguments of Dask's client.
    """

    def __init__(
        self,
        cluster: Any,
        resources: ExitStack,
        keeper: Keeper | None = None,
        dashboard: str | None = None,
        **options: Any,
    ) -> None:
        self._resources = ExitStack()
        self._dashboard = dashboard
        self.keeper: Keeper | None = keeper
        super().__init__(cluster, **options)  # type: ignore[no-untyped-call]
        self._resources.enter_context(ended_by_signals())
        self._resources.push(resources.pop_all())
        atexit.register(self.close)

    @property
    def dashboard_port(self) -> int | None:
        """Port of the dashboard on the machine of the Dask scheduler; None if there is none."""
        found = self.scheduler_info()["services"].get("dashboard")
        return None if found is None else int(found)

    @property
    def dashboard_link(self) -> str | None:
        """Address of the dashboard; who has it sees the dashboard."""
        return self._dashboard or super().dashboard_link

    def close(self, *args: Any, **kwargs: Any) -> Any:
        """Close the client and then its cluster."""
        atexit.unregister(self.close)
        try:
            return super().close(*args, **kwargs)  # type: ignore[no-untyped-call]
        finally:
            self._resources.close()


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the program tidily, unless they have handlers already."""
    handlers = _end_on_signals()
    try:
        yield
    finally:
        _restore(handlers)


def _end_on_signals() -> dict[int, Any]:
    """Let signals that would kill the program end it tidily; return the handlers of before."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    signals = [number for number in (signal.SIGTERM, signal.SIGHUP) if _is_default(number)]
    return {number: signal.signal(number, _end) for number in signals}


def _is_default(number: signal.Signals) -> bool:
    return signal.getsignal(number) is signal.SIG_DFL


def _end(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _restore(handlers: dict[int, Any]) -> None:
    if threading.current_thread() is not threading.main_thread():
        return
    for number in list(handlers):
        handler = handlers.pop(number)
        if signal.getsignal(number) is _end:
            signal.signal(number, handler)


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
        with without_main(), lent_environment(self.pre_spawn_env), starting_with_blocked("SIGINT"):
            return await super().instantiate()

    async def kill(self, timeout: float = 5, reason: str = "nanny-kill") -> None:
        """End the worker process.

        Dask's own waits for ever where it is called again for a process that did not even end when it was
        killed, because a file system hangs. So does Python when it ends, unless it forgets the process.

        Raises
        ------
        TimeoutError
            If the process does not end.
        """
        worker = self.process
        try:
            await asyncio.wait_for(super().kill(timeout, reason=reason), KILLS * timeout)
        except TimeoutError:
            if worker is not None and worker.process is not None:
                children: Any = multiprocessing.process
                children._children.discard(worker.process._process)
            raise

    async def close(self, timeout: float = 5, reason: str = "nanny-close") -> Literal["OK"]:  # type: ignore[override]  # as Dask's
        """Close, whether the worker process ends or not."""
        with suppress(TimeoutError):
            await super().close(timeout, reason=reason)
        return "OK"

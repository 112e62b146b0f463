"""Several processes that a launcher started, each with a core: rank 0 leads, all of them work.

Rank 0 hosts the Dask scheduler and the client, and goes on with the program. Every rank, that one too,
keeps a worker in a process of its own, so that code which holds Python's lock does not stop the
scheduler, and a simulation that ends its process ends no rank. The ranks know that it is over when
their connection to rank 0, the lifeline, breaks: whatever ended rank 0, the kernel sees to that.
"""

from __future__ import annotations

import atexit
import json
import signal
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from simherd.clusters.keeper import Invitation, Keeper
from simherd.clusters.memory import memory_settings
from simherd.clusters.scheduler import start_scheduler
from simherd.clusters.security import address_of, as_security
from simherd.errors import ClusterError, MissingDependencyError
from simherd.threads import guarding

if TYPE_CHECKING:
    from distributed import SpecCluster
    from distributed.security import Security

    from simherd.clusters.base import OwningClient

__all__ = ["RankOptions", "Ranks", "enter_as", "lead", "serve"]

LOOPBACK = "127.0.0.1"
BACKLOG = 4096


class Ranks(ABC):
    """Which of the processes this is, and how rank 0 tells the others something once."""

    rank: int
    """0 leads."""
    size: int
    """How many there are."""
    neighbors: int
    """How many are on this node, this one included."""

    @property
    def is_one_node(self) -> bool:
        """Whether all are on one node."""
        return self.neighbors == self.size

    def __init__(self) -> None:
        self._has_shared = False

    def share(self, message: bytes | None) -> bytes:
        """Return what rank 0 has to say, once; only rank 0 gives it, and nothing means that it is over.

        Raises
        ------
        ClusterError
            If rank 0 has said something before, or the others hear nothing from it.
        """
        if self.size == 1:
            return message or b""
        if self._has_shared:
            raise ClusterError(
                "The other ranks have left already: they stay for one cluster.",
                fix="keep the first client open for all that is to run.",
            )
        self._has_shared = True
        return self._share(message)

    @abstractmethod
    def _share(self, message: bytes | None) -> bytes:
        """Do so between several ranks."""

    def release(self) -> None:
        """Let the other ranks end if they still wait for rank 0."""
        if self.rank == 0 and not self._has_shared:
            self.share(b"")
            self.forget()

    def forget(self) -> None:  # noqa: B027 (not all leave something)
        """Remove what the message left behind."""

    @contextmanager
    def released_after_an_error(self) -> Iterator[None]:
        """Let the other ranks end if rank 0 fails in here."""
        try:
            yield
        except BaseException:
            self.release()
            raise


@dataclass(frozen=True, kw_only=True, slots=True)
class RankOptions:
    """What a user asks of workers on ranks."""

    threads_per_worker: int = 1
    """Blocks that a rank runs at once."""
    memory_bytes: int | None = None
    """Memory of a rank; None is its share of what the node offers."""
    interface: str | None = None
    """Network interface; None is loopback if all ranks are on one node."""
    local_directory: str | None = None
    """Folder in which workers put what does not fit into memory."""
    dashboard_address: str | None = f"{LOOPBACK}:0"
    """Where the dashboard listens; None is nowhere."""
    security: Any = None
    """Credentials; None makes temporary ones, "none" does not."""
    death_timeout_s: float = 60
    """How long a worker tries to reach the scheduler."""
    worker_memory: Mapping[str, Any] | None = None
    """Dask's thresholds: target, spill, pause, terminate."""
    name: str | None = None
    """Name of the cluster."""
    guard_threads: int = 1
    """Threads of numerical libraries in a simulation."""

    @classmethod
    def of(
        cls,
        *,
        threads_per_worker: int | None,
        memory: str | int | None,
        death_timeout: float | str,
        guard_threads: int,
        worker_memory: Mapping[str, Any] | None,
        **others: Any,
    ) -> RankOptions:
        """Return what a user gave, checked.

        Raises
        ------
        ClusterOptionError
            If it is wrong.
        """
        from simherd.clusters.checks import positive, seconds, shares
        from simherd.resources import parse_job_memory

        return cls(
            threads_per_worker=positive("threads_per_worker", threads_per_worker or 1),
            memory_bytes=None if memory is None else parse_job_memory(memory),
            death_timeout_s=seconds("death_timeout", death_timeout),
            guard_threads=positive("guard_threads", guard_threads),
            worker_memory=None if worker_memory is None else shares("worker_memory", worker_memory),
            **others,
        )


_entered: list[Ranks] = []


def enter_as(rank: int, find: Callable[[], Ranks]) -> Ranks:
    """Return the ranks, on rank 0; the others work from here on and leave the program when it is over.

    Parameters
    ----------
    rank : int
        What the launcher says; the worker of a rank loads Dask while the ranks find each other.
    find : callable
        Finds the other ranks.

    Raises
    ------
    ClusterError
        If the ranks do not find each other; on rank 0 only, so that it is said once.
    MissingDependencyError
        If something is not installed that they need for it.
    SystemExit
        On all ranks but the first.
    """
    if _entered:
        return _entered[0]
    with Keeper(rank) as keeper:
        if rank > 0:
            keeper.prepare()
        try:
            ranks = find()
        except (ClusterError, MissingDependencyError):
            if rank > 0:
                raise SystemExit(0) from None
            raise
        if ranks.rank > 0:
            serve(ranks, keeper)
    atexit.register(ranks.release)
    _entered.append(ranks)
    return ranks


def lead(ranks: Ranks, **given: Any) -> OwningClient:
    """Start scheduler and workers from rank 0, and return the client.

    Parameters
    ----------
    ranks : Ranks
        All of them.
    **given
        What the user asks, see `RankOptions`.

    Raises
    ------
    ClusterOptionError
        If an option is wrong.
    ClusterError
        If the scheduler does not start; the other ranks end then, too.
    """
    from simherd.clusters.base import OwningClient

    with ranks.released_after_an_error(), ExitStack() as stack:
        stack.callback(ranks.forget)
        cluster, invitation, keeper = _invite(ranks, RankOptions.of(**given), stack)
        ranks.share(invitation.to_json())
        keeper.start(invitation)
        return OwningClient(cluster, stack, keeper)


def _invite(ranks: Ranks, options: RankOptions, stack: ExitStack) -> tuple[SpecCluster, Invitation, Keeper]:
    """Start what the ranks connect to; it ends in the order scheduler, lifeline, own worker."""
    import dask

    is_local = ranks.is_one_node and options.interface is None
    host = LOOPBACK if is_local else address_of(options.interface)
    security = as_security(options.security, is_wanted=True)
    keeper = stack.enter_context(Keeper(ranks.rank, ranks.neighbors))
    keeper.most_threads = ranks.size * options.threads_per_worker
    lifeline = stack.enter_context(socket.create_server((host, 0), backlog=BACKLOG))
    stack.enter_context(guarding(options.guard_threads))
    stack.enter_context(dask.config.set(memory_settings(options.worker_memory or {})))
    cluster = stack.enter_context(
        start_scheduler(host, security, dashboard_address=options.dashboard_address, name=options.name)
    )
    invitation = Invitation(
        scheduler=cluster.scheduler_address,
        lifeline=(host, lifeline.getsockname()[1]),
        tls=_credentials(security),
        threads=options.threads_per_worker,
        memory_bytes=options.memory_bytes,
        interface=options.interface,
        is_loopback=is_local,
        local_directory=options.local_directory,
        death_timeout_s=options.death_timeout_s,
        guard_threads=options.guard_threads,
        config=_plain(dask.config.config),
    )
    return cluster, invitation, keeper


def serve(ranks: Ranks, keeper: Keeper) -> NoReturn:
    """Work until rank 0 ends, then leave the program.

    Raises
    ------
    SystemExit
        With code 0, when it is over.
    ClusterError
        If no worker can be started here.
    """
    _leave_signals_to_rank_0(keeper)
    with keeper:
        keeper.rank, keeper.neighbors = ranks.rank, ranks.neighbors
        message = ranks.share(None)
        if message:
            keeper.keep(Invitation.from_json(message))
    ranks.forget()
    raise SystemExit(0)


def _leave_signals_to_rank_0(keeper: Keeper) -> None:
    """Work on when a launcher signals all ranks: rank 0 decides what of the work is still to end."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"):
        signal.signal(getattr(signal, name), lambda number, frame: keeper.hurry())


def _credentials(security: Security | None) -> dict[str, str]:
    if security is None:
        return {}
    found = security.get_tls_config_for_role("worker")  # type: ignore[no-untyped-call]
    return {name: found[name] for name in ("ca_file", "cert", "key") if found.get(name)}


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return those sections of Dask's configuration that can travel as text."""
    return {name: value for name, value in config.items() if _is_plain(value)}


def _is_plain(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True

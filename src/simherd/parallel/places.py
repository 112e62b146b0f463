"""From a parallelizer to the executor that runs its packs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from simherd.clusters import open_client, split_options
from simherd.errors import ClusterError
from simherd.executors.base import Executor
from simherd.executors.choose import active_client, choose_executor
from simherd.executors.client import ClientExecutor
from simherd.executors.kept import kept
from simherd.executors.pool import thread_pool
from simherd.executors.processes import ProcessExecutor
from simherd.executors.serial import SerialExecutor
from simherd.parallel.methods import Method, Place

__all__ = ["opened"]

_for_life = ExitStack()
"""What stays open until the program ends: the ranks of an MPI program work once."""
_ranks: list[Any] = []


@contextmanager
def opened(method: Method, ncpus: int, *, is_given: bool) -> Iterator[Executor]:
    """Give the executor of a parallelizer.

    Parameters
    ----------
    method : Method
        The parallelizer, none that is a function.
    ncpus : int
        Threads or processes.
    is_given : bool
        Whether the user says how many: clusters choose themselves otherwise.

    Raises
    ------
    ClusterError
        If there is no client, or no worker comes.
    """
    with ExitStack() as stack:
        yield stack.enter_context(_executor(method, ncpus, is_given, stack))


def _executor(method: Method, ncpus: int, is_given: bool, stack: ExitStack) -> Any:
    match method.place:
        case Place.HERE:
            return SerialExecutor()
        case Place.THREADS:
            return thread_pool(ncpus)
        case Place.PROCESSES:
            return kept("processes", lambda: ProcessExecutor(0), ncpus)
        case Place.EXECUTOR:
            return choose_executor(True, method.given, ncpus)
        case Place.RAY:
            return _kept_actors(ncpus)
        case Place.CLIENT:
            return ClientExecutor(method.given or _active())
    return ClientExecutor(_cluster(method.given, ncpus if is_given else None, stack))


def _kept_actors(actors: int) -> Any:
    from simherd.executors.ray import RayExecutor

    return kept("ray", lambda: RayExecutor(0), actors)


def _active() -> Any:
    if (client := active_client()) is None:
        raise ClusterError(
            "The parallelizer 'dask' needs a Dask client, and none is active.",
            fix="open one first (simherd.open_client), pass one, or name a kind of cluster.",
        )
    return client


def _cluster(kind: str, ncpus: int | None, stack: ExitStack) -> Any:
    """Return the client of a cluster that is started for a map."""
    if kind == "mpi":
        if not _ranks:
            _ranks.append(_for_life.enter_context(open_client(kind)))
        return _ranks[0]
    used, _ = split_options(kind, {} if ncpus is None else {"workers": ncpus})
    return stack.enter_context(open_client(kind, **used))

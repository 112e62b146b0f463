"""Worker processes on this machine."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import Any

import dask
from distributed import Worker
from distributed.system import MEMORY_LIMIT

from simherd.clusters.base import GuardedNanny, OwningClient
from simherd.clusters.checks import positive, shares
from simherd.clusters.memory import memory_settings
from simherd.clusters.scheduler import SETTINGS
from simherd.clusters.scratch import make_worker_folder
from simherd.clusters.security import address_of, as_security
from simherd.clusters.watching import LocalWorkers
from simherd.errors import ClusterError, ClusterOptionError
from simherd.resources import parse_job_memory, usable_cores
from simherd.threads import guarding

__all__ = ["open"]


def open(  # noqa: A001 (the one verb that all adapters have)
    *,
    workers: int | None = None,
    threads_per_worker: int | None = None,
    memory: str | int | None = None,
    processes: int | None = None,
    interface: str | None = None,
    local_directory: str | None = None,
    dashboard_address: str | None = "127.0.0.1:0",
    security: Any = None,
    worker_memory: Mapping[str, Any] | None = None,
    guard_threads: int = 1,
    name: str | None = None,
) -> OwningClient:
    """Start worker processes on this machine and return a client.

    Parameters
    ----------
    workers : int, optional
        Worker processes; with `threads_per_worker` as many as fill the usable cores by default.
    threads_per_worker : int, optional
        Blocks that a worker runs at once; 1 by default.
    memory : str or int, optional
        Memory of all workers together, as "4 GiB" or in bytes; all of this machine's by default.
    processes : int, optional
        0 runs the workers as threads of this process.
    interface : str, optional
        Network interface at which the Dask scheduler listens; this machine only by default.
    local_directory : str, optional
        Folder in which workers put what does not fit into memory; a temporary one by default.
    dashboard_address : str, optional
        Where the dashboard listens; this machine only, at a free port, by default. None is off.
    security : object, optional
        "tls", "none" or credentials; by default TLS with credentials made for this cluster. Workers that
        are threads of this process (``processes=0``) have no port that others could reach.
    worker_memory : mapping, optional
        Shares of a worker's memory at which Dask acts: target, spill, pause, terminate.
    guard_threads : int, optional
        Threads of numerical libraries in each simulation.
    name : str, optional
        Name of the cluster.

    Raises
    ------
    ClusterOptionError
        If an option is wrong.
    ClusterError
        If the workers do not start.
    """
    threads = positive("threads_per_worker", 1 if threads_per_worker is None else threads_per_worker)
    if processes not in (None, 0):
        raise ClusterOptionError(
            f"processes={processes!r} is not allowed for a local cluster: 0, for threads only.",
            fix="give the number of worker processes as workers.",
        )
    host = "127.0.0.1" if interface is None else address_of(interface)
    is_in_process = processes == 0 and interface is None
    listening = {} if is_in_process else {"host": host}
    settings = memory_settings(shares("worker_memory", worker_memory or {}))
    credentials = as_security(security, is_wanted=not is_in_process)
    secured = {} if credentials is None else {"security": credentials, "protocol": "tls://"}
    guarded = positive("guard_threads", guard_threads)
    count = positive("workers", max(1, usable_cores() // (threads * guarded)) if workers is None else workers)
    limit = (MEMORY_LIMIT if memory is None else parse_job_memory(memory)) // count
    with ExitStack() as stack:
        folder = _made_folder(local_directory)
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.enter_context(guarding(guarded))
        with dask.config.set({"temporary-directory": folder, **SETTINGS, **settings}):
            cluster = stack.enter_context(
                _start(
                    name=name,
                    n_workers=count,
                    threads_per_worker=threads,
                    processes=processes is None,
                    worker_class=GuardedNanny if processes is None else Worker,
                    memory_limit=limit,
                    **listening,
                    **secured,
                    dashboard_address=dashboard_address or "127.0.0.1:0",
                    scheduler_kwargs={"dashboard": dashboard_address is not None},
                    local_directory=folder,
                    silence_logs=logging.CRITICAL,  # what matters comes back as an exception
                )
            )
        return OwningClient(cluster, stack)


def _made_folder(parent: str | None) -> str:
    try:
        return make_worker_folder(parent)
    except OSError as error:
        raise ClusterOptionError(
            f"The workers cannot keep files in local_directory={parent!r}: {error.strerror}.",
            fix="name a folder that you can write.",
        ) from error


def _start(**options: Any) -> LocalWorkers:
    """Start the workers; where that is interrupted, all of them first: half a cluster cannot be closed."""
    with ThreadPoolExecutor(1) as starting:
        cluster = starting.submit(LocalWorkers, **options)
        try:
            return cluster.result()
        except (KeyboardInterrupt, SystemExit):
            with suppress(Exception):
                cluster.result().close()
            raise
        except RuntimeError as error:
            raise _not_started(error) from error


def _not_started(error: RuntimeError) -> ClusterError:
    return ClusterError(
        f"The workers on this machine did not start: {error}.",
        fix="look at dashboard_address and local_directory.",
    )

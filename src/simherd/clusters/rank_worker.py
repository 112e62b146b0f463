"""The worker process of a rank: ``python -m simherd.clusters.rank_worker``, started by its keeper."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from simherd.executors.signals import leave_signals_to_client

__all__ = ["main"]

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Load Dask, hear from the keeper where to connect, and work until the scheduler closes."""
    _end_with_keeper()
    leave_signals_to_client("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
    keeper = _take_over_stdin()
    import distributed  # noqa: F401  (while the invitation is on its way)

    line = keeper.readline()
    if not line:
        return
    threading.Thread(target=_end_when_closed, args=[keeper], daemon=True).start()
    told = json.loads(line)
    sys.path[:] = told["path"]
    asyncio.run(_work(told))


def _end_with_keeper() -> None:
    """Ask Linux to end this process with the keeper, also while C code holds Python's lock."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _take_over_stdin() -> BinaryIO:
    """Return the connection to the keeper; simulations find nothing on standard input."""
    keeper = os.fdopen(os.dup(0), "rb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return keeper


def _end_when_closed(keeper: BinaryIO) -> None:
    keeper.read()
    os._exit(1)


async def _work(told: dict[str, Any]) -> None:
    from distributed import Worker

    _configure(told["config"])
    worker = Worker(
        told["scheduler"],
        nthreads=told["threads"],
        name=told["name"],
        memory_limit=told["memory_bytes"],
        interface=told["interface"],
        host="127.0.0.1" if told["is_loopback"] else None,
        local_directory=told["folder"],
        death_timeout=told["death_timeout_s"],
        dashboard_address="127.0.0.1:0",
        security=_security(told["tls"]),
        preload=["simherd.clusters.worker"],
    )
    await worker
    from simherd.clusters.keeper import CONNECTED

    Path(told["folder"], CONNECTED).touch()
    await worker.finished()  # type: ignore[no-untyped-call]


def _configure(config: dict[str, Any]) -> None:
    import logging

    import dask

    dask.config.update(dask.config.config, config)
    logging.getLogger("distributed").setLevel(logging.CRITICAL)


def _security(tls: dict[str, str]) -> Any:
    from distributed.security import Security

    if not tls:
        return None
    return Security(  # type: ignore[no-untyped-call]
        require_encryption=True,
        tls_ca_file=tls["ca_file"],
        tls_worker_cert=tls["cert"],
        tls_worker_key=tls["key"],
    )


if __name__ == "__main__":
    main()

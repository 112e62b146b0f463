"""What keeps a worker process on a rank: starts it, starts it again after a crash, ends it in time.

It takes the part of Dask's nanny without importing Dask: on a rank that only works, the worker's own
start is then the only one that loads it.
"""

from __future__ import annotations

import json
import logging
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from simherd.batch_jobs import BatchJob
from simherd.clusters.scratch import make_worker_folder
from simherd.errors import ClusterError
from simherd.threads import GUARD_THREADS, guard_environment

__all__ = ["CONNECTED", "Invitation", "Keeper", "worker_environment"]

CONNECTED = "connected"
"""File that a worker makes in its folder when it has reached the scheduler."""
POLL_S = 0.2
GRACE_S = 2.0
KILL_S = 10.0
STARTS = 3
LAUNCHER_VARIABLES = ("OMPI_", "PMIX_", "PMI_", "ORTE_", "PRTE_", "MPI_LOCAL", "HYDRA_", "HYDI_")
KEPT_VARIABLES = ("OMPI_ALLOW_RUN_AS_ROOT",)


@dataclass(frozen=True, kw_only=True, slots=True)
class Invitation:
    """What rank 0 tells the others: where to connect and what to be."""

    scheduler: str
    """Address of the Dask scheduler."""
    lifeline: tuple[str, int]
    """Host and port of the connection that lasts as long as rank 0 does."""
    tls: dict[str, str]
    """Credentials in PEM, or their paths: ca_file, cert, key; empty for none."""
    threads: int
    """Blocks that a worker runs at once."""
    memory_bytes: int | None
    """Memory of a worker; None is its share of what the node offers."""
    interface: str | None
    """Network interface of workers."""
    is_loopback: bool
    """Whether workers listen on this machine only."""
    local_directory: str | None
    """Folder under which workers keep files."""
    death_timeout_s: float
    """How long a worker tries to reach the scheduler."""
    guard_threads: int
    """Threads of numerical libraries in a simulation."""
    config: dict[str, Any]
    """Dask's configuration on rank 0."""

    def to_json(self) -> bytes:
        """Return it as one line."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Invitation:
        """Return what was written as a line."""
        given = json.loads(text)
        return cls(**{**given, "lifeline": tuple(given["lifeline"])})


class Keeper:
    """Keeps one worker process. Leaving its context ends the process and what that started.

    Parameters
    ----------
    rank : int
        Names the worker.
    neighbors : int
        Ranks of this node, which share its memory.
    """

    def __init__(self, rank: int, neighbors: int = 1) -> None:
        self.rank = rank
        self.neighbors = neighbors
        self._process: subprocess.Popen[bytes] | None = None
        self._threads = GUARD_THREADS
        self._folder: str | None = None
        self._thread: threading.Thread | None = None
        self._grace_s = GRACE_S
        self.most_threads = 0
        """Blocks that all ranks run at once; rank 0 knows."""
        self.failure: Exception | None = None
        """Why no worker is kept any more; see `simherd.executors.losses`."""

    def __enter__(self) -> Keeper:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._thread is not None:
            self._thread.join(2 * GRACE_S + 1)
        self._end()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def prepare(self, threads: int = GUARD_THREADS) -> None:
        """Start the process, which loads what it needs while it waits to be told where to connect."""
        self._threads = threads
        self._process = subprocess.Popen(
            [sys.executable, "-m", "simherd.clusters.rank_worker"],
            stdin=subprocess.PIPE,
            env=worker_environment(os.environ, threads),
            start_new_session=True,  # so that what a simulation started can be ended with it
        )

    def hurry(self) -> None:
        """Leave the worker no time once the lifeline breaks: the launcher gives this rank none."""
        self._grace_s = 0

    def start(self, invitation: Invitation) -> None:
        """Keep a worker in a thread, until the lifeline breaks."""
        self._thread = threading.Thread(
            target=self._keep_aside, args=[invitation], name="simherd-keeper", daemon=True
        )
        self._thread.start()

    def _keep_aside(self, invitation: Invitation) -> None:
        try:
            self.keep(invitation)
        except (ClusterError, OSError) as error:
            self.failure = error
            logging.getLogger("simherd").error("%s", error)

    @property
    def batch_jobs(self) -> dict[BatchJob, bool]:
        """Nothing: the ranks are in jobs that others submitted."""
        return {}

    def end_of(self, worker: str) -> None:
        """Say nothing of how a worker ended: it starts again."""

    def complaint_of(self, worker: str) -> str:
        """Say nothing: what workers write is in the output of the ranks."""
        return ""

    def keep(self, invitation: Invitation) -> None:
        """Keep a worker until the lifeline breaks.

        Raises
        ------
        ClusterError
            If the worker does not start, several times in a row.
        """
        try:
            lifeline = socket.create_connection(invitation.lifeline, timeout=invitation.death_timeout_s)
        except OSError:
            return  # rank 0 has ended already
        with lifeline:
            lifeline.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self._folder = self._make_folder(invitation.local_directory)
            self._keep_while(lifeline, invitation)
        self._end(self._grace_s)

    def _make_folder(self, parent: str | None) -> str:
        try:
            return make_worker_folder(parent)
        except OSError as error:
            raise ClusterError(
                f"Rank {self.rank} cannot keep files of its worker: {error}.", fix="look at local_directory."
            ) from error

    def _keep_while(self, lifeline: socket.socket, invitation: Invitation) -> None:
        assert self._folder is not None
        mark = Path(self._folder, CONNECTED)
        failures = 0
        while failures < STARTS:
            mark.unlink(missing_ok=True)
            code = self._run_one(lifeline, invitation)
            if code is None:
                return
            failures = 0 if mark.exists() else failures + 1
        raise ClusterError(
            f"Rank {self.rank} on {socket.gethostname()} could not start a worker: it ended "
            f"{failures} times before it reached the scheduler at {invitation.scheduler}, at last with "
            f"code {code}.",
            fix="look at what it wrote, and at interface and security.",
        )

    def _run_one(self, lifeline: socket.socket, invitation: Invitation) -> int | None:
        """Run one worker process; return its exit code, or None if the lifeline broke before."""
        process = self._invited(invitation)
        limit = _Limit(process.pid, self._memory(invitation), _terminate(invitation.config))
        while process.poll() is None:
            if _is_broken(lifeline, POLL_S):
                return None
            if limit.is_exceeded():
                self._end()
        self._end()  # what a simulation started
        return None if _is_broken(lifeline, 0) else process.returncode

    def _invited(self, invitation: Invitation) -> subprocess.Popen[bytes]:
        if self._process is None or self._threads != invitation.guard_threads:
            self._end()
            self.prepare(invitation.guard_threads)
        assert self._process is not None
        assert self._process.stdin is not None
        told = {
            **asdict(invitation),
            "name": self.rank,
            "memory_bytes": self._memory(invitation),
            "folder": self._folder,
            "path": sys.path,
        }
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(told).encode() + b"\n")
            self._process.stdin.flush()
        return self._process

    def _memory(self, invitation: Invitation) -> int:
        from simherd.resources import usable_memory

        return invitation.memory_bytes or usable_memory() // self.neighbors

    def _end(self, grace_s: float = 0) -> None:
        """End the process, after a time in which it may do so itself, and all that it started."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(subprocess.TimeoutExpired):
            process.wait(grace_s)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):  # one that waits for a file system that is gone
            process.wait(KILL_S)
        if process.stdin is not None:
            with suppress(BrokenPipeError):
                process.stdin.close()


class _Limit:
    """Whether a process holds more memory than it may, before it takes others of the node along."""

    def __init__(self, pid: int, memory_bytes: int, fraction: float) -> None:
        self._pid = pid
        self._bytes = int(memory_bytes * fraction)

    def is_exceeded(self) -> bool:
        if not self._bytes:
            return False
        import psutil

        try:
            return bool(psutil.Process(self._pid).memory_info().rss > self._bytes)
        except psutil.Error:
            return False


def _terminate(config: dict[str, Any]) -> float:
    memory = config.get("distributed", {}).get("worker", {}).get("memory", {})
    return float(memory.get("terminate", 0.95) or 0)


def _is_broken(lifeline: socket.socket, timeout_s: float) -> bool:
    readable, _, _ = select.select([lifeline], [], [], timeout_s)
    if not readable:
        return False
    try:
        return not lifeline.recv(1)
    except OSError:
        return True


def worker_environment(given: os._Environ[str] | dict[str, str], threads: int) -> dict[str, str]:
    """Return the environment of a worker: none of an MPI rank, with the thread guards."""
    kept = {
        name: value
        for name, value in given.items()
        if name.startswith(KEPT_VARIABLES) or not name.startswith(LAUNCHER_VARIABLES)
    }
    return {"MALLOC_TRIM_THRESHOLD_": "65536", **kept, **guard_environment(threads)}

"""The tasks of a SLURM job step, started by srun, without MPI.

Rank 0 says where the scheduler is, and how to reach it in secret, in a file that only the user can
read, in a folder that belongs to this step alone and goes when the run ends.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simherd.clusters.ranks import Ranks, enter_as, lead
from simherd.errors import ClusterError

if TYPE_CHECKING:
    from simherd.clusters.base import OwningClient

__all__ = ["TaskRanks", "enter", "open", "tasks_on_node"]

FOLDER = ".simherd-step-"
MESSAGE = "invitation"
SEEN = "seen-"
PAUSE_S = 0.05
WAIT_S = 900.0
"""How long tasks wait for word from rank 0, which may read and check a large experiment first."""
LATE_S = 60.0
"""How long the first task waits for the others to have heard from it, at its end."""


def open(  # noqa: A001 (the one verb that all adapters have)
    *,
    threads_per_worker: int | None = None,
    memory: str | int | None = None,
    interface: str | None = None,
    local_directory: str | None = None,
    dashboard_address: str | None = "127.0.0.1:0",
    security: Any = None,
    worker_memory: Mapping[str, Any] | None = None,
    death_timeout: float | str = 60,
    guard_threads: int = 1,
    name: str | None = None,
) -> OwningClient:
    """Make all tasks of this job step work, and return a client on the first.

    The other tasks stay in here until the first one ends, then leave the program. They must share the
    working directory.

    Parameters
    ----------
    threads_per_worker : int, optional
        Blocks that a task runs at once; 1 by default.
    memory : str or int, optional
        Memory of each task, as "4 GiB" or in bytes; by default its share of what the job has on its node.
    interface : str, optional
        Network interface, such as "ib0"; by default loopback if all tasks are on one node, else the one
        that leads out.
    local_directory : str, optional
        Folder in which workers put what does not fit into memory; a temporary one by default.
    dashboard_address : str, optional
        Where the dashboard listens; this machine only, at a free port, by default. None is off.
    security : Security or "none", optional
        Credentials of all connections. Temporary ones by default.
    worker_memory : mapping, optional
        Fractions of the memory: target, spill, pause, terminate, as Dask knows them.
    death_timeout : float or str, optional
        Time in which a worker must reach the scheduler, in s or as "2 min".
    guard_threads : int, optional
        Threads of numerical libraries in a simulation.
    name : str, optional
        Name of the cluster.

    Raises
    ------
    ClusterOptionError
        If an option is wrong.
    ClusterError
        If this is no task of a job step, or the scheduler does not start.
    SystemExit
        On all tasks but the first, when it is over.
    """
    return lead(
        enter(),
        threads_per_worker=threads_per_worker,
        memory=memory,
        interface=interface,
        local_directory=local_directory,
        dashboard_address=dashboard_address,
        security=security,
        worker_memory=worker_memory,
        death_timeout=death_timeout,
        guard_threads=guard_threads,
        name=name,
    )


def enter() -> Ranks:
    """Return the tasks, on the first; the others work from here on and leave the program when it is over.

    Raises
    ------
    ClusterError
        If this is no task of a job step.
    SystemExit
        On all tasks but the first.
    """
    rank = os.environ.get("SLURM_PROCID", "0")
    return enter_as(int(rank) if rank.isdigit() else 0, lambda: TaskRanks(os.environ))


class TaskRanks(Ranks):
    """The tasks of the job step that srun started.

    Parameters
    ----------
    environment : mapping
        With SLURM's variables.
    place : Path, optional
        A folder that all tasks see; the working directory by default.

    Raises
    ------
    ClusterError
        If there is no job, or no step.
    """

    def __init__(self, environment: Mapping[str, str], place: Path | None = None) -> None:
        super().__init__()
        _check_step(environment)
        self.rank = int(environment["SLURM_PROCID"])
        self.size = int(environment["SLURM_STEP_NUM_TASKS"])
        layout = environment.get("SLURM_STEP_TASKS_PER_NODE", str(self.size))
        self.neighbors = tasks_on_node(layout, int(environment.get("SLURM_NODEID", "0")))
        parts = ("SLURM_CLUSTER_NAME", "SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_RESTART_COUNT")
        step = "-".join(environment.get(name, "0") for name in parts)
        self._folder = (place or Path.cwd()) / f"{FOLDER}{step}"

    def _share(self, message: bytes | None) -> bytes:
        if message is None:
            return self._wait()
        self._make_folder()
        hidden = self._folder / f"{MESSAGE}.new"
        with os.fdopen(os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(message)
            file.flush()
            os.fsync(file.fileno())
        hidden.rename(self._folder / MESSAGE)
        return message

    def _make_folder(self) -> None:
        try:
            shutil.rmtree(self._folder, ignore_errors=True)  # of a step that was killed
            self._folder.mkdir(mode=0o700)
        except OSError as error:
            raise ClusterError(
                f"The tasks cannot be told where the scheduler is: {error}.",
                fix="start in a folder that you can write and that all nodes see.",
            ) from error

    def _wait(self) -> bytes:
        limit = time.monotonic() + WAIT_S
        while time.monotonic() < limit:
            with suppress(FileNotFoundError, NotADirectoryError):
                os.listdir(self._folder)  # makes a network file system look again
                _check_private(self._folder)
                message = (self._folder / MESSAGE).read_bytes()
                (self._folder / f"{SEEN}{self.rank}").touch()
                return message
            time.sleep(PAUSE_S)
        raise ClusterError(
            f"Task {self.rank} heard nothing from the first task within {WAIT_S:.0f} s: {self._folder} "
            "did not appear.",
            fix="start in a folder that all nodes see; look at what the first task wrote.",
        )

    def forget(self) -> None:
        """Remove the folder, once all tasks have seen it; the others do if the first cannot any more."""
        limit = time.monotonic() + (LATE_S if self.rank == 0 else 0)
        while not self._have_all_seen():
            if time.monotonic() > limit:
                break
            time.sleep(PAUSE_S)
        if self.rank == 0 or self._have_all_seen():
            shutil.rmtree(self._folder, ignore_errors=True)

    def _have_all_seen(self) -> bool:
        if not self._folder.exists():
            return True
        return sum(1 for _ in self._folder.glob(f"{SEEN}*")) >= self.size - 1


def _check_step(environment: Mapping[str, str]) -> None:
    if "SLURM_JOB_ID" not in environment:
        raise ClusterError(
            "A cluster of kind 'slurm-runner' uses the SLURM job that it runs in; here is none.",
            fix="start it with srun -n N, or in a job script (simherd script); --cluster slurm submits jobs.",
        )
    if not {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS"} <= set(environment):
        raise ClusterError(
            f"A cluster of kind 'slurm-runner' needs tasks; job {environment['SLURM_JOB_ID']} runs this "
            "program without srun.",
            fix="put 'srun -n N' before the command.",
        )


def _check_private(folder: Path) -> None:
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise ClusterError(
            f"{folder} is not a folder that only this user can open: what it says is not to be trusted.",
            fix="start in a folder that others cannot write.",
        )


def tasks_on_node(layout: str, node: int) -> int:
    """Return how many tasks a node has, from SLURM's list such as ``"4(x2),3"``: 4, 4 and 3.

    Raises
    ------
    ClusterError
        If the list cannot be read, or is shorter.
    """
    counts: list[int] = []
    for part in layout.split(","):
        found = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part.strip())
        if not found:
            raise ClusterError(f"SLURM's list of tasks per node cannot be read: {layout!r}.")
        counts += [int(found[1])] * int(found[2] or 1)
    if node >= len(counts):
        raise ClusterError(f"SLURM's list of tasks per node {layout!r} has no node {node}.")
    return counts[node]

"""The run-time check of the thread guards: what libraries really use, seen from inside a task."""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from simherd.batch_jobs import JOB_VARIABLES, BatchJob, job_here
from simherd.resources import core_limits, usable_cores

__all__ = ["ThreadUse", "first_use_of", "overused", "thread_use"]

OF_ONE_TASK = ("SLURM_CPUS_PER_TASK",)
"""Limits that each process of a job has for itself; the others hold for all of them together."""
GROUPS = Path("/proc/self/cgroup")


@dataclass(frozen=True, kw_only=True, slots=True)
class ThreadUse:
    """The threads that simulations in one worker can use, and the cores that there are for them."""

    worker: str
    """Its name or address."""
    place: str
    """What it shares cores within: host, cores, control group and job."""
    tasks: int
    """Simulations that it runs at once."""
    cores: int
    """Cores that it may use itself."""
    shared_cores: int
    """Cores of all workers of this place together."""
    libraries: Mapping[str, int]
    """Threads of each numerical library that is loaded, as a simulation has them."""
    job: BatchJob | None = None
    """The batch job that it runs in."""

    def as_message(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> ThreadUse:
        """Return what was sent as plain data; what else is there is left out."""
        known = {field.name: message[field.name] for field in fields(cls)}
        return cls(**{**known, "job": known["job"] and BatchJob(**known["job"])})


def thread_use(worker: str, tasks: int) -> ThreadUse:
    """Return what a task that calls this may use.

    Parameters
    ----------
    worker : str
        Name of the worker that runs it.
    tasks : int
        Tasks that the worker runs at once.
    """
    from threadpoolctl import threadpool_info

    libraries: dict[str, int] = {}
    for pool in threadpool_info():
        name = f"{pool['internal_api']} ({os.path.basename(pool['filepath'])})"
        libraries[name] = max(int(pool["num_threads"]), libraries.get(name, 0))
    limits = core_limits()
    return ThreadUse(
        worker=worker,
        place=_place(),
        tasks=tasks,
        cores=usable_cores(),
        shared_cores=min(limit for name, limit in limits.items() if name not in OF_ONE_TASK),
        libraries=libraries,
        job=job_here(),
    )


def _place() -> str:
    affinity = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else ()
    groups = GROUPS.read_text() if GROUPS.exists() else ""
    jobs = [os.environ.get(name, "") for name in JOB_VARIABLES]
    return f"{platform.node()} {affinity} {groups} {jobs}"


_lock = threading.Lock()
_has_reported = False


def first_use_of(worker: str, tasks: int) -> ThreadUse | None:
    """Return what `thread_use` does, the first time in a process; None from then on."""
    global _has_reported
    with _lock:
        if _has_reported:
            return None
        _has_reported = True
    return thread_use(worker, tasks)


def overused(uses: Iterable[ThreadUse]) -> dict[tuple[str, str], str]:
    """Return a sentence for each worker and library that has more threads than there are cores for.

    Parameters
    ----------
    uses : iterable of ThreadUse
        Of all workers that are known.
    """
    known = list(uses)
    return {
        (use.worker, library): _sentence(use, library, threads, neighbors)
        for use in known
        for neighbors in [sum(1 for other in known if other.place == use.place)]
        for library, threads in use.libraries.items()
        if _is_over(use, threads, neighbors)
    }


def _is_over(use: ThreadUse, threads: int, neighbors: int) -> bool:
    wanted = threads * use.tasks
    return threads > 1 and (wanted > use.cores or wanted * neighbors > use.shared_cores)


def _sentence(use: ThreadUse, library: str, threads: int, neighbors: int) -> str:
    shared = f", which {neighbors} workers share" if neighbors > 1 else ""
    return (
        f"Worker {use.worker} on {use.place.split()[0]}: {library} runs {threads} threads in each of "
        f"{use.tasks} simulations at once, on {use.shared_cores if neighbors > 1 else use.cores} cores"
        f"{shared}: simulations slow each other down."
    )

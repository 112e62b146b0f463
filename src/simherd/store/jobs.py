"""The batch jobs that worked on a store, kept with it in files beside its arrays.

Each process that writes has a file of its own, as in the journal of failures.
"""

from __future__ import annotations

import json
import math
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from simherd.batch_jobs import BatchJob, job_here
from simherd.events import Event, JobsSeen, RunStarted
from simherd.store.durable import append_lines, make_folders
from simherd.store.journal import JOURNAL
from simherd.store.zarr_store import ZarrStore
from simherd.user_warnings import warn_user

__all__ = [
    "CLIENT",
    "JOBS",
    "WORKERS",
    "JobKeeper",
    "JobRecord",
    "jobs_in_folder",
    "jobs_in_group",
    "read_jobs",
]

JOBS = "simherd_jobs"
"""Attribute of a group that a user gave: the lines that other stores have in files."""
FOLDER = "jobs"
"""Folder of these files, in that of the journal."""
CLIENT = "client"
"""Role of the job in which `run` was called."""
WORKERS = "workers"
"""Role of the jobs that were submitted for workers, or in which workers ran."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobRecord:
    """A batch job that worked on a store."""

    job: BatchJob
    """The job."""
    roles: tuple[str, ...]
    """What ran in it: `CLIENT`, `WORKERS`, or both."""
    since: float
    """When a run first recorded it, in s since 1970."""


class JobKeeper:
    """A subscriber that records the jobs of a run as soon as they are known.

    Results are worth more than this record: if it cannot be written, a warning says so, once.

    Parameters
    ----------
    append : callable
        Adds lines to the record.
    """

    def __init__(self, append: Callable[[str], None]) -> None:
        self._append = append
        self._known: set[tuple[str, BatchJob]] = set()

    def __call__(self, event: Event) -> None:
        """Record the jobs that an event tells of."""
        if isinstance(event, RunStarted):
            self.record_this()
        elif isinstance(event, JobsSeen):
            self._record(WORKERS, event.jobs)

    def record_this(self) -> None:
        """Record the job that this process runs in, if it runs in one."""
        here = job_here()
        self._record(CLIENT, () if here is None else (here,))

    def _record(self, role: str, jobs: Iterable[BatchJob]) -> None:
        new = [job for job in jobs if (role, job) not in self._known]
        if not new:
            return
        self._known.update((role, job) for job in new)
        now = time.time()
        lines = [json.dumps({**asdict(job), "role": role, "time": now}) + "\n" for job in new]
        try:
            self._append("".join(lines))
        except Exception as error:  # stores of others raise errors of their own
            ids = ", ".join(job.job_id for job in new)
            warn_user(
                f"The store does not record the jobs {ids} of this run: {error}.",
                RuntimeWarning,
            )


def jobs_in_folder(store: Path) -> JobKeeper:
    """Return what records jobs in the folder of a store."""
    path = store / JOURNAL / FOLDER / f"{socket.gethostname()}-{os.getpid()}.jsonl"

    def append(lines: str) -> None:
        make_folders(path.parent)
        append_lines(path, lines.encode())

    return JobKeeper(append)


def jobs_in_group(store: ZarrStore) -> JobKeeper:
    """Return what records jobs in a group that a user gave, whose store need not have files."""

    def append(lines: str) -> None:
        store.set_attribute(JOBS, store.attribute(JOBS, "") + lines)

    return JobKeeper(append)


def read_jobs(path: Path, attrs: Mapping[str, Any]) -> tuple[JobRecord, ...]:
    """Return the batch jobs that worked on a store, in the order in which they were recorded.

    Parameters
    ----------
    path : Path
        Folder of the store.
    attrs : mapping
        Attributes of its group.
    """
    found: dict[BatchJob, JobRecord] = {}
    lines = (line for line in [*_lines_in(path), *str(attrs.get(JOBS, "")).splitlines()])
    for record in sorted(filter(None, map(_parsed, lines)), key=lambda one: one.since):
        earlier = found.get(record.job, record)
        roles = tuple(dict.fromkeys((*earlier.roles, *record.roles)))
        found[record.job] = JobRecord(job=record.job, roles=roles, since=earlier.since)
    return tuple(found.values())


def _lines_in(store: Path) -> Iterator[str]:
    for path in sorted((store / JOURNAL / FOLDER).glob("*.jsonl")):
        try:
            yield from path.read_text(errors="replace").splitlines()
        except OSError:
            continue


def _parsed(line: str) -> JobRecord | None:
    """Return what a line records; None if it is no line of `JobKeeper`, or only a part of one."""
    try:
        entry = json.loads(line)
        fields: Sequence[Any] = [entry[name] for name in ("scheduler", "job_id", "role")]
        since = float(entry["time"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not (all(isinstance(one, str) for one in fields) and math.isfinite(since)):
        return None
    scheduler, job_id, role = fields
    return JobRecord(job=BatchJob(scheduler=scheduler, job_id=job_id), roles=(role,), since=since)

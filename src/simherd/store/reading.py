"""What a store says of its run, read without writing anything, also while the run goes on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zarr

from simherd.engine.block import Status
from simherd.engine.plan import Array
from simherd.errors import StoreError
from simherd.store.batch_store import is_begun
from simherd.store.jobs import JobRecord, read_jobs
from simherd.store.lock_state import doubt_about, is_locked
from simherd.store.marks import read_marks
from simherd.store.model_versions import ModelVersion, read_versions
from simherd.store.opening import open_array, open_folder, read_array
from simherd.store.places import as_folder
from simherd.store.run_note import RunNote, read_note
from simherd.store.writer import SECONDS, STATUS, UNFINISHED

__all__ = ["Durations", "StoreState", "open_store", "read_block_size", "read_outcomes", "read_state"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Durations:
    """How long simulations took."""

    median_s: float
    """Half of them took longer, in s."""
    longest_s: float
    """The longest one, in s."""
    total_s: float
    """All of them together, in s."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoreState:
    """How far the simulations of a store are."""

    path: Path
    """Folder of the store."""
    simulations: int
    """Simulations of the batch; 0 while a run is preparing the store."""
    done: int
    """Simulations that finished."""
    failed: int
    """Simulations that failed."""
    is_running: bool
    """Whether a run is known to be writing to it now."""
    doubt: str
    """What nobody can tell from here about a run that may be writing to it, and the way out; mostly ""."""
    at_work: tuple[int, ...]
    """Simulations that worker processes are at."""
    note: RunNote | None
    """What the run says of itself, if there is one."""
    durations: Durations | None
    """How long simulations took; None before one has ended."""
    models: tuple[ModelVersion, ...]
    """Versions of the model that simulations ran with; none where there is only one."""
    jobs: tuple[JobRecord, ...]
    """Batch jobs that worked on it."""
    last_write: float
    """When something was last written, in s since 1970."""
    nbytes: int
    """Size on the disk, in bytes."""
    files: int
    """Number of files."""

    @property
    def pending(self) -> int:
        """Simulations that have not come to an end."""
        return self.simulations - self.done - self.failed

    @property
    def settled_in_run(self) -> int:
        """Simulations of the run that writes now that came to an end: all that it runs were pending first."""
        return 0 if self.note is None else max(self.note.simulations - self.pending, 0)

    @property
    def seconds_left(self) -> float | None:
        """Time that the run still takes at its rate of late, in s; None where that is not known."""
        rate = None if self.note is None else self.note.rate_per_s
        return self.pending / rate if rate else None


def open_store(path: Path) -> zarr.Group:
    """Return the group of a store, for reading.

    Raises
    ------
    StoreError
        If there is none, it is damaged, or it is not one that a run wrote.
    """
    group = open_folder(path)
    if not is_begun(path) and "simherd_version" not in group.attrs:
        raise StoreError(
            f"Cannot read the store {str(path)!r}: it is a Zarr group, but no run of simherd wrote it.",
            fix="give the folder that a run wrote (run.store of its experiment, or --store).",
        )
    return group


def read_state(store: str | Path) -> StoreState:
    """Return how far the simulations of a store are.

    Raises
    ------
    StoreError
        If it is no store, and no run is about to make it.
    """
    path = as_folder(store)
    is_running = is_locked(path)
    models: tuple[ModelVersion, ...] = ()
    jobs: tuple[JobRecord, ...] = ()
    if is_running and not (path / "zarr.json").exists():
        status, seconds = np.empty(0, np.uint8), None
    else:
        group = open_store(path)
        (status, seconds), models = read_outcomes(path), read_versions(path, group)
        jobs = read_jobs(path, group.attrs)
    last_write, nbytes, files = _measure(path)
    counts = np.bincount(status, minlength=len(Status))
    return StoreState(
        path=path,
        simulations=len(status),
        done=int(counts[Status.DONE]),
        failed=int(counts[Status.FAILED]),
        is_running=is_running,
        doubt=doubt_about(path),
        at_work=tuple(read_marks(path)) if is_running else (),
        note=read_note(path) if is_running else None,
        durations=_durations(seconds),
        models=models,
        jobs=jobs,
        last_write=last_write,
        nbytes=nbytes,
        files=files,
    )


def read_outcomes(path: Path) -> tuple[Array, Array | None]:
    """Return status and time of each simulation; a single one has no time.

    Returns
    -------
    ndarray, shape (simulations,)
        What became of each, `Status` as uint8.
    ndarray, shape (simulations,), or None
        Time that each took, in s; NaN for those that are pending.

    Raises
    ------
    StoreError
        If it is no store, or it is damaged.
    """
    group = open_store(path)
    if is_begun(path):
        status, seconds = (read_array(open_array(group, name)) for name in (STATUS, SECONDS))
        return status, seconds
    is_unfinished = group.attrs.get(STATUS) == UNFINISHED
    return np.array([Status.PENDING if is_unfinished else Status.DONE], np.uint8), None


def read_block_size(path: Path) -> int | None:
    """Return how many simulations a block has; None for a single simulation.

    Raises
    ------
    StoreError
        If it is no store, or it is damaged.
    """
    group = open_store(path)
    return int(open_array(group, STATUS).chunks[0]) if is_begun(path) else None


def _durations(seconds: Array | None) -> Durations | None:
    known = seconds[np.isfinite(seconds)] if seconds is not None else np.empty(0)
    if not len(known):
        return None
    return Durations(
        median_s=float(np.median(known)), longest_s=float(known.max()), total_s=float(known.sum())
    )


def _measure(path: Path) -> tuple[float, int, int]:
    """Return the newest time of a file, in s since 1970, all bytes, and the number of files."""
    newest, nbytes, files = 0.0, 0, 0
    for entry in _files_in(path):
        with suppress(FileNotFoundError):  # replaced by a newer one meanwhile
            stat = entry.stat()
            newest = max(newest, stat.st_mtime)
            nbytes += stat.st_size
            files += 1
    return newest, nbytes, files


def _files_in(path: str | Path) -> Iterator[os.DirEntry[str]]:
    with suppress(FileNotFoundError), os.scandir(path) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files_in(entry.path)
            else:
                yield entry

"""What a cluster could leave behind, as far as this process can see it."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from simherd.private import state_folder

__all__ = ["processes", "settle", "state_files", "temporary_files"]

PAUSE_S = 0.1
SCRATCH = "dask-scratch-space"
"""Folder of Dask's for temporary files of all its workers on a machine, whose locks Dask leaves there."""


def processes() -> set[str]:
    """Return what this process has started and that still runs, but for multiprocessing's own helper."""
    found = set()
    for child in psutil.Process(os.getpid()).children(recursive=True):
        try:
            words = " ".join(child.cmdline())
            if child.status() != psutil.STATUS_ZOMBIE and "resource_tracker" not in words:
                found.add(f"process {child.pid}: {words}")
        except psutil.NoSuchProcess:
            continue
    return found


def state_files() -> set[str]:
    """Return the files of simherd's state: keys, scripts, journals, logs."""
    return _files(state_folder())


def temporary_files() -> set[str]:
    """Return the files in the folder for temporary ones, but for Dask's locks."""
    return {path for path in _files(Path(tempfile.gettempdir())) if not _is_lock(path)}


def _is_lock(path: str) -> bool:
    return SCRATCH in path and path.endswith("lock")


def _files(folder: Path) -> set[str]:
    return {str(path) for path in folder.rglob("*") if not path.is_dir()}


def settle(left: Callable[[], set[str]], limit_s: float) -> set[str]:
    """Wait until nothing is left, and return what still is after a time.

    Parameters
    ----------
    left : callable
        Gives what is left.
    limit_s : float
        How long to wait.
    """
    end = time.monotonic() + limit_s
    while (found := left()) and time.monotonic() < end:
        time.sleep(PAUSE_S)
    return found

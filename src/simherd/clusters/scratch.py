"""Folders in which workers put what does not fit into memory, named by the process that removes them.

Several nodes or containers may share one temporary folder, and the number of a process has no meaning in
another one. So names also say where the process runs, and each place removes only what is its own.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

from simherd.process_marks import place_here

__all__ = ["folder_prefix", "make_worker_folder", "remove_folders_of_killed_runs"]

FOLDER = "simherd-worker"


def folder_prefix() -> str:
    """Return how the names of the temporary folders of this process begin."""
    return f"{FOLDER}-{place_here()}-{os.getpid()}-"


def make_worker_folder(parent: str | None) -> str:
    """Make a temporary folder of this process, and remove those of killed runs beside it.

    Parameters
    ----------
    parent : str, optional
        Where it is made, made itself if need be; the folder for temporary files by default.

    Raises
    ------
    OSError
        If it cannot be made.
    """
    if parent is not None:
        os.makedirs(parent, exist_ok=True)
    remove_folders_of_killed_runs(parent)
    return tempfile.mkdtemp(prefix=folder_prefix(), dir=parent)


def remove_folders_of_killed_runs(parent: str | None = None) -> None:
    """Remove the temporary folders of processes of this place that ended before they could do so."""
    own = re.compile(rf"{FOLDER}-{place_here()}-(\d+)-.*")
    for folder in Path(parent or tempfile.gettempdir()).glob(f"{FOLDER}-*"):
        found = own.fullmatch(folder.name)
        if found and not _is_running(int(found[1])):
            shutil.rmtree(folder, ignore_errors=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # of another user
    return True

"""Folders in which workers put what does not fit into memory, named by the process that removes them."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

__all__ = ["FOLDER", "remove_folders_of_killed_runs"]

FOLDER = "simherd-worker-"


def remove_folders_of_killed_runs() -> None:
    """Remove the temporary folders of processes that ended before they could do so."""
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER}*-*"):
        process = folder.name.removeprefix(FOLDER).partition("-")[0]
        if process.isdigit() and not _is_running(int(process)):
            shutil.rmtree(folder, ignore_errors=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # of another user
    return True

"""Making sure that what was written is on the disk, and removing what killed writers leave."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

__all__ = ["remove_leftovers", "sync_files"]


def sync_files(paths: Iterable[Path]) -> None:
    """Wait until files, and their names in their folders, are on the disk."""
    folders = set()
    for path in paths:
        _sync(path)
        folders.add(path.parent)
    for folder in folders:
        _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Remove the unfinished files of writers that were killed, below a folder that nobody writes to."""
    for path in folder.rglob("*.partial"):
        path.unlink(missing_ok=True)

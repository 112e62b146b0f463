"""What killed runs leave beside a store and in it, and how a store is removed."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path

from simherd.store.beside import LEAVING, UNBORN, all_beside, name_beside
from simherd.store.checkpoints import CHECKPOINTS
from simherd.store.durable import PARTIAL, remove_leftovers, sync_folder
from simherd.store.lock import remove_free_locks
from simherd.store.marks import remove_marks
from simherd.store.opening import check_own_folders
from simherd.store.os_errors import os_errors_named
from simherd.store.replacing import drop_replaced, put_back
from simherd.store.writer import FINGERPRINT, STATUS
from simherd.user_warnings import warn_user

__all__ = ["clean_up", "remove_store"]


def remove_store(target: Path) -> None:
    """Remove a store; one that is cut off meanwhile is not half there.

    Raises
    ------
    StoreError
        If it cannot be removed.
    """
    leaving = name_beside(target, LEAVING)
    with os_errors_named("remove", target):
        target.rename(leaving)
        sync_folder(target.parent)
        shutil.rmtree(leaving)


def clean_up(target: Path) -> None:
    """Remove what killed runs left of a store and in it, while nobody writes to it.

    A folder with results is never removed. After a power cut a store may be back under the name that it was
    made under; then it gets its own name again.

    Raises
    ------
    StoreError
        If that is not possible, or there is something in it that a run could not work with.
    """
    with os_errors_named("clean up", target):
        if not os.path.lexists(target):
            put_back(target)
        drop_replaced(target)
        for leaving in all_beside(target, LEAVING):
            shutil.rmtree(leaving, ignore_errors=True)
        for unborn in all_beside(target, UNBORN):
            _clean_up_unborn(unborn, target)
        remove_free_locks(target)
        if target.exists():
            check_own_folders(target)
            remove_marks(target)
            remove_leftovers(target)


def _clean_up_unborn(unborn: Path, target: Path) -> None:
    if not _has_results(unborn):
        shutil.rmtree(unborn, ignore_errors=True)
    elif os.path.lexists(target):
        warn_user(
            f"{str(unborn)!r} holds results of an earlier run and is kept beside {str(target)!r}.",
        )
    else:
        unborn.rename(target)
        sync_folder(target.parent)


def _has_results(folder: Path) -> bool:
    """Return whether a folder holds the status of a simulation, a checkpoint or a finished simulation."""
    if (folder / CHECKPOINTS).exists():
        return True
    if (folder / STATUS).exists():
        return any(path.suffix != PARTIAL for path in (folder / STATUS).glob("c*"))
    if not (folder / FINGERPRINT).exists():
        return False
    with suppress(OSError, ValueError, AttributeError):
        return STATUS not in json.loads((folder / "zarr.json").read_text()).get("attributes", {})
    return True

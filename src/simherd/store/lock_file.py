"""The file of a lock: where it is, how it is opened and locked."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from simherd.errors import StoreError
from simherd.store.durable import open_file
from simherd.store.mounts import are_locks_local

__all__ = ["closed_unless_kept", "is_same_file", "open_lock_file", "path_of", "try_lock"]

LOOKS = 3
LOOK_S = 0.01


def path_of(store: Path, part: str = "") -> Path:
    """Return where a lock stands: beside the store, which is not there before it is complete."""
    return store.with_name(f".{store.name}{part and '.' + part}.lock")


def open_lock_file(path: Path) -> tuple[int, bool]:
    """Return the descriptor of a lock file, and whether it was made for it."""
    while True:
        try:
            return open_file(path, os.O_RDWR | os.O_CREAT | os.O_EXCL), True
        except FileExistsError:
            pass
        try:
            descriptor = open_file(path, os.O_RDWR)
        except FileNotFoundError:  # its holder has just removed it
            continue
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            path.unlink(missing_ok=True)  # a link is no lock: another user may have planted it
            continue
        with closed_unless_kept(descriptor) as keep:
            _check_is_own_file(path, os.fstat(descriptor))
            return keep(), False


def _check_is_own_file(path: Path, found: os.stat_result) -> None:
    """Refuse what would be overwritten although it is no lock: the same file under another name, a pipe."""
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        raise StoreError(
            f"The lock file {str(path)!r} is no regular file, or the file has other names.",
            fix="remove it; another user may have planted it.",
        )


@contextmanager
def closed_unless_kept(descriptor: int) -> Iterator[Callable[[], int]]:
    """Close a descriptor in the end, unless the function that is given was called, which returns it."""
    with ExitStack() as stack:
        stack.callback(os.close, descriptor)

        def keep() -> int:
            stack.pop_all()
            return descriptor

        yield keep


def try_lock(descriptor: int, mode: int, looks: int = LOOKS) -> bool | None:
    """Lock a file, also where someone who looks whether it is locked has it for a moment.

    Returns whether nobody else has it locked; None if files cannot be locked there, or only among the
    processes of this machine.
    """
    if are_locks_local(os.fstat(descriptor).st_dev):
        return None
    for look in range(looks):
        try:
            fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            if look < looks - 1:
                time.sleep(LOOK_S)
        except OSError:
            return None
        else:
            return True
    return False


def is_same_file(path: Path, descriptor: int) -> bool:
    """Return whether a lock file is still the one that was opened."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False

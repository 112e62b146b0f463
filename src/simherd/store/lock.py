"""One run at a time writes to a store, or several that share it.

The lock is that of a file beside the store, and ends with the process that holds it, however that ends.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from simherd.errors import StoreError, StoreLockedError

__all__ = ["Lock", "holder_of", "is_locked", "locked", "refusal", "refuse_if_locked"]

LOOKS = 3
LOOK_S = 0.01


def _path(store: Path, part: str = "") -> Path:
    """Return where a lock stands: beside the store, which is not there before it is complete."""
    return store.with_name(f".{store.name}{part and '.' + part}.lock")


class Lock:
    """The lock of a store, or of a part of the work on it.

    Parameters
    ----------
    store : Path
        Folder of the store.
    part : str, optional
        Name of the part.
    is_vital : bool, optional
        Where files cannot be locked, raise an error rather than warn of it.
    """

    def __init__(self, store: Path, part: str = "", is_vital: bool = False) -> None:
        self._store = store
        self._is_vital = is_vital
        self._path = _path(store, part)
        self._descriptor: int | None = None

    def acquire(self, what: str = "") -> None:
        """Hold the lock alone.

        Raises
        ------
        StoreLockedError
            If somebody else holds it.
        """
        if not self.try_acquire(what):
            raise refusal(self._store, self._path)

    def try_acquire(self, what: str = "") -> bool:
        """Return whether nobody else held the lock; then it is held alone, and the file says by whom.

        Raises
        ------
        StoreError
            If it is vital, and files cannot be locked here.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
            if not self._locks(descriptor, fcntl.LOCK_EX):
                os.close(descriptor)
                return False
            if _is_same_file(self._path, descriptor):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, f"{what}process {os.getpid()} on {socket.gethostname()}".encode())
                self._descriptor = descriptor
                return True
            os.close(descriptor)  # the one that held it has removed it meanwhile

    def try_join(self) -> bool:
        """Return whether those who hold the lock share it; then it is held with them."""
        with suppress(FileNotFoundError):
            descriptor = os.open(self._path, os.O_RDWR)
            is_shared = self._locks(descriptor, fcntl.LOCK_SH)
            if is_shared and _is_same_file(self._path, descriptor):
                self._descriptor = descriptor
                return True
            os.close(descriptor)
        return False

    def share(self) -> None:
        """Let others hold the lock, too."""
        assert self._descriptor is not None
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def leave(self) -> None:
        """Hold it no longer, and let those who share it, or this one again, hold it alone."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def release(self) -> None:
        """Hold it no longer; the last one removes the file."""
        if self._descriptor is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        is_last = True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:  # where files cannot be locked, there is only this run
            is_last = not isinstance(error, BlockingIOError)
        with suppress(OSError):
            if is_last and _is_same_file(self._path, descriptor):
                self._path.unlink(missing_ok=True)
        os.close(descriptor)

    def _locks(self, descriptor: int, mode: int) -> bool:
        """Return whether a file could be locked; one that never can is closed if that is an error."""
        try:
            return _try_lock(descriptor, mode)
        except OSError as error:
            if not self._is_vital:
                warnings.warn(
                    f"{self._store} cannot be locked ({error}): run only one at a time.", stacklevel=4
                )
                return True
            os.close(descriptor)
            raise StoreError(
                f"Several runs cannot write the store {str(self._store)!r} at once: files cannot be locked "
                f"there ({error}).",
                fix="run the batch as one job, without shares, or put the store on another file system.",
            ) from error


@contextmanager
def locked(store: Path) -> Iterator[None]:
    """Hold the lock of a store.

    Raises
    ------
    StoreLockedError
        If another run holds it.
    """
    lock = Lock(store)
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


def refuse_if_locked(store: Path) -> None:
    """Raise an error if another run holds the lock of a store.

    Raises
    ------
    StoreLockedError
        If so; names its process.
    """
    if is_locked(store):
        raise refusal(store)


def holder_of(store: Path, path: Path | None = None) -> str:
    """Return who holds, or held, the lock of a store, in words; "" if nobody does."""
    try:
        return (path or _path(store)).read_text(errors="replace")
    except OSError:
        return ""


def refusal(store: Path, path: Path | None = None) -> StoreLockedError:
    """Return the error for a store that others write."""
    return StoreLockedError(
        f"Cannot write the store {str(store)!r}: {holder_of(store, path) or 'another run'} is writing it.",
        fix="wait for it, or stop it first.",
    )


def _try_lock(descriptor: int, mode: int) -> bool:
    """Lock a file, also where someone who looks whether it is locked has it for a moment."""
    for look in range(LOOKS):
        try:
            fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            if look < LOOKS - 1:
                time.sleep(LOOK_S)
        else:
            return True
    return False


def _is_same_file(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def is_locked(store: Path) -> bool:
    """Return whether a run is writing a store."""
    mode = fcntl.LOCK_EX
    try:
        descriptor = os.open(_path(store), os.O_RDWR)
    except PermissionError:  # the store of somebody else
        descriptor, mode = os.open(_path(store), os.O_RDONLY), fcntl.LOCK_SH
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False

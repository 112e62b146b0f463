"""One run at a time writes to a store, or several that share it.

The lock is that of a file beside the store (``flock``), and ends with the process that holds it, however
that ends. Some file systems lock no files (Lustre mounted without ``flock``), or only among the processes of
one machine (Lustre with ``localflock``, NFS with ``nolock``). There the file itself is the lock: who makes it
holds it, and it says which process that was, so that the lock of a process of this machine that has ended is
taken over.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from simherd.errors import StoreError
from simherd.store.durable import open_file, write_all
from simherd.store.holder import Holder, read_holder
from simherd.store.lock_file import closed_unless_kept, is_same_file, open_lock_file, path_of, try_lock
from simherd.store.lock_state import refusal
from simherd.store.os_errors import os_errors_named

__all__ = ["SIZES", "Lock", "locked", "remove_free_locks"]

SIZES = "sizes"
"""The part of the work on a store that changes how long its arrays are."""


class Lock:
    """The lock of a store, or of a part of the work on it.

    Parameters
    ----------
    store : Path
        Folder of the store.
    part : str, optional
        Name of the part.
    is_shared : bool, optional
        Whether several runs hold it at once, which needs a file system that locks files.
    """

    def __init__(self, store: Path, part: str = "", is_shared: bool = False) -> None:
        self._store = store
        self._is_shared = is_shared
        self._path = path_of(store, part)
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
            If the file cannot be made, or cannot be locked and several runs are to hold it.
        """
        with os_errors_named("lock", self._store):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            while True:
                descriptor, is_new = open_lock_file(self._path)
                with closed_unless_kept(descriptor) as keep:
                    is_locked = self._locks(descriptor, fcntl.LOCK_EX)
                    with self._claimed(is_needed=is_locked is None and not is_new) as is_free:
                        if is_locked is False or not is_free:
                            return False
                        if is_same_file(self._path, descriptor):  # else its holder has just removed it
                            os.ftruncate(descriptor, 0)
                            write_all(descriptor, Holder.this_process(what).to_bytes())
                            self._descriptor = keep()
                            return True

    def try_join(self) -> bool:
        """Return whether those who hold the lock share it; then it is held with them.

        Raises
        ------
        StoreError
            If the file cannot be locked.
        """
        with os_errors_named("lock", self._store), suppress(FileNotFoundError):
            descriptor = open_file(self._path, os.O_RDWR)
            with closed_unless_kept(descriptor) as keep:
                if self._locks(descriptor, fcntl.LOCK_SH) and is_same_file(self._path, descriptor):
                    self._descriptor = keep()
                    return True
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
        with closed_unless_kept(descriptor), suppress(OSError):
            if try_lock(descriptor, fcntl.LOCK_EX) is not False and is_same_file(self._path, descriptor):
                self._path.unlink(missing_ok=True)

    def _locks(self, descriptor: int, mode: int) -> bool | None:
        """Return whether a file could be locked; None if no file can be locked there."""
        is_locked = try_lock(descriptor, mode)
        if is_locked is None and self._is_shared:
            raise StoreError(
                f"Several runs cannot write the store {str(self._store)!r} at once: files cannot be locked "
                "there, or not between machines.",
                fix="run the batch as one job, without shares, or put the store on another file system.",
            )
        return is_locked

    @contextmanager
    def _claimed(self, *, is_needed: bool) -> Iterator[bool]:
        """Give whether the lock of a process that has ended may be taken over, by one process at a time."""
        holder = read_holder(self._path) if is_needed else None
        if holder is None or not holder.has_ended:
            yield not is_needed
            return
        claim = _claim_of(self._path)
        try:
            os.close(open_file(claim, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            yield False
            return
        try:
            yield read_holder(self._path) == holder
        finally:
            claim.unlink(missing_ok=True)


def _claim_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.taken")


def remove_free_locks(store: Path) -> None:
    """Remove what killed runs left of other locks, while the store is locked."""
    _claim_of(path_of(store)).unlink(missing_ok=True)
    sizes = Lock(store, SIZES)
    if path_of(store, SIZES).exists() and sizes.try_acquire():
        sizes.release()


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

"""One run at a time writes to a store."""

from __future__ import annotations

import fcntl
import os
import socket
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from simherd.errors import StoreLockedError

__all__ = ["is_locked", "locked", "refuse_if_locked"]

LOOKS = 3
LOOK_S = 0.01


def _path(store: Path) -> Path:
    """Return where the lock stands: beside the store, which is not there before it is complete."""
    return store.with_name(f".{store.name}.lock")


@contextmanager
def locked(store: Path) -> Iterator[None]:
    """Hold the lock of a store. It ends with the process that holds it, however that ends.

    Raises
    ------
    StoreLockedError
        If another run holds it.
    """
    path = _path(store)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _acquire(path, store)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _acquire(path: Path, store: Path) -> int:
    """Return a descriptor that holds the lock of the file that stands at a path."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(descriptor)
        except BlockingIOError as error:
            os.close(descriptor)
            raise _refusal(store) from error
        except OSError as error:
            warnings.warn(f"{store} cannot be locked ({error}): run only one at a time.", stacklevel=4)
        if _is_same_file(path, descriptor):
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())
            return descriptor
        os.close(descriptor)  # the one that held it has removed it meanwhile


def refuse_if_locked(store: Path) -> None:
    """Raise an error if another run holds the lock of a store.

    Raises
    ------
    StoreLockedError
        If so; names its process.
    """
    if is_locked(store):
        raise _refusal(store)


def _refusal(store: Path) -> StoreLockedError:
    try:
        holder = _path(store).read_text(errors="replace")
    except OSError:  # it has just ended
        holder = ""
    return StoreLockedError(
        f"Cannot write the store {str(store)!r}: {holder or 'another run'} is writing it.",
        fix="wait for it, or stop it first.",
    )


def _lock(descriptor: int) -> None:
    """Lock a file, also where someone who looks whether it is locked has it for a moment."""
    for _ in range(LOOKS):
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(LOOK_S)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_same_file(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def is_locked(store: Path) -> bool:
    """Return whether a run is writing a store."""
    try:
        descriptor = os.open(_path(store), os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False

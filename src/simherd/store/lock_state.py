"""What can be told of the lock of a store without holding it."""

from __future__ import annotations

import fcntl
import os
from enum import Enum
from pathlib import Path

from simherd.errors import StoreLockedError
from simherd.store.durable import open_file
from simherd.store.holder import Holder, read_holder
from simherd.store.lock_file import closed_unless_kept, path_of, try_lock

__all__ = [
    "LockState",
    "doubt_about",
    "holder_of",
    "is_locked",
    "lock_state",
    "refusal",
    "refuse_if_locked",
]


class LockState(Enum):
    """What can be told of a lock."""

    FREE = "free"
    HELD = "held"
    IN_DOUBT = "in doubt"
    """A process of another machine, or one that is not known, held it; nobody can tell whether it ended."""


def lock_state(store: Path) -> LockState:
    """Return whether a run is writing a store."""
    return _state_of(path_of(store))


def is_locked(store: Path) -> bool:
    """Return whether a run is known to be writing a store."""
    return lock_state(store) is LockState.HELD


def refuse_if_locked(store: Path) -> None:
    """Raise an error if another run holds the lock of a store, or may hold it.

    Raises
    ------
    StoreLockedError
        If so; names its process.
    """
    if lock_state(store) is not LockState.FREE:
        raise refusal(store)


def holder_of(store: Path) -> Holder | None:
    """Return who holds, or held, the lock of a store; None if nobody does, or it does not say."""
    return read_holder(path_of(store))


def doubt_about(store: Path) -> str:
    """Return what nobody can tell of the lock of a store, and the way out; "" if its state is known."""
    if lock_state(store) is not LockState.IN_DOUBT:
        return ""
    holder = holder_of(store) or "a run"
    return (
        f"{holder} was writing it, and nobody can tell from here whether it still does. If it has ended, "
        f"remove {str(path_of(store))!r}."
    )


def refusal(store: Path, path: Path | None = None) -> StoreLockedError:
    """Return the error for a store that others write."""
    path = path or path_of(store)
    holder = read_holder(path) or "another run"
    if _state_of(path) is LockState.IN_DOUBT:
        return StoreLockedError(
            f"Cannot write the store {str(store)!r}: {holder} was writing it, and nobody can tell from here "
            "whether it still does, because this file system does not lock files between machines.",
            fix=f"wait for it, or if it has ended, remove its lock file {str(path)!r}.",
        )
    return StoreLockedError(
        f"Cannot write the store {str(store)!r}: {holder} is writing it.",
        fix="wait for it, or stop it first.",
    )


def _state_of(path: Path) -> LockState:
    mode = fcntl.LOCK_EX
    try:
        descriptor = open_file(path, os.O_RDWR)
    except PermissionError:  # the store of somebody else
        try:
            descriptor, mode = open_file(path, os.O_RDONLY), fcntl.LOCK_SH
        except OSError:
            return LockState.IN_DOUBT
    except OSError:
        return LockState.FREE
    with closed_unless_kept(descriptor):
        is_free = try_lock(descriptor, mode, looks=1)
    if is_free is not None:
        return LockState.FREE if is_free else LockState.HELD
    holder = read_holder(path)
    if holder is None or holder.has_ended is None:
        return LockState.IN_DOUBT
    return LockState.FREE if holder.has_ended else LockState.HELD

"""Several runs that each do a share of a batch, and write to the same store at once.

The lock of the store is shared between them, except while one of them makes the store, or tidies up as the
last one. Shares consist of whole chunks, which nobody else writes.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from simherd.engine.block import Numbers
from simherd.errors import SetupError, StoreError
from simherd.store.lock import SIZES, Lock
from simherd.store.lock_state import holder_of, refusal

__all__ = ["Claim", "Share", "claimed_share", "metadata_lock", "parse_share"]

POLL_S = 0.2
SHARES = "shares of"
_TEXT = re.compile(r"(\d+)/(\d+)")


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a batch."""

    number: int
    """Which one, from 1."""
    count: int
    """How many there are."""

    def __str__(self) -> str:
        return f"share {self.number} of {self.count}"

    def simulations(self, size: int, chunk: int) -> range:
        """Return its simulations, of a batch of a size in chunks of a number of simulations."""
        chunks = -(-size // chunk)
        first, last = ((self.number - past) * chunks // self.count for past in (1, 0))
        return range(first * chunk, min(last * chunk, size))

    def part_of(self, numbers: Numbers, size: int, chunk: int) -> Numbers:
        """Return those of some simulations that are in this share."""
        own = self.simulations(size, chunk)
        if isinstance(numbers, range):
            return range(max(numbers.start, own.start), max(min(numbers.stop, own.stop), own.start))
        return numbers[(numbers >= own.start) & (numbers < own.stop)]


def parse_share(text: str) -> Share:
    """Return a share as the command line names it: ``"3/10"``.

    Raises
    ------
    SetupError
        If the text is something else.
    """
    found = _TEXT.fullmatch(text.strip())
    if found and 1 <= int(found[1]) <= int(found[2]):
        return Share(int(found[1]), int(found[2]))
    raise SetupError(f"The share {text!r} is not known.", fix="write for instance 1/8, the first of eight.")


class Claim:
    """The right to write a store, or a share of it.

    Parameters
    ----------
    lock : Lock
        The lock of the store, held.
    is_alone : bool
        Whether nobody else writes the store now.
    what : str, optional
        What holds it alone, in words.
    """

    def __init__(self, lock: Lock, is_alone: bool, what: str = "") -> None:
        self._lock = lock
        self.is_alone = is_alone
        self._what = what

    def let_others_in(self) -> None:
        """Let other shares write too: the store is made."""
        if self.is_alone:
            self._lock.share()
            self.is_alone = False

    def be_last(self) -> bool:
        """Return whether all other shares have ended; then none can begin until this one has, too.

        If not, the right to write has ended. Of shares that end at the same time each lets go of the
        lock before it tries to have it alone: the one that tries last finds nobody.
        """
        if not self.is_alone:
            self._lock.leave()
            with suppress(OSError, StoreError):
                self.is_alone = self._lock.try_acquire(self._what)
        return self.is_alone


@contextmanager
def claimed_share(store: Path, share: Share) -> Iterator[Claim]:
    """Hold the lock of a store for a share of its batch.

    Waits while another share makes the store.

    Raises
    ------
    StoreLockedError
        If another run than one of the same number of shares writes the store, or this share runs already.
    StoreError
        If files cannot be locked there.
    """
    own = Lock(store, f"share-{share.number}", is_shared=True)
    own.acquire(f"{share}, ")
    try:
        lock, is_alone = _joined(store, share)
        try:
            yield Claim(lock, is_alone, _what(share))
        finally:
            lock.release()
    finally:
        own.release()


def _joined(store: Path, share: Share) -> tuple[Lock, bool]:
    lock = Lock(store, is_shared=True)
    while True:
        if lock.try_acquire(_what(share)):
            return lock, True
        holder = holder_of(store)
        if holder and holder.what != _what(share):
            raise refusal(store)
        if lock.try_join():
            if (store / "zarr.json").exists():
                return lock, False
            lock.release()  # the one that was to make the store has failed
        time.sleep(POLL_S)


def _what(share: Share) -> str:
    return f"{SHARES} {share.count}, "


@contextmanager
def metadata_lock(store: Path) -> Iterator[None]:
    """Hold the lock under which the sizes of a store's arrays change.

    Raises
    ------
    StoreError
        If shares write the store, and files cannot be locked there.
    """
    holder = holder_of(store)
    lock = Lock(store, SIZES, is_shared=holder is not None and holder.what.startswith(SHARES))
    while not lock.try_acquire(""):
        time.sleep(POLL_S)
    try:
        yield
    finally:
        lock.release()

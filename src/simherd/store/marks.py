"""Which simulation a worker is at, left where it can be read after the worker was killed.

One small file per block in the folder of the store, overwritten in place: that costs a microsecond
per simulation and survives the process. The folder is there while the run is, and tells workers that
outlast it to write no more.
"""

from __future__ import annotations

import os
import shutil
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from simherd.engine.block import Numbers
from simherd.reserved import RUNNING as FOLDER
from simherd.store.durable import open_inside, remove_inside
from simherd.store.os_errors import os_errors_named

__all__ = ["FOLDER", "LastSeen", "Mark", "Marks", "read_marks", "remove_marks"]

SIGN = "run"
OVERDUE = ".overdue"
WIDTH = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class LastSeen:
    """Where a worker was when it ended."""

    number: int
    """The simulation."""
    stacks: str | None = None
    """The stacks of the worker's threads if it was ended because the time of the simulation was over."""


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks of one run; those of several that share a store are in the same folder."""

    store: Path
    """Folder of the store."""
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Tells the run from others in the same store."""

    def prepare(self) -> None:
        """Make the folder of the marks, and the sign that the run goes on.

        Raises
        ------
        StoreError
            If that is not possible.
        """
        with os_errors_named("begin to write", self.store):
            while True:
                (self.store / FOLDER).mkdir(exist_ok=True)
                try:
                    os.close(open_inside(self._sign, os.O_WRONLY | os.O_CREAT))
                except FileNotFoundError:  # another one has just removed the folder, which was empty
                    if not self.store.exists():
                        raise
                else:
                    return

    def remove(self) -> None:
        """Remove the sign, and the folder of the marks if nobody has left anything else in it."""
        with suppress(OSError):
            self._sign.unlink()
            (self.store / FOLDER).rmdir()

    @property
    def is_running(self) -> bool:
        """Whether the run has not ended: a worker of one that has must not write any more."""
        return self._sign.exists()

    def check_running(self) -> None:
        """Raise an error if the sign of this run is gone: somebody removed the store, or moved it.

        Raises
        ------
        StoreError
            If so.
        """
        with os_errors_named("go on with", self.store):
            self._sign.stat()

    @property
    def _sign(self) -> Path:
        return self.store / FOLDER / f"{SIGN}.{self.token}"

    def begin(self, numbers: Numbers) -> Mark:
        """Return the mark of a block that begins.

        Raises
        ------
        StoreError
            If it cannot be made.
        """
        with os_errors_named(f"begin simulations {numbers[0]} to {numbers[-1]} of", self.store):
            return Mark(self._path(numbers))

    def take(self, numbers: Numbers) -> LastSeen | None:
        """Return at which simulation the worker of a block was when it ended, and remove the mark."""
        data, stacks = _taken(self._path(numbers)), _taken(self.sign_of_time(numbers))
        if data is None or len(data) != WIDTH:
            return None
        number = int.from_bytes(data, "little")
        return LastSeen(number=number, stacks=None if stacks is None else stacks.decode(errors="replace"))

    def sign_of_time(self, numbers: Numbers) -> Path:
        """Return the file that is written when the worker of a block is ended for the time it takes."""
        return self._path(numbers).with_suffix(OVERDUE)

    def _path(self, numbers: Numbers) -> Path:
        return self.store / FOLDER / f"{numbers[0]}-{numbers[-1]}"


class Mark:
    """The mark of one block, while it runs.

    Parameters
    ----------
    path : Path
        Its file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = open_inside(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

    def move(self, number: int) -> None:
        """Say that a simulation begins."""
        os.pwrite(self._file, number.to_bytes(WIDTH, "little"), 0)

    def close(self) -> None:
        """Remove the mark: the block ended as it should."""
        os.close(self._file)
        remove_inside(self._path)


def _taken(path: Path) -> bytes | None:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    remove_inside(path)
    return data


def remove_marks(store: Path) -> None:
    """Remove the marks of all runs of a store, which nobody writes any more."""
    shutil.rmtree(store / FOLDER, ignore_errors=True)


def read_marks(store: Path) -> list[int]:
    """Return the simulations that workers are at, in the order of the batch; the marks stay."""
    numbers = []
    for path in (store / FOLDER).glob("[0-9]*-*[0-9]"):
        with suppress(FileNotFoundError):  # the block has just ended
            data = path.read_bytes()
            if len(data) == WIDTH:
                numbers.append(int.from_bytes(data, "little"))
    return sorted(numbers)

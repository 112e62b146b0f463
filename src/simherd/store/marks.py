"""Which simulation a worker is at, left where it can be read after the worker was killed.

One small file per block in the folder of the store, overwritten in place: that costs a microsecond
per simulation and survives the process.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from simherd.engine.block import Numbers

__all__ = ["FOLDER", "Mark", "prepare_marks", "read_marks", "remove_marks", "take_mark"]

FOLDER = ".running"
WIDTH = 8


class Mark:
    """The mark of one block, while it runs.

    Parameters
    ----------
    store : Path
        Folder of the store.
    numbers : range or array of int
        Simulations of the block.
    """

    def __init__(self, store: Path, numbers: Numbers) -> None:
        self._path = _path(store, numbers)
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)

    def move(self, number: int) -> None:
        """Say that a simulation begins."""
        os.pwrite(self._file, number.to_bytes(WIDTH, "little"), 0)

    def close(self) -> None:
        """Remove the mark: the block ended as it should."""
        os.close(self._file)
        self._path.unlink(missing_ok=True)


def take_mark(store: Path, numbers: Numbers) -> int | None:
    """Return the simulation at which the worker of a block was when it ended, and remove the mark."""
    path = _path(store, numbers)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    path.unlink(missing_ok=True)
    return int.from_bytes(data, "little") if len(data) == WIDTH else None


def read_marks(store: Path) -> list[int]:
    """Return the simulations that workers are at, in the order of the batch; the marks stay."""
    numbers = []
    for path in (store / FOLDER).glob("[0-9]*-[0-9]*"):
        with suppress(FileNotFoundError):  # the block has just ended
            data = path.read_bytes()
            if len(data) == WIDTH:
                numbers.append(int.from_bytes(data, "little"))
    return sorted(numbers)


def prepare_marks(store: Path) -> None:
    """Make the folder of the marks."""
    (store / FOLDER).mkdir(exist_ok=True)


def remove_marks(store: Path) -> None:
    """Remove the folder of the marks, and those of workers that were killed."""
    shutil.rmtree(store / FOLDER, ignore_errors=True)


def _path(store: Path, numbers: Numbers) -> Path:
    return store / FOLDER / f"{numbers[0]}-{numbers[-1]}"

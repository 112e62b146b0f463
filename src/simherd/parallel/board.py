"""What a map and its workers tell each other while tasks run, in memory that they share.

A worker writes which task it is at before each one, which costs a fraction of a microsecond and outlasts it.
It reads there whether to go on. Nothing is left on a disk: the memory goes with the client. Workers of other
machines do not reach it, and do without.
"""

from __future__ import annotations

import math
import mmap
import os
import struct
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from simherd.warden import memory_file

__all__ = ["Board", "LastSeen"]

SLOTS = 1024
TOKEN_BYTES = 16
STOP = TOKEN_BYTES
ENTRIES = TOKEN_BYTES + 8
ENTRY = struct.Struct("qd")
SIZE = ENTRIES + SLOTS * ENTRY.size
NOWHERE = -1


@dataclass(frozen=True, kw_only=True, slots=True)
class LastSeen:
    """Where a worker was last."""

    task: int
    """Position of the task."""
    seconds: float
    """Time since it began, in s."""


class Board:
    """Memory of one map. It pickles as the same memory for workers of this machine, else as one of their own.

    Parameters
    ----------
    memory : mmap
        The memory, cleared.
    file : int, optional
        Descriptor of its file, which this object closes.
    """

    def __init__(self, memory: mmap.mmap, file: int = -1) -> None:
        self._memory = memory
        self._file = file

    @classmethod
    def new(cls) -> Board:
        """Return new memory."""
        file = memory_file("board")
        os.ftruncate(file, SIZE)
        board = cls(mmap.mmap(file, SIZE), file)
        board._memory[:TOKEN_BYTES] = uuid.uuid4().bytes
        return board

    def __enter__(self) -> Board:
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Keep the memory of this process only, until nobody uses it any more."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    __del__ = __exit__

    def is_stopped(self) -> bool:
        """Whether no other task is to begin."""
        return self._memory[STOP] != 0

    def stop(self) -> None:
        """Let no other task begin."""
        self._memory[STOP] = 1

    def begin(self, slot: int, task: int) -> None:
        """Say that a task begins."""
        ENTRY.pack_into(self._memory, ENTRIES + slot * ENTRY.size, task, time.monotonic())

    def clear(self, slot: int) -> None:
        """Forget what was said of a slot: another pack gets it."""
        ENTRY.pack_into(self._memory, ENTRIES + slot * ENTRY.size, NOWHERE, math.inf)

    def last_seen(self, slot: int) -> LastSeen | None:
        """Return at which task of a pack its worker was last; None if nobody said that one began."""
        task, begun = ENTRY.unpack_from(self._memory, ENTRIES + slot * ENTRY.size)
        return None if task == NOWHERE else LastSeen(task=task, seconds=time.monotonic() - begun)

    def __reduce__(self) -> tuple[Any, ...]:
        return _reached, (f"/proc/{os.getpid()}/fd/{self._file}", self._memory[:TOKEN_BYTES])


def _reached(path: str, token: bytes) -> Board:
    """Return the memory of a client, if it is one of this machine."""
    with suppress(OSError, ValueError), open(path, "r+b") as file:
        memory = mmap.mmap(file.fileno(), SIZE)
        if memory[:TOKEN_BYTES] == token:
            return Board(memory)
    return Board(mmap.mmap(-1, SIZE))

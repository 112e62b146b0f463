"""Memory that holds large buffers, of which each task gets private views."""

from __future__ import annotations

import ctypes
import mmap
import os
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from simherd.warden import memory_file

__all__ = ["Region"]

ALIGNMENT = 64
READ_AND_WRITE = mmap.PROT_READ | mmap.PROT_WRITE
PAGEMAP = Path("/proc/self/pagemap")
PAGE_ENTRY_BYTES = 8
PRESENT_OR_SWAPPED = np.uint64(0b11 << 62)
OF_FILE = np.uint64(1 << 61)


@dataclass(frozen=True, slots=True)
class _Place:
    start: int
    size: int
    is_readonly: bool


class Region:
    """Memory with buffers, one after another.

    Parameters
    ----------
    file : int
        Descriptor of a file in memory, which this object closes; -1 for no buffers.
    places : sequence
        Where each buffer is.
    """

    def __init__(self, file: int, places: Sequence[_Place]) -> None:
        self._file = file
        self._places = places
        self._memory: _PrivateMemory | None = None

    def __del__(self) -> None:
        if self._file >= 0:
            os.close(self._file)

    @classmethod
    def of(cls, buffers: Sequence[memoryview]) -> Region:
        """Copy buffers, each one contiguous run of bytes, to new memory."""
        if not buffers:
            return cls(-1, ())
        places, start = [], 0
        for buffer in buffers:
            places.append(_Place(start, buffer.nbytes, buffer.readonly))
            start += -(-buffer.nbytes // ALIGNMENT) * ALIGNMENT
        region = cls(memory_file("shared"), places)
        for place, buffer in zip(places, buffers, strict=True):
            _write(region._file, buffer, place.start)
        return region

    def views(self) -> list[memoryview]:
        """Return the buffers; what is written to them is seen in these views only."""
        if not self._places:
            return []
        if self._memory is None or not self._memory.is_as_it_was():
            self._memory = _PrivateMemory(self._file, self.size)
        return self._memory.views(self._places)

    @property
    def size(self) -> int:
        """Its size in bytes."""
        return self._places[-1].start + self._places[-1].size if self._places else 0

    def as_path(self) -> Callable[[], Region]:
        """Return what makes this region in other processes of this machine, while this one keeps it."""
        return (
            partial(_opened, f"/proc/{os.getpid()}/fd/{self._file}", self._places) if self._places else _empty
        )

    def as_bytes(self) -> Callable[[], Region]:
        """Return what makes this region anywhere."""
        if not self._places:
            return _empty
        return partial(_copied, os.pread(self._file, self.size, 0), self._places)


class _PrivateMemory:
    """A private map of a file, which serves again while it is as it was: each page need be mapped only once.

    Parameters
    ----------
    file : int
        Descriptor of the file.
    size : int
        Its size in bytes.
    """

    def __init__(self, file: int, size: int) -> None:
        self._map = mmap.mmap(file, size, flags=mmap.MAP_PRIVATE, prot=READ_AND_WRITE)
        self._address = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        self._views: list[weakref.ref[memoryview]] = []

    def views(self, places: Sequence[_Place]) -> list[memoryview]:
        """Return views of parts of the file."""
        memory = memoryview(self._map)
        parts = [memory[place.start : place.start + place.size] for place in places]
        views = [
            part.toreadonly() if place.is_readonly else part
            for part, place in zip(parts, places, strict=True)
        ]
        self._views = [weakref.ref(view) for view in views]
        return views

    def is_as_it_was(self) -> bool:
        """Return whether nobody has a view any more, and nobody has written to one."""
        is_in_use = any(view() is not None for view in self._views)
        return not is_in_use and not _is_written(self._address, len(self._map))


def _is_written(address: int, size: int) -> bool:
    """Return whether a page of private memory is a copy of that of its file; True where nobody can tell [1]_.

    References
    ----------
    .. [1] Linux kernel documentation, "pagemap, from the userspace perspective".
    """
    pages = -(-size // mmap.PAGESIZE)
    try:
        with PAGEMAP.open("rb", buffering=0) as file:
            data = os.pread(
                file.fileno(), PAGE_ENTRY_BYTES * pages, address // mmap.PAGESIZE * PAGE_ENTRY_BYTES
            )
    except OSError:
        return True
    entries = np.frombuffer(data, np.uint64)
    is_there, is_of_file = (entries & PRESENT_OR_SWAPPED) != 0, (entries & OF_FILE) != 0
    return len(entries) < pages or bool((is_there & ~is_of_file).any())


def _empty() -> Region:
    return Region(-1, ())


def _opened(path: str, places: Sequence[_Place]) -> Region:
    return Region(os.open(path, os.O_RDWR), places)


def _copied(data: bytes, places: Sequence[_Place]) -> Region:
    file = memory_file("shared")
    _write(file, memoryview(data), 0)
    return Region(file, places)


def _write(file: int, data: memoryview, start: int) -> None:
    done = 0
    while done < data.nbytes:
        done += os.pwrite(file, data[done:], start + done)

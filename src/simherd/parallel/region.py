"""Memory that holds large buffers, of which each task gets private views."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from simherd.warden import memory_file

__all__ = ["Region"]

ALIGNMENT = 64
READ_AND_WRITE = mmap.PROT_READ | mmap.PROT_WRITE


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
        memory = memoryview(mmap.mmap(self._file, self.size, flags=mmap.MAP_PRIVATE, prot=READ_AND_WRITE))
        views = [memory[place.start : place.start + place.size] for place in self._places]
        return [
            view.toreadonly() if place.is_readonly else view
            for view, place in zip(views, self._places, strict=True)
        ]

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

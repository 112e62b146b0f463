"""A folder of Zarr whose files are on the disk before they get their names."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path

import zarr
from zarr.core.buffer import Buffer
from zarr.storage import LocalStore

from simherd.store.durable import replace_file

__all__ = ["DurableStore", "as_durable", "open_durable"]


class DurableStore(LocalStore):
    """An existing folder in which a power cut leaves no file empty or cut that replaced another.

    Zarr's own store renames files that may not be on the disk yet, and makes a folder again that somebody
    has removed. New names are durable after an fsync of their folder, which is left to the caller: one for
    many files.
    """

    async def _open(self, *, mode: object = None) -> None:
        self._check_exists()
        self._is_open = True

    def _ensure_open_sync(self) -> None:
        self._check_exists()
        self._is_open = True

    async def _set(self, key: str, value: Buffer, exclusive: bool = False) -> None:
        if exclusive:
            await super()._set(key, value, exclusive=True)
        else:
            await asyncio.to_thread(self.set_sync, key, value)

    def set_sync(self, key: str, value: Buffer) -> None:
        """Write a file."""
        self._check_exists()
        self._check_writable()
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, memoryview(value.as_buffer_like()))

    def _check_exists(self) -> None:
        if not self.root.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.root))


def as_durable(group: zarr.Group) -> zarr.Group:
    """Return a group that is in a folder as one of a `DurableStore`, others as they are."""
    if not isinstance(group.store, LocalStore):
        return group
    return open_durable(Path(os.path.realpath(group.store.root)), group.path)  # may be a link of the user's


def open_durable(folder: Path, path: str = "") -> zarr.Group:
    """Open a group below an existing folder for writing."""
    return zarr.open_group(DurableStore(folder), path=path or None, mode="r+", use_consolidated=False)

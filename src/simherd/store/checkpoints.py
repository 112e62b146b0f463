"""Checkpoints of simulations, one file each, in the store that their results go to.

A checkpoint is a pickle, which can run anything when it is read. So each is signed, and only those that runs
of this user have signed for the same store and model are read.
"""

from __future__ import annotations

import hmac
import os
import shutil
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from simherd.reserved import CHECKPOINTS
from simherd.store.durable import make_folders, open_inside, remove_inside, replace_file, sync_folder
from simherd.store.os_errors import os_errors_named
from simherd.store.signing import signature_of
from simherd.user_warnings import warn_user

__all__ = ["CHECKPOINTS", "CheckpointFolder"]

_FORMAT = b"simherd checkpoint 1\n"
_ID_BYTES, _SIGNATURE_BYTES = 8, 32
_HEAD_BYTES = len(_FORMAT) + _ID_BYTES


@dataclass(frozen=True, slots=True)
class CheckpointFolder:
    """The checkpoints in a store. Pickles, so that it travels to workers.

    Parameters
    ----------
    store : Path
        Folder of the store.
    key : bytes or None
        Signs checkpoints, see `checkpoint_key`; without one none can be read or written.
    """

    store: Path
    key: bytes | None = field(repr=False)

    @property
    def folder(self) -> Path:
        """Where they are."""
        return self.store / CHECKPOINTS

    def exists(self) -> bool:
        """Return whether there are any, or have been."""
        return self.folder.exists()

    def warn_of_others(self) -> None:
        """Warn of checkpoints that are not read, because they are of others, of another model or store."""
        numbers = sorted(
            int(path.stem)
            for path in self.folder.glob("*.pkl")
            if path.stem.isdecimal() and _read(path, _HEAD_BYTES) != self._head
        )
        if numbers:
            warn_user(
                f"The checkpoints of simulations {', '.join(map(str, numbers[:8]))}"
                f"{' ...' if len(numbers) > 8 else ''} in {str(self.folder)!r} were not written by a run of "
                "yours in this store with this model, so they begin anew. See docs/security.md.",
                RuntimeWarning,
            )

    def load(self, number: int) -> bytes | None:
        """Return the newest checkpoint of a simulation, if it has one that this user's run has signed."""
        data = _read(self._path(number))
        if data is None or self.key is None or not data.startswith(self._head):
            return None
        signature, content = data[_HEAD_BYTES:][:_SIGNATURE_BYTES], data[_HEAD_BYTES + _SIGNATURE_BYTES :]
        if hmac.compare_digest(signature, self._signature(number, content)):
            return content
        warn_user(
            f"The checkpoint {str(self._path(number))!r} is damaged or was changed by others, so simulation "
            f"{number} begins anew.",
            RuntimeWarning,
        )
        return None

    def save(self, number: int, data: bytes) -> None:
        """Keep a checkpoint in place of the one before, which stays until the new one is on the disk.

        One that the disk does not take is left out with a warning: that is no reason to lose the simulation.
        """
        try:
            make_folders(self.folder)
            replace_file(self._path(number), self._head + self._signature(number, data) + data)
            sync_folder(self.folder)
        except OSError as error:
            warn_user(f"No checkpoint of simulation {number}: {error}", RuntimeWarning)

    def remove(self, numbers: Iterable[int]) -> None:
        """Remove the checkpoints of simulations.

        Raises
        ------
        StoreError
            If the operating system refuses.
        """
        with os_errors_named("remove checkpoints from", self.store):
            for number in numbers:
                remove_inside(self._path(int(number)))

    def clear(self) -> None:
        """Remove all."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number}.pkl"

    @property
    def _head(self) -> bytes:
        """Return how files that are signed with the key begin."""
        return b"" if self.key is None else _FORMAT + signature_of(self.key, b"id")[:_ID_BYTES]

    def _signature(self, number: int, content: bytes) -> bytes:
        assert self.key is not None, "who writes checkpoints has a key"
        return signature_of(self.key, str(number).encode(), content)


def _read(path: Path, size: int = -1) -> bytes | None:
    """Return what is in a file, up to a number of bytes; None where there is no file of that name."""
    try:
        descriptor = open_inside(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read(size) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None

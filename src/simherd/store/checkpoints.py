"""Checkpoints of simulations, one file each, in the store that their results go to."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from simherd.reserved import CHECKPOINTS
from simherd.store.durable import make_folders, replace_file, sync_folder

__all__ = ["CHECKPOINTS", "CheckpointFolder"]


@dataclass(frozen=True, slots=True)
class CheckpointFolder:
    """The checkpoints in a store. Pickles, so that it travels to workers.

    Parameters
    ----------
    store : Path
        Folder of the store.
    """

    store: Path

    @property
    def folder(self) -> Path:
        """Where they are."""
        return self.store / CHECKPOINTS

    def exists(self) -> bool:
        """Return whether there are any, or have been."""
        return self.folder.exists()

    def load(self, number: int) -> bytes | None:
        """Return the newest checkpoint of a simulation, if it has one."""
        try:
            return self._path(number).read_bytes()
        except FileNotFoundError:
            return None

    def save(self, number: int, data: bytes) -> None:
        """Keep a checkpoint in place of the one before, which stays until the new one is on the disk.

        One that the disk does not take is left out with a warning: that is no reason to lose the simulation.
        """
        try:
            make_folders(self.folder)
            replace_file(self._path(number), data)
            sync_folder(self.folder)
        except OSError as error:
            warnings.warn(f"No checkpoint of simulation {number}: {error}", RuntimeWarning, stacklevel=2)

    def remove(self, numbers: Iterable[int]) -> None:
        """Remove the checkpoints of simulations."""
        for number in numbers:
            self._path(int(number)).unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove all."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number}.pkl"

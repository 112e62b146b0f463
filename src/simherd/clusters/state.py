"""Where what outlives a process is kept: a folder of the user's own, which only the user can read."""

from __future__ import annotations

import os
from pathlib import Path

from simherd.errors import ClusterError

__all__ = ["private_folder", "state_folder"]


def state_folder() -> Path:
    """Return the folder for the state of simherd, as the XDG base directory specification has it."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "simherd"


def private_folder(*parts: str) -> Path:
    """Return a folder below `state_folder`, made if need be, that nobody else may enter.

    Raises
    ------
    ClusterError
        If it cannot be made.
    """
    folder = state_folder().joinpath(*parts)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise ClusterError(
            f"Cannot make the folder {str(folder)!r}: {error.strerror}.",
            fix="let XDG_STATE_HOME name a folder that you may write and that all nodes see.",
        ) from error
    return folder

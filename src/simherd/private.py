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

    All folders from `state_folder` on have mode 0700, whatever the umask, and so have the folders above
    that are made for it [1]_: who may write a folder can put another one in place of what is in it.

    Raises
    ------
    ClusterError
        If it cannot be made, or one of the folders belongs to another user.

    References
    ----------
    .. [1] XDG base directory specification, "Referencing this specification".
    """
    folder = state_folder()
    _make_private(folder, 0)  # may be a link of the user's own, to a file system with more room
    for part in parts:
        folder /= part
        _make_private(folder, os.O_NOFOLLOW)
    return folder


def _make_private(folder: Path, flags: int) -> None:
    try:
        for path in reversed((folder, *folder.parents)):
            if not path.exists():
                path.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | flags)
        try:
            _check_is_own(folder, os.fstat(descriptor).st_uid)
            os.fchmod(descriptor, 0o700)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ClusterError(
            f"Cannot make the folder {str(folder)!r}: {error.strerror}.",
            fix="let XDG_STATE_HOME name a folder that you may write and that all nodes see.",
        ) from error


def _check_is_own(folder: Path, owner: int) -> None:
    if owner != os.getuid():
        raise ClusterError(
            f"The folder {str(folder)!r} belongs to user {owner}, not to you ({os.getuid()}): it may not "
            "hold keys and connections.",
            fix="let XDG_STATE_HOME name a folder of your own that all nodes see.",
        )

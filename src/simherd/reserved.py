"""Names that a store uses itself, so that no clock, coordinate, input or output may have them."""

from __future__ import annotations

from simherd.errors import SetupError, shown

__all__ = [
    "CHECKPOINTS",
    "FINGERPRINT",
    "JOURNAL",
    "MODEL",
    "NUMBER",
    "RUNNING",
    "SECONDS",
    "STATUS",
    "check_name",
]

PREFIX = "simulation_"
"""What the names of all arrays begin with that tell of the simulations of a batch."""
STATUS = f"{PREFIX}status"
SECONDS = f"{PREFIX}seconds"
MODEL = f"{PREFIX}model"
NUMBER = f"{PREFIX}number"
CHECKPOINTS = "checkpoints"
JOURNAL = "journal"
FINGERPRINT = "fingerprint.json"
RUNNING = ".running"
METADATA = "zarr.json"
LONGEST = 240
"""Bytes of a name: file systems allow 255, and stores add to names."""

_RESERVED = (CHECKPOINTS, JOURNAL, FINGERPRINT, METADATA)


def check_name(what: str, name: object) -> None:
    """Raise an error if a variable or dimension cannot have a name in a store.

    Parameters
    ----------
    what : str
        What has the name, such as ``"Clock"``.
    name : object
        The name.

    Raises
    ------
    SetupError
        If a store uses the name itself, or it cannot be that of a folder.
    """
    if found := _fault(name):
        raise SetupError(f"{what} {shown(name)} {found}.", fix="give it another name.")


def _fault(name: object) -> str:
    if not isinstance(name, str) or not name:
        return "has a name that is not a text, or empty"
    if name in _RESERVED or name.startswith(PREFIX):
        return "has a name that stores use themselves"
    if name.startswith("."):
        return "has a name that begins with a dot, which stores use themselves"
    if "/" in name or not name.isprintable():
        return "has a name with '/' or a control character, which no folder of a store can have"
    if len(name.encode()) > LONGEST:
        return f"has a name of {len(name.encode())} bytes; at most {LONGEST} are allowed"
    return ""

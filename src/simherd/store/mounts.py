"""Whether locks of files hold between machines, as the options of a mount say."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

__all__ = ["are_locks_local"]

MOUNTS = Path("/proc/self/mountinfo")
_LOCAL = {
    "nfs": {"nolock", "local_lock=all", "local_lock=flock"},
    "nfs4": {"local_lock=all", "local_lock=flock"},
    "lustre": {"localflock"},
}
"""Options with which the kernel locks files among the processes of one machine only [1]_ [2]_.

References
----------
.. [1] nfs(5), "local_lock" and "nolock".
.. [2] mount.lustre(8), "localflock".
"""


@cache
def are_locks_local(device: int) -> bool:
    """Return whether locks of the files of a device hold on this machine only.

    Parameters
    ----------
    device : int
        Number of the device, as `os.stat` has it.
    """
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = MOUNTS.read_text(errors="replace").splitlines()
    except OSError:  # no Linux
        return False
    return any(_is_local(line) for line in lines if line.split()[2:3] == [number])


def _is_local(line: str) -> bool:
    """Return whether a mount locks files locally: its file system and options follow a lone hyphen."""
    kind, _, options = line.partition(" - ")[2].split()[:3]
    return not _LOCAL.get(kind, set()).isdisjoint(options.split(","))

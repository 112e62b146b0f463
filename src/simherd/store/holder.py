"""Who holds a lock, as its file says: enough to tell whether that process has ended."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

from simherd.process_marks import is_alive, mark_of, namespace_here

__all__ = ["Holder", "read_holder"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Holder:
    """A process that holds a lock."""

    host: str
    """Name of its machine."""
    namespace: str
    """Process namespace: in another one, such as another container's, its number means nothing."""
    pid: int
    """Its number."""
    mark: str
    """Boot of the machine and start of the process, see `simherd.process_marks.mark_of`."""
    what: str = ""
    """What it holds the lock for, in words."""

    def __str__(self) -> str:
        return f"{self.what}process {self.pid} on {self.host}"

    @classmethod
    def this_process(cls, what: str = "") -> Holder:
        """Return the process that runs."""
        return cls(
            host=socket.gethostname(),
            namespace=namespace_here(),
            pid=os.getpid(),
            mark=mark_of(os.getpid()) or "",
            what=what,
        )

    def to_bytes(self) -> bytes:
        """Return what a lock file holds."""
        return (json.dumps(asdict(self)) + "\n").encode()

    @property
    def has_ended(self) -> bool | None:
        """Whether the process has ended; None if nobody can tell from here."""
        if self.host != socket.gethostname():
            return None
        here = mark_of(os.getpid()) or ""
        if _boot(self.mark) == _boot(here) and self.namespace != namespace_here():
            return None
        return not is_alive(self.pid, self.mark)


def read_holder(path: Path) -> Holder | None:
    """Return who holds, or held, a lock; None if its file is not there or does not say."""
    try:
        return Holder(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _boot(mark: str) -> str:
    return mark.partition(" ")[0]

"""Which jobs a process has submitted, on disk: if it is killed, they can still be found and cancelled."""

from __future__ import annotations

import json
import os
import shutil
import socket
import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import psutil

from simherd.private import private_folder, state_folder
from simherd.process_marks import namespace_here

__all__ = ["Journal", "JournalEntry", "read_journals"]

FOLDER = "clusters"
FILE = "jobs.json"
CLOCK_S = 2.0
"""How far the start of a process may lie from what was noted of it, in s."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JournalEntry:
    """What stands in the journal of one cluster."""

    kind: str
    """Kind of cluster, such as "slurm"."""
    host: str
    """Machine of the process that submitted."""
    pid: int
    """That process."""
    started: float
    """When it started, in s since 1970: another process may get the same number."""
    namespace: str = ""
    """Process namespace, such as that of a container: in another one its number means nothing."""
    jobs: tuple[str, ...] = ()
    """Ids of its jobs."""
    folder: Path = field(default=Path(), compare=False)
    """Where it stands."""

    @property
    def is_here(self) -> bool:
        """Whether the process was one of this machine, and not of another container on it."""
        return self.host == socket.gethostname() and self.namespace in ("", namespace_here())

    @property
    def is_abandoned(self) -> bool:
        """Whether the process was one of this machine and has ended without tidying up."""
        if not self.is_here:
            return False
        try:
            return bool(abs(psutil.Process(self.pid).create_time() - self.started) > CLOCK_S)
        except psutil.NoSuchProcess:
            return True

    def remove(self) -> None:
        """Remove the journal with its folder, once its jobs are cancelled."""
        shutil.rmtree(self.folder, ignore_errors=True)


class Journal:
    """The journal of a cluster of this process, in a folder of its own that also holds its keys and logs.

    Parameters
    ----------
    kind : str
        Kind of cluster.
    """

    def __init__(self, kind: str) -> None:
        name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.folder = private_folder(FOLDER, name)
        self._entry = JournalEntry(
            kind=kind,
            host=socket.gethostname(),
            pid=os.getpid(),
            started=psutil.Process().create_time(),
            namespace=namespace_here(),
        )
        self.write(())

    def write(self, jobs: Iterable[str]) -> None:
        """Say which jobs there are now."""
        self._entry = replace(self._entry, jobs=tuple(jobs))
        values = {name: value for name, value in asdict(self._entry).items() if name != "folder"}
        new = self.folder / f".{FILE}"
        new.write_text(json.dumps(values))
        new.replace(self.folder / FILE)

    def remove(self) -> None:
        """Remove the folder; what is left of it where jobs are left, too, only tells which."""
        if not self._entry.jobs:
            shutil.rmtree(self.folder, ignore_errors=True)
            return
        for path in self.folder.iterdir():
            if path.name != FILE:
                path.unlink(missing_ok=True)


def read_journals() -> list[JournalEntry]:
    """Return the journals of all clusters of this user, oldest first."""
    entries = []
    for path in state_folder().joinpath(FOLDER).glob(f"*/{FILE}"):
        try:
            values = json.loads(path.read_text())
            jobs = tuple(values.pop("jobs"))
            entries.append(JournalEntry(**values, jobs=jobs, folder=path.parent))
        except (OSError, ValueError, TypeError, KeyError):
            continue  # it has just been removed, or is not ours
    return sorted(entries, key=lambda entry: entry.started)

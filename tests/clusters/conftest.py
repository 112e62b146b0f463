"""The batch schedulers of the test bed as one fixture, and proof that nothing is left of a cluster."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from simherd.schedulers import BatchScheduler, find

END_S = 60


@dataclass(frozen=True)
class Bed:
    """A batch scheduler, and the cluster options that suit it."""

    kind: str
    scheduler: BatchScheduler
    options: dict[str, object]

    def jobs(self) -> set[str]:
        """Return the jobs of this user that are not over."""
        argv = ["squeue", "-h", "-o", "%i"] if self.kind == "slurm" else ["qstat", "-u", "*"]
        lines = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
        return {line.split()[0] for line in lines if line.split() and line.split()[0].isdigit()}


@pytest.fixture
def bed(batch_system: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bed]:
    """Return a batch scheduler of the test bed; at the end no job, key, script or log may be left."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    found = Bed(batch_system, find(batch_system), {"memory": "500 MiB", "interface": "lo"})
    submitted: list[str] = []
    submit = type(found.scheduler).submit

    def noting(self: BatchScheduler, *args: object) -> str:
        submitted.append(submit(self, *args))
        return submitted[-1]

    monkeypatch.setattr(type(found.scheduler), "submit", noting)
    yield found
    deadline = time.monotonic() + END_S
    while (left := found.jobs() & set(submitted)) and time.monotonic() < deadline:
        time.sleep(0.5)

    assert left == set()
    folders = tmp_path / "state" / "simherd" / "clusters"
    assert not folders.exists() or list(folders.iterdir()) == []

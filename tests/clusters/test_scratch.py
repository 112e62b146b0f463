"""Temporary folders of workers are removed by their own place only."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from simherd import process_marks
from simherd.clusters import scratch
from simherd.process_marks import place_here

PLACES = {
    "another host": (process_marks.socket, "gethostname", lambda: "n2"),
    "another boot": (process_marks, "boot_here", lambda: "0f8c"),
    "another container": (process_marks, "namespace_here", lambda: "pid:[4026532999]"),
}


@pytest.fixture
def ended() -> int:
    """Return the number of a process that has ended."""
    done = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    return int(done.stdout)


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(scratch.tempfile, "gettempdir", lambda: str(tmp_path))
    return tmp_path


def test_folder_of_ended_process_is_removed(temporary, ended):
    (temporary / f"simherd-worker-{place_here()}-{ended}-abc" / "storage").mkdir(parents=True)
    mine = temporary / f"{scratch.folder_prefix()}abc"
    mine.mkdir()

    scratch.remove_folders_of_killed_runs()

    assert list(temporary.iterdir()) == [mine]


@pytest.mark.parametrize("place", PLACES)
def test_folder_of_another_place_stays(temporary, ended, monkeypatch, place):
    folder = temporary / f"simherd-worker-{place_here()}-{ended}-abc"
    folder.mkdir()
    monkeypatch.setattr(*PLACES[place])

    scratch.remove_folders_of_killed_runs()

    assert folder.exists()


def test_unknown_folder_stays(temporary):
    folder = temporary / "simherd-worker-of-somebody"
    folder.mkdir()

    scratch.remove_folders_of_killed_runs()

    assert folder.exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root makes process namespaces")
def test_place_differs_between_containers():
    def place(*before: str) -> str:
        code = "from simherd.process_marks import place_here; print(place_here())"
        argv = [*before, sys.executable, "-c", code]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()

    unshared = place("unshare", "--pid", "--fork", "--mount-proc")

    assert place() == place_here() != unshared

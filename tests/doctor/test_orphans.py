"""Jobs that a killed process left, found by its journal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from simherd.clusters.journal import FILE, FOLDER, Journal, read_journals
from simherd.doctor.orphans import cancel, find_orphans, forget, look
from simherd.private import private_folder
from simherd.schedulers import find

LIMIT_S = 120
SCRIPT = """
import sys, time
import simherd as sh
client = sh.open_client(sys.argv[1], jobs=2, memory="500 MiB", walltime="00:10:00")
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def leave(**changes: object) -> Path:
    """Write the journal of a process that has ended."""
    values = {
        "kind": "slurm",
        "host": os.uname().nodename,
        "pid": 2**22 + 1,
        "started": 1.0,
        "jobs": ["1", "2"],
    }
    folder = private_folder(FOLDER, str(changes.get("host", "here")))
    (folder / FILE).write_text(json.dumps({**values, "jobs": ["1", "2"], **changes}))
    return folder


def test_a_process_that_lives_has_no_orphans():
    journal = Journal("slurm")
    journal.write(["1"])

    assert find_orphans() == []
    assert look() is None
    assert len(read_journals()) == 1


def test_what_belongs_to_another_machine_is_told_and_left_alone():
    folder = leave(host="login2")

    (found,) = find_orphans()
    cancel([found])

    assert found.jobs == ()
    assert found.problem == "it may still run on login2: run 'simherd doctor --orphans' there"
    assert folder.exists()
    assert look() is None


def test_journal_of_another_container_is_left_alone():
    folder = leave(namespace="pid:[4026532999]")

    (found,) = find_orphans()
    cancel([found])

    assert found.jobs == ()
    assert folder.exists()
    assert look() is None


def test_a_journal_without_jobs_is_removed():
    folder = leave(jobs=[])

    assert find_orphans() == []
    assert not folder.exists()


def test_jobs_of_schedulers_that_cannot_be_asked_are_left_to_their_commands_and_can_be_forgotten():
    leave(kind="pbs")

    (found,) = find_orphans()

    assert "cancel those that still run with the commands of pbs" in found.problem
    assert look().data == {"jobs": ["1", "2"]}
    cancel([found])
    assert len(find_orphans()) == 1
    forget([found])
    assert find_orphans() == []


@pytest.mark.parametrize("changes", [{"kind": "pbs", "host": "login2"}, {"kind": "slurm"}])
def test_what_another_machine_or_a_scheduler_can_tell_is_not_forgotten(changes, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    folder = leave(**changes)

    forget(find_orphans())

    assert folder.exists()


def test_a_scheduler_that_is_not_there_is_a_problem_and_no_error(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    folder = leave()

    (found,) = find_orphans()

    assert found.problem
    assert folder.exists()


@pytest.mark.parametrize(
    "kind", [pytest.param("slurm", marks=pytest.mark.slurm), pytest.param("sge", marks=pytest.mark.sge)]
)
def test_jobs_of_a_process_that_was_killed_are_found_and_cancelled(kind, request):
    request.getfixturevalue(kind)
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, kind], stdout=subprocess.PIPE)
    wait_for(lambda: [job for entry in read_journals() for job in entry.jobs] or process.poll() is not None)
    assert find_orphans() == []
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=LIMIT_S)
    (entry,) = read_journals()

    found = find_orphans()
    cancel(found)

    if found:  # workers whose scheduler is gone end by themselves
        assert {job.job_id for job in found[0].jobs} <= set(entry.jobs)
    wait_for(lambda: all(one.state.is_over for one in find(kind).query(entry.jobs).values()))
    assert read_journals() == []


def wait_for(holds):
    deadline = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.2)

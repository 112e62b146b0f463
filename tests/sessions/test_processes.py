from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from simherd.process_marks import is_alive, mark_of
from simherd.sessions.processes import members_of
from simherd.sessions.record import Processes


@pytest.fixture
def child():
    """Return a process that leads a session of processes, with a child of its own."""
    code = (
        "import subprocess, sys; print(subprocess.Popen(['sleep', '60']).pid, flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen([sys.executable, "-c", code], start_new_session=True, stdout=subprocess.PIPE)
    grandchild = int(child.stdout.readline())
    yield child, grandchild
    os.kill(grandchild, 15)
    child.communicate(timeout=30)


def test_a_process_has_a_mark_until_it_ends():
    child = subprocess.Popen(["sleep", "60"])
    mark = mark_of(child.pid)
    child.kill()
    while mark_of(child.pid) is not None:
        pass

    assert mark
    assert not is_alive(child.pid, mark)
    child.wait()


def test_another_process_of_the_same_number_is_not_the_same():
    assert is_alive(os.getpid(), mark_of(os.getpid()))
    assert not is_alive(os.getpid(), "another boot 1")
    assert not is_alive(None, "")


def test_members_are_what_shares_the_session_of_processes_or_descends_from_the_command(child):
    leader, grandchild = child
    processes = Processes(runner=leader.pid, runner_mark=mark_of(leader.pid))

    assert members_of(processes) == {grandchild}
    assert os.getpid() not in members_of(processes)


def test_numbers_that_others_have_by_now_have_no_members(child):
    processes = Processes(runner=child[0].pid, runner_mark="another boot 1", command=1, command_mark="")

    assert members_of(processes) == set()
    assert members_of(replace(processes, command=None)) == set()

"""``simherd doctor`` as a user types it."""

from __future__ import annotations

import json
import os

import pytest

import simherd as sh
from simherd.clusters.journal import FILE, FOLDER
from simherd.private import private_folder


@pytest.fixture(autouse=True)
def bare(tmp_path, monkeypatch):
    """Give tests a machine without batch schedulers, MPI and tmux, and a state of their own."""
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


def leave(**changes):
    values = {"kind": "slurm", "host": os.uname().nodename, "pid": 2**22 + 1, "started": 1.0, "jobs": ["17"]}
    (private_folder(FOLDER, "one") / FILE).write_text(json.dumps({**values, **changes}))


def test_a_machine_with_nothing_but_python_has_nothing_wrong(simherd):
    shown = simherd("doctor")

    assert shown.code == 0
    assert shown.err == ""
    lines = shown.out.splitlines()
    assert lines[0].startswith("Python        3.")
    assert "SLURM       - its commands are not on this machine" in lines
    assert "Grid Engine - its commands are not on this machine" in lines
    assert any(line.startswith("tmux        - not installed") for line in lines)
    assert lines[-1] == "Nothing is wrong."


def test_json_is_a_list_of_findings(simherd):
    shown = simherd("doctor", "--json")

    found = json.loads(shown.out)
    assert {"topic", "verdict", "text", "fix"} <= set(found[0])
    assert next(one for one in found if one["topic"] == "cores")["data"]["usable"] >= 1
    assert "Nothing is wrong" not in shown.out


def test_what_is_wrong_is_marked_and_gives_exit_code_1(simherd):
    leave()

    shown = simherd("doctor")

    assert shown.code == 1
    assert "jobs        ! runs that were killed may have left 1 job: 17\n" in shown.out
    assert "              Fix: simherd doctor --orphans\n" in shown.out
    assert shown.out.endswith("\n1 thing is wrong, marked with '!'.\n")


def test_no_orphans_is_said(simherd):
    assert simherd("doctor", "--orphans").out == "No killed run has left a job.\n"
    assert json.loads(simherd("doctor", "--orphans", "--json").out) == []


def test_orphans_of_another_machine_are_named(simherd):
    leave(host="login2")

    shown = simherd("doctor", "--orphans", "--yes")

    assert shown.code == 1
    assert "left by process 4194305 on login2" in shown.out
    assert "jobs 17: it may still run on login2: run 'simherd doctor --orphans' there" in shown.out


def test_jobs_of_a_scheduler_that_cannot_be_asked_are_named_and_with_yes_forgotten(simherd):
    leave(kind="pbs")

    asked = simherd("doctor", "--orphans")
    told = simherd("doctor", "--orphans", "--yes")

    assert (asked.code, told.code) == (1, 0)
    for shown in (asked, told):
        assert "pbs: left by process 4194305 on" in shown.out
        assert "  jobs 17: simherd cannot ask pbs for them: cancel those that still run" in shown.out
    assert asked.out.endswith("--yes forgets 1 job that simherd cannot cancel.\n")
    assert told.out.endswith("Forgot 1 job that simherd cannot cancel.\n")
    assert simherd("doctor", "--orphans").out == "No killed run has left a job.\n"


def test_what_is_forgotten_stands_in_the_data(simherd):
    leave(kind="lsf")

    (told,) = json.loads(simherd("doctor", "--orphans", "--json", "--yes").out)

    assert (told["job_ids"], told["is_forgotten"], told["is_cancelled"]) == (["17"], True, False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--yes"], "--yes goes with --orphans"),
        (["--client", "tcp://127.0.0.1:1", "--orphans"], "--client and --orphans are two things"),
        (["--client", "nonsense"], "--client nonsense: an address, session:NAME or a scheduler file"),
        (["--client", "slurm"], "--client slurm: an address, session:NAME or a scheduler file"),
    ],
)
def test_a_wrong_option_is_exit_code_2(simherd, arguments, message):
    shown = simherd("doctor", *arguments)

    assert shown.code == 2
    assert message in shown.err


@pytest.mark.cluster
def test_every_worker_of_a_cluster_is_checked(simherd):
    with sh.open_client("local", workers=2, security="none") as client:
        shown = simherd("doctor", "--client", client.scheduler.address)

    assert shown.code == 0
    assert shown.out.count("1 thread, ") == 2
    assert shown.out.endswith("2 workers with 2 threads\n\nNothing is wrong.\n")


def test_a_session_that_is_not_there_is_an_error(simherd):
    shown = simherd("doctor", "--client", "session:nothing")

    assert shown.code == 1
    assert "There is no session 'nothing'" in shown.err


class FakeScheduler:
    """A batch scheduler with one job, which it can cancel."""

    cancelled: list[str]

    def __init__(self):
        self.cancelled = []

    def query(self, job_ids):
        from simherd.schedulers import JobState, JobStatus

        return {one: JobStatus(job_id=one, state=JobState.PENDING, reason="Resources") for one in job_ids}

    def cancel(self, job_ids):
        self.cancelled += job_ids


@pytest.fixture
def scheduler(monkeypatch):
    fake = FakeScheduler()
    monkeypatch.setattr("simherd.doctor.orphans.find", lambda name: fake)
    return fake


def test_orphans_are_cancelled_only_if_one_says_so(simherd, scheduler):
    leave()

    asked = simherd("doctor", "--orphans")

    assert asked.code == 1
    assert "  job 17: pending (Resources)\n" in asked.out
    assert asked.out.endswith("Nothing is cancelled: --yes does.\n")
    assert scheduler.cancelled == []

    told = simherd("doctor", "--orphans", "--yes")

    assert told.code == 0
    assert told.out.endswith("Cancelled 1 job.\n")
    assert scheduler.cancelled == ["17"]
    assert simherd("doctor", "--orphans").out == "No killed run has left a job.\n"


def test_orphans_as_data_are_cancelled_only_with_yes(simherd, scheduler):
    leave()

    (shown,) = json.loads(simherd("doctor", "--orphans", "--json").out)
    (told,) = json.loads(simherd("doctor", "--orphans", "--json", "--yes").out)

    assert shown["jobs"] == [{"job_id": "17", "state": "pending", "node": ""}]
    assert (shown["is_cancelled"], told["is_cancelled"]) == (False, True)
    assert scheduler.cancelled == ["17"]

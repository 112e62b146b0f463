"""A cluster that a session hosts, used by runs that come, go and are killed."""

from __future__ import annotations

import os
import subprocess
import sys

import dask
import psutil
import pytest
from distributed import Client, Security

from simherd.clusters import job_script, session
from simherd.clusters.connection import connection_file, read_connection
from simherd.errors import SessionError
from simherd.sessions import Request, find, kill, request_stop, start, wait_until_over
from simherd.sessions.host import _jobs_named, _secured
from simherd.sessions.record import Hosted, log_of

pytestmark = pytest.mark.cluster


@pytest.fixture
def hosted(state, in_tmux, wait_for):
    """Return a session that hosts a cluster of one worker."""
    command = (sys.executable, "-P", "-m", "simherd", "session", "host", "pool")
    options = {"workers": 1}
    start(
        Request(name="pool", command=command, hosted=Hosted(kind="local", options=options), in_tmux=in_tmux)
    )
    wait_for(lambda: connection_file("pool").exists() or not find("pool").state.is_live)
    return find("pool")


def test_several_clients_use_it_at_once_and_one_after_the_other(hosted):
    with session.open("pool") as one, session.open("pool") as two:
        pids = {client.submit(os.getpid, pure=False).result(timeout=30) for client in (one, two)}
    with session.open("pool") as again:
        pids.add(again.submit(os.getpid, pure=False).result(timeout=30))

    assert len(pids) == 1


def test_only_who_has_the_credentials_of_its_file_gets_in(hosted):
    connection = read_connection("pool")
    assert connection.address.startswith("tls://127.0.0.1:")

    with pytest.raises((OSError, TimeoutError)):
        Client(connection.address, security=Security.temporary(), timeout=2)
    with pytest.raises((OSError, TimeoutError)):
        Client(connection.address.replace("tls", "tcp"), timeout=2)


def test_it_outlives_a_client_that_is_killed(hosted):
    code = "import os\nfrom simherd.clusters import session\nsession.open('pool')\nos.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == -9

    with session.open("pool") as client:
        assert client.submit(abs, -1).result(timeout=30) == 1


def test_it_ends_with_its_workers_and_removes_its_file(hosted):
    with session.open("pool") as client:
        (worker,) = client.run(os.getpid).values()
    connection = read_connection("pool")

    assert wait_until_over(hosted, request_stop(hosted), 30)

    assert find("pool").ending.exit_code == 0
    assert "Ended by SIGTERM.\nThe cluster is closed.\n" in log_of("pool").read_text()
    assert not connection_file("pool").exists()
    assert not psutil.pid_exists(worker)
    assert not psutil.pid_exists(connection.pid)


def test_one_that_was_killed_leaves_a_file_that_nobody_takes_for_a_cluster(hosted, wait_for):
    members = request_stop(hosted)
    kill(hosted, members)
    assert members.alive() == []
    assert not connection_file("pool").exists()

    with pytest.raises(SessionError, match=r"no cluster that runs can use"):
        session.open("pool")


@pytest.mark.parametrize(
    ("kind", "options"),
    [("local", {"security": "tls"}), ("slurm", {"security": "tls"}), ("distributed.LocalCluster", {})],
)
def test_only_kinds_that_know_the_word_are_told_to_use_tls(kind, options):
    assert _secured(kind) == options


def test_a_cluster_that_cannot_start_says_why_in_the_log(state, wait_for):
    command = (sys.executable, "-P", "-m", "simherd", "session", "host", "pool")
    options = {"local_directory": "/dev/null/nowhere"}
    start(Request(name="pool", command=command, hosted=Hosted(kind="local", options=options), in_tmux=False))
    wait_for(lambda: not find("pool").state.is_live)

    assert find("pool").ending.exit_code == 2
    assert "cannot keep files in local_directory='/dev/null/nowhere'" in log_of("pool").read_text()


@pytest.mark.parametrize(("configured", "name"), [({}, "night_1"), ({"name": "ours"}, "ours")])
def test_jobs_are_named_after_their_session(configured, name):
    with dask.config.set({"jobqueue": {"slurm": configured}}), _jobs_named("slurm", "night 1"):
        assert f"#SBATCH -J {name}\n" in job_script("slurm")

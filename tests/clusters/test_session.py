"""Clusters that others host: the connection file, and what answers there."""

from __future__ import annotations

import os
import socket
from dataclasses import asdict, replace
from types import SimpleNamespace

import pytest
from distributed import LocalCluster, Security

from simherd.clusters import session
from simherd.clusters.connection import (
    Connection,
    connection_file,
    read_connection,
    remove_connection,
    write_connection,
)
from simherd.errors import ClusterOptionError, SessionError
from simherd.executors.client import ClientExecutor

CREDENTIALS = {"tls_ca_file": "ca\n", "tls_client_cert": "cert\n", "tls_client_key": "key\n"}


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def connection():
    return Connection(
        address="tcp://127.0.0.1:1",
        scheduler_id="Scheduler-1",
        kind="slurm",
        host=socket.gethostname(),
        pid=1,
        dashboard="http://127.0.0.1:2/status",
    )


def test_a_connection_survives_its_file(connection):
    written = replace(connection, security=CREDENTIALS)
    write_connection("a", written)

    assert read_connection("a") == written
    assert connection_file("a").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in connection_file("a").parent.iterdir()] == ["connection.json"]
    assert "key" not in repr(written)


def test_a_connection_file_that_others_can_read_or_write_is_not_trusted(connection):
    write_connection("a", connection)
    connection_file("a").chmod(0o640)

    with pytest.raises(SessionError, match=r"not trusted.*mode 640"):
        read_connection("a")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_what_belongs_to_another_user_is_not_trusted(connection):
    write_connection("a", connection)
    os.chown(connection_file("a"), 12345, -1)
    with pytest.raises(SessionError, match=r"not trusted.*owner 12345"):
        read_connection("a")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"address": 1}', '{"what": "else"}'])
def test_a_file_that_is_no_connection_is_an_error(connection, text):
    write_connection("a", connection)
    connection_file("a").write_text(text)

    with pytest.raises(SessionError, match=r"Cannot read the connection file.*session stop a"):
        read_connection("a")


def test_a_session_that_is_not_there_or_hosts_nothing_says_what_to_do(connection):
    with pytest.raises(SessionError, match=r"no session 'a'.*'simherd session start a --cluster KIND'"):
        session.open("a")
    write_connection("a", connection)
    remove_connection("a")
    with pytest.raises(SessionError, match=r"no cluster that runs can use.*'simherd session logs a'"):
        session.open("a")


def test_a_session_takes_no_options(connection):
    write_connection("a", connection)

    with pytest.raises(ClusterOptionError, match=r"takes no option: found 'workers'.*session start"):
        session.open("a", workers=2)


def test_where_nobody_listens_one_hears_so_at_once(connection):
    write_connection("a", connection)

    with pytest.raises(SessionError, match=r"does not answer.*refused.*session start a --cluster slurm"):
        session.open("a")


def test_a_connection_of_another_machine_names_it(connection):
    write_connection("a", replace(connection, host="login2"))

    with pytest.raises(SessionError, match=r"on login2 \(this is "):
        session.open("a")


@pytest.mark.cluster
@pytest.mark.parametrize("is_secure", [False, True])
def test_a_client_reaches_the_scheduler_that_was_written_down_and_no_other(connection, is_secure):
    security = Security.temporary() if is_secure else None
    protocol = "tls://" if is_secure else "tcp://"
    options = {"processes": False, "dashboard_address": ":0", "protocol": protocol, "security": security}
    with LocalCluster(n_workers=1, **options) as cluster:
        credentials = {key: getattr(security, key) for key in CREDENTIALS} if is_secure else None
        there = replace(
            connection,
            address=cluster.scheduler_address,
            scheduler_id=cluster.scheduler.id,
            security=credentials,
        )
        write_connection("a", there)
        with session.open("a") as client:
            assert client.submit(abs, -1).result(timeout=30) == 1
        with session.open("a") as client:  # closing it left the cluster alone
            assert client.submit(abs, -2).result(timeout=30) == 2
        cluster.scheduler.simherd_keeper = SimpleNamespace(
            most_threads=3, failure=None, end_of=lambda worker: (worker, True), complaint_of=str.upper
        )
        with session.open("a") as client:
            executor, keeper = ClientExecutor(client), client.keeper
            assert (executor.workers, executor.batch_jobs(), keeper.failure) == (3, frozenset(), None)
            assert (keeper.end_of("job-0"), keeper.complaint_of("job-0")) == (("job-0", True), "JOB-0")
        write_connection("a", replace(there, scheduler_id="Scheduler-1"))
        with pytest.raises(SessionError, match=r"another scheduler \(Scheduler-.*\) is there"):
            session.open("a")


def test_a_record_of_a_connection_is_plain_data(connection):
    assert set(asdict(connection)) == {*Connection.__slots__}

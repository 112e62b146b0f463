"""The cluster adapters keep their contract; ranks of MPI do so in ``tests/clusters/test_mpi.py``.

(A cluster of ranks exists once in a program that mpirun started, and these clauses open it again and again.)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import ClassVar

import pytest

from simherd.testing.clusters import LIMIT_S, ClusterContract

JOB = f"c{os.getpid()}"


@pytest.mark.cluster
class TestLocal(ClusterContract):
    kind = "local"
    options: ClassVar = {"workers": 2}


@pytest.mark.cluster
class TestThreads(ClusterContract):
    kind = "local"
    options: ClassVar = {"workers": 1, "threads_per_worker": 2, "processes": 0}
    starts_workers = False
    survives = False


class Jobs(ClusterContract):
    """Clusters whose workers are jobs: these are told from those of others by their name."""

    asking: tuple[str, ...]

    def traces(self):
        listed = subprocess.run(self.asking, capture_output=True, text=True, check=True).stdout
        return super().traces() | {line for line in listed.splitlines() if JOB in line}


@pytest.mark.slurm
class TestSlurm(Jobs):
    kind = "slurm"
    options: ClassVar = {"memory": "500 MiB", "interface": "lo", "name": JOB}
    asking = ("squeue", "--noheader", "--format=%i %j")

    @pytest.fixture
    def target(self, own_folders, slurm):
        return self.kind


@pytest.mark.sge
class TestGridEngine(Jobs):
    kind = "sge"
    options: ClassVar = {
        "cores": 2,
        "parallel_environment": "smp",
        "memory": "1 GiB",
        "interface": "lo",
        "name": JOB,
    }
    asking = ("qstat", "-u", "*")

    @pytest.fixture
    def target(self, own_folders, sge):
        return self.kind


@pytest.fixture(scope="module")
def shared_cluster(tmp_path_factory):
    """Return a cluster for all that is given one."""
    from distributed import LocalCluster

    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with LocalCluster(**options, local_directory=str(tmp_path_factory.mktemp("dask"))) as cluster:
        yield cluster


class Given(ClusterContract):
    """Clusters that others have started: they are still there after each clause."""

    misspelt = ("memroy", "")
    starts_workers = False
    survives = False  # a nanny of Dask's own may hang if its worker is killed as soon as it connects

    @pytest.fixture
    def cluster(self, shared_cluster):
        before = set(shared_cluster.scheduler.workers)
        yield shared_cluster
        assert set(shared_cluster.scheduler.workers) == before


@pytest.mark.cluster
class TestAddress(Given):
    @pytest.fixture
    def target(self, cluster):
        return cluster.scheduler_address


@pytest.mark.cluster
class TestSchedulerFile(Given):
    @pytest.fixture
    def target(self, cluster, tmp_path):
        path = tmp_path / "scheduler.json"
        path.write_text(json.dumps(cluster.scheduler.identity(n_workers=0), default=str))
        return str(path)


@pytest.mark.cluster
class TestCluster(Given):
    @pytest.fixture
    def target(self, cluster):
        return cluster


@pytest.mark.cluster
class TestClient(Given):
    @pytest.fixture
    def target(self, cluster):
        from distributed import Client

        client = Client(cluster)
        yield client
        client.close()


@pytest.mark.cluster
class TestClass(Given):
    """A cluster class by its path is started, and ended."""

    kind = "distributed.LocalCluster"
    starts_workers = True
    options: ClassVar = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}


@pytest.fixture(scope="module")
def session_state(tmp_path_factory):
    """Start a session with a cluster, and return the folder that knows of it."""
    from simherd.clusters.connection import connection_file
    from simherd.sessions import Request, find, request_stop, start, wait_until_over
    from simherd.sessions.record import Hosted

    folder = tmp_path_factory.mktemp("session")
    command = (sys.executable, "-P", "-m", "simherd", "session", "host", "pool")
    hosted = Hosted(kind="local", options={"workers": 2})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder))
        patch.chdir(folder)
        start(Request(name="pool", command=command, hosted=hosted, in_tmux=False))
        end = time.monotonic() + LIMIT_S
        while not connection_file("pool").exists() and time.monotonic() < end:
            time.sleep(0.1)
    yield folder
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder))
        found = find("pool")
        assert wait_until_over(found, request_stop(found), LIMIT_S)


@pytest.mark.cluster
class TestSession(Given):
    survives = True

    @pytest.fixture
    def target(self, own_folders, session_state, monkeypatch):
        monkeypatch.setenv("XDG_STATE_HOME", str(session_state))
        return "session:pool"

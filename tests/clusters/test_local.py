from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import dask
import pytest

import simherd as sh
from simherd.errors import ClusterError, ClusterOptionError
from simherd.threads import GUARD_VARIABLES


def children() -> set[int]:
    """Return the processes started by this one, but for multiprocessing's own resource tracker."""
    from multiprocessing.resource_tracker import _resource_tracker

    table = subprocess.run(["ps", "-eo", "pid=,ppid=,stat="], capture_output=True, text=True, check=True)
    rows = [line.split() for line in table.stdout.splitlines()]
    mine = {int(pid) for pid, parent, state in rows if int(parent) == os.getpid() and state != "Z"}
    return {pid for pid in mine if Path(f"/proc/{pid}/comm").exists()} - {_resource_tracker._pid}


def environment() -> dict[str, str]:
    """Return the environment without what pytest itself changes in it and what Dask marks it with."""
    others = ("PYTEST_CURRENT_TEST", "__DASK_PARENT_PID")
    return {name: value for name, value in os.environ.items() if name not in others}


@pytest.fixture
def nothing_left(tmp_path, monkeypatch):
    """Check that a test leaves no process, no file and no environment variable behind."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    before, processes = environment(), children()
    yield
    deadline = time.monotonic() + 5
    while children() - processes and time.monotonic() < deadline:
        time.sleep(0.05)

    assert children() - processes == set()
    assert list(scratch.iterdir()) == []
    assert environment() == before


@pytest.mark.cluster
def test_a_cluster_leaves_nothing_behind(nothing_left):
    with sh.open_client("local", workers=2) as client:
        assert sorted(client.map(abs, [-1, -2]), key=id)
        assert len(client.nthreads()) == 2


@pytest.mark.cluster
def test_a_cluster_leaves_nothing_behind_after_an_error(nothing_left):
    with pytest.raises(ZeroDivisionError), sh.open_client("local", workers=2):
        raise ZeroDivisionError


@pytest.mark.cluster
def test_close_does_the_same_without_with(nothing_left):
    client = sh.open_client("local", workers=1)

    client.close()
    client.close()


@pytest.mark.cluster
def test_a_cluster_that_cannot_start_leaves_nothing_behind(nothing_left):
    with pytest.raises(ClusterError, match="cannot keep files in local_directory"):
        sh.open_client("local", workers=1, local_directory="/dev/null/nowhere")


@pytest.mark.cluster
def test_a_worker_that_is_started_again_leaves_the_environment_alone(nothing_left):
    with sh.open_client("local", workers=2) as client:
        before = dict(os.environ)
        client.restart()
        deadline = time.monotonic() + 5  # a nanny may still be busy when its worker is there
        while dict(os.environ) != before and time.monotonic() < deadline:
            time.sleep(0.05)

        assert dict(os.environ) == before
        assert client.submit(os.getenv, "OMP_NUM_THREADS", pure=False).result() == "1"


@pytest.mark.cluster
def test_thread_guards_reach_the_workers(two_workers):
    for name in GUARD_VARIABLES:
        assert set(two_workers.run(os.getenv, name).values()) == {"1"}, name


@pytest.mark.cluster
def test_threads_only_starts_no_process():
    before = children()

    with sh.open_client("local", workers=1, threads_per_worker=3, processes=0) as client:
        assert list(client.nthreads().values()) == [3]
        assert client.submit(os.getpid).result() == os.getpid()
        assert children() == before


@pytest.mark.cluster
def test_memory_is_shared_among_the_workers():
    with sh.open_client("local", workers=2, memory="1 GiB", processes=0) as client:
        limits = [w["memory_limit"] for w in client.scheduler_info()["workers"].values()]

    assert limits == [2**29, 2**29]


@pytest.mark.cluster
def test_files_of_workers_go_where_they_are_told(tmp_path):
    with sh.open_client("local", workers=1, local_directory=str(tmp_path)) as client:
        (place,) = client.run(lambda dask_worker: dask_worker.local_directory).values()

    assert Path(place).is_relative_to(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.cluster
def test_the_dashboard_and_the_scheduler_listen_on_this_machine_only(two_workers):
    assert "//127.0.0.1:" in two_workers.scheduler.address
    assert "//127.0.0.1:" in two_workers.dashboard_link


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "workers=0 is not allowed"),
        ({"workers": -1}, "workers=-1 is not allowed"),
        ({"workers": 1.5}, r"workers=1\.5 is not allowed"),
        ({"workers": True}, "workers=True is not allowed"),
        ({"workers": "2"}, "workers='2' is not allowed"),
        ({"threads_per_worker": 0}, "threads_per_worker=0 is not allowed"),
        ({"processes": 2}, "processes=2 is not allowed"),
        ({"memory": "plenty"}, "'plenty' is not a size of memory"),
        ({"memory": 0}, "is not a size of memory"),
        ({"wrokers": 2}, "has no option 'wrokers'. Did you mean 'workers'"),
        ({"walltime": "01:00:00"}, "has no option 'walltime'"),
        ({"kind": "lokal"}, "The cluster kind 'lokal' is not known.*Did you mean 'local'"),
    ],
)
def test_a_wrong_option_is_one_clear_error(options, message, nothing_left):
    with pytest.raises(ClusterOptionError, match=message):
        sh.open_client(**options)


@pytest.mark.cluster
def test_workers_keep_to_the_shares_of_memory_and_to_tls_that_are_asked_for():
    def shares(dask_worker):
        manager = dask_worker.memory_manager
        return manager.memory_target_fraction, manager.memory_pause_fraction

    with sh.open_client(
        "local", workers=1, security="tls", worker_memory={"target": 0.4, "pause": False}
    ) as one:
        assert list(one.run(shares).values()) == [(0.4, False)]
        assert one.scheduler.address.startswith("tls://127.0.0.1:")


@pytest.mark.cluster
@pytest.mark.slow
def test_worker_that_ends_again_and_again_is_not_given_up():
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": "50ms"}),
        sh.open_client("local", workers=1) as client,
    ):
        ((address, process),) = client.run(os.getpid).items()
        os.kill(process, signal.SIGKILL)
        while address in client.nthreads():
            time.sleep(0.02)

        client.wait_for_workers(1, timeout=60)


@pytest.mark.cluster
def test_there_can_be_no_dashboard():
    with (
        sh.open_client("local", workers=1, dashboard_address=None) as client,
        pytest.raises(urllib.error.HTTPError, match="404"),
    ):
        urllib.request.build_opener(urllib.request.HTTPCookieProcessor()).open(
            client.dashboard_link, timeout=10
        )


def test_an_interface_that_the_machine_lacks_is_an_error_that_names_those_it_has():
    with pytest.raises(ClusterOptionError, match=r"interface='ib7'.*It has .*lo \(127\.0\.0\.1\)"):
        sh.open_client("local", workers=1, interface="ib7")


@pytest.mark.cluster
def test_simulations_get_the_threads_that_are_asked_for():
    def threads():
        return os.environ["OMP_NUM_THREADS"]

    with sh.open_client("local", workers=1, guard_threads=2) as client:
        assert client.submit(threads).result() == "2"


@pytest.mark.cluster
def test_no_worker_is_dropped_because_a_simulation_holds_pythons_lock():
    with sh.open_client("local", workers=1, processes=0) as client:
        assert client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.worker_ttl) is None


CTRL_C_WHILE_WORKERS_START = """
import os, signal, threading, time, psutil, simherd
import simherd.clusters.local, simherd.executors.processes

def interrupt():
    while not any("spawn_main" in str(child.cmdline()) for child in psutil.Process().children()):
        time.sleep(0.01)
    time.sleep({after_s})
    os.killpg(0, signal.SIGINT)  # as a terminal does it

threading.Thread(target=interrupt).start()
try:
    {start}
    time.sleep(30)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.cluster
@pytest.mark.parametrize("after_s", [0.1, 0.4])
@pytest.mark.parametrize(
    "start",
    [
        'simherd.open_client("local", workers=2)',
        "[*simherd.executors.processes.ProcessExecutor(2).map(max, 1, [2, 3])]; time.sleep(30)",
    ],
    ids=["cluster", "processes"],
)
def test_ctrl_c_while_workers_start_prints_nothing_of_them(start, after_s):
    done = subprocess.run(
        [sys.executable, "-c", CTRL_C_WHILE_WORKERS_START.format(start=start, after_s=after_s)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        start_new_session=True,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "interrupted\n", "")

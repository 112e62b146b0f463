"""Programs that simulations start end with them, or with their worker."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
import uuid

import cloudpickle
import numpy as np
import psutil
import pytest

import simherd as sh
from simherd.store.journal import read_journal

# Worker processes cannot import this file: its classes travel by value.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Input p__doing will be missing in the store"),
]

MARK = "SIMHERD_TEST_PROGRAMS"
SLEEP = ["sleep", "600"]
LIMIT_S = 20


def spin():
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        pass


def wait_for_one():
    subprocess.run(SLEEP)


def wait_for_one_that_stays():
    subprocess.run(["sh", "-c", "trap '' TERM; sleep 600; sleep 600"])


def start_and_compute():
    subprocess.Popen(SLEEP, start_new_session=True)
    spin()


def start_a_service_and_compute():
    os.system("setsid sh -c 'sleep 600 & sleep 600' &")
    spin()


def fork_and_compute():
    if os.fork() == 0:
        os.setsid()
        os.execvp("sleep", SLEEP)
    spin()


def start_and_hold_the_interpreter():
    subprocess.Popen(SLEEP, start_new_session=True)
    ctypes.PyDLL(None).sleep(LIMIT_S)


def start_and_be_stopped():
    subprocess.Popen(SLEEP)
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(LIMIT_S)


def start_and_end_the_worker():
    subprocess.Popen(SLEEP, start_new_session=True)
    if os.fork() == 0:
        time.sleep(600)
    os._exit(3)


WAITS = [wait_for_one, wait_for_one_that_stays, start_and_compute]
TAKES_TOO_LONG = [
    *WAITS,
    start_a_service_and_compute,
    fork_and_compute,
    start_and_hold_the_interpreter,
    start_and_be_stopped,
]


@sh.process
class Starts:
    number = sh.variable()
    doing = sh.variable(description="what simulations 1, 2 ... do")
    out = sh.variable(intent="out")

    def initialize(self):
        self.out = self.number
        if 0 < self.number <= len(self.doing):
            list(self.doing)[self.number - 1]()


MODEL = sh.Model({"p": Starts})


def left():
    """Return the processes that simulations have left behind, once they had a moment to end."""
    deadline = time.monotonic() + 5
    while (there := list(_there())) and time.monotonic() < deadline:
        time.sleep(0.1)
    return there


def _there():
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == os.environ[MARK] and process.pid not in (os.getpid(), *_ours()):
                yield " ".join(process.cmdline())
        except psutil.Error:
            continue


def _ours():
    """Return workers and what belongs to them."""
    return {one.pid for one in psutil.Process().children(recursive=True) if one.name() != "sleep"}


@pytest.fixture(autouse=True)
def mark(monkeypatch):
    monkeypatch.setenv(MARK, uuid.uuid4().hex)


@pytest.fixture
def run(tmp_path):
    def run_batch(doing, scheduler, **options):
        setup = sh.create_setup(
            MODEL,
            input_vars={
                "p__number": ("member", np.arange(len(doing) + 2)),
                "p__doing": dict.fromkeys(doing),
            },
            output_vars={"p__out": None},
        )
        return setup.simherd.run(
            MODEL, batch_dim="member", parallel=True, scheduler=scheduler, workers=2, block_size=2,
            on_error="record", store=tmp_path / "o.zarr", **options,
        )  # fmt: skip

    return run_batch


@pytest.mark.parametrize("scheduler", ["sync", "threads"])
def test_here_programs_that_a_simulation_waits_for_end_at_its_limit(run, scheduler):
    started = time.monotonic()

    with pytest.warns(RuntimeWarning, match="not compiled code: simulations run in this process"):
        ds = run(WAITS, scheduler, timeout_s=0.5)

    assert ds.simulation_status.values.tolist() == [1, 2, 2, 2, 1]
    assert time.monotonic() - started < LIMIT_S
    assert left() == []


@pytest.mark.parametrize("scheduler", ["processes", pytest.param("client", marks=pytest.mark.cluster)])
def test_programs_end_with_the_limit_or_the_worker(run, tmp_path, capfd, scheduler):
    doing = [*TAKES_TOO_LONG, start_and_end_the_worker]
    if scheduler == "client":
        with sh.open_client("local", workers=2) as client:
            ds = run(doing, client, timeout_s=1)
            assert left() == []
    else:
        ds = run(doing, scheduler, timeout_s=1)

    assert ds.simulation_status.values.tolist() == [1, *[2] * len(doing), 1]
    assert left() == []
    journal = read_journal(tmp_path / "o.zarr")
    for number, entry in enumerate(journal[:-1], start=1):
        assert f"Simulation {number} took longer than timeout_s=1 and was ended." in entry["error"]
    assert "start_and_hold_the_interpreter" in journal[5]["traceback"]
    assert "Timeout" not in capfd.readouterr().err

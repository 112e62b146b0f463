"""Workers that give no sign of life are given up, whatever holds them."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

import cloudpickle
import numpy as np
import pytest

import simherd as sh
from simherd.executors import silence
from simherd.executors.base import Lost
from simherd.executors.processes import ProcessExecutor
from simherd.executors.silence import Silence, silence_after
from simherd.executors.worker_process import WorkerProcess

cloudpickle.register_pickle_by_value(sys.modules[__name__])

CLUSTER = pytest.param("client", marks=[pytest.mark.cluster, pytest.mark.slow])


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(silence.time, "monotonic", lambda: now[0])
    return now


def given_up(silence, clock, signs, step_s=5.0):
    """Return what is given up at each of several looks."""
    found = []
    for sign in signs:
        clock[0] += step_s
        found.append(silence.beyond_limit({"a": sign}))
    return found


@pytest.mark.parametrize(
    ("signs", "looks"),
    [
        ([1, 1, 1, 1], [[], [], [], ["a"]]),
        ([1, 1, 1, 2, 2], [[], [], [], [], []]),
        ([1, 2, 3, 4, 5, 6], [[]] * 6),
    ],
)
def test_silence_counts_from_last_sign(clock, signs, looks):
    assert given_up(Silence(10.0), clock, signs) == looks


def test_time_in_which_this_process_was_stopped_does_not_count(clock):
    assert given_up(Silence(20.0), clock, [1, 1], step_s=3600.0) == [[], []]


def test_without_limit_nothing_is_given_up(clock):
    assert given_up(Silence(silence_after(None)), clock, [1] * 9) == [[]] * 9


def test_limit_leaves_a_simulation_its_time():
    assert silence_after(3600.0) > 3600.0 + silence.MARGIN_S


def stop_at(number, item):
    if item == number:
        os.kill(os.getpid(), signal.SIGSTOP)
    return os.getpid()


def all_ended(tasks, items, limit_s=60):
    """Return what came of items, by item."""
    deadline = time.monotonic() + limit_s
    for item in items:
        tasks.submit(item)
    ended = {}
    while tasks.running and time.monotonic() < deadline:
        ended |= dict(tasks.finished(0.1))
    return ended


def test_stopped_worker_process_is_replaced():
    with ProcessExecutor(2) as executor, executor.tasks(stop_at, 1, silence_s=2.0) as tasks:
        ended = all_ended(tasks, range(4))

    assert ended.pop(1) == Lost("the process gave no sign of life for 2 s")
    assert ended.keys() == {0, 2, 3}


def test_process_that_outlives_its_kill_is_abandoned(monkeypatch):
    """As one does that waits for a hung file system: here it is stopped, and no signal is sent."""
    monkeypatch.setattr("simherd.executors.processes.KILL_S", 0.1)
    stuck, before = [], set(threading.enumerate())
    with monkeypatch.context() as deaf:
        deaf.setattr(WorkerProcess, "kill", lambda process: stuck.append(process))
        deaf.setattr(WorkerProcess, "terminate", lambda process: None)
        try:
            with ProcessExecutor(1) as executor, executor.tasks(stop_at, 0, silence_s=1.5) as tasks:
                ended = all_ended(tasks, [0, 1])
            waiting = {one for one in set(threading.enumerate()) - before if not one.daemon}
            for thread in waiting:
                thread.join(5)
            is_there = os.path.exists(f"/proc/{stuck[0].pid}")
        finally:
            os.kill(stuck[0].pid, signal.SIGKILL)

    assert is_there
    assert isinstance(ended[0], Lost)
    assert isinstance(ended[1], int)
    assert not any(thread.is_alive() for thread in waiting)
    stuck[0].join()  # as Python does when it ends


class StopsOnce:
    """An input that stops the first worker that unpacks it, before any simulation of it."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return stop_once, (self.folder,)


def stop_once(folder):
    try:
        os.mkdir(folder)
    except FileExistsError:
        return folder
    os.kill(os.getpid(), signal.SIGSTOP)
    return folder


@sh.process
class Doubles:
    number = sh.variable()
    stops = sh.variable(description="what stops a worker")
    out = sh.variable(intent="out")

    def initialize(self):
        self.out = 2 * self.number


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Input p__stops will be missing in the store")
@pytest.mark.parametrize("scheduler", ["processes", CLUSTER])
def test_worker_stopped_between_simulations_does_not_keep_the_run(tmp_path, monkeypatch, scheduler):
    monkeypatch.setattr("simherd.executors.silence.MARGIN_S", 2.0)
    monkeypatch.setattr("simherd.executors.worker_watch.LOOK_S", 0.5)
    model = sh.Model({"p": Doubles})
    setup = sh.create_setup(
        model,
        input_vars={
            "p__number": ("member", np.arange(6)),
            "p__stops": {"of": StopsOnce(str(tmp_path / "once"))},
        },
        output_vars={"p__out": None},
    )

    def run(scheduler, **workers):
        return setup.simherd.run(
            model, batch_dim="member", parallel=True, scheduler=scheduler, block_size=2, timeout_s=1,
            on_error="record", store=tmp_path / "o.zarr", **workers,
        )  # fmt: skip

    if scheduler == "client":
        with sh.open_client("local", workers=2) as client:
            ds = run(client)
    else:
        ds = run(scheduler, workers=2)

    assert (tmp_path / "once").exists()
    np.testing.assert_array_equal(ds.p__out, 2 * np.arange(6))

"""How runs end: what is written then, what is not any more, and who is to blame."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import sys
import threading
import time
from concurrent import futures

import cloudpickle
import numpy as np
import pytest
import xarray as xr
import zarr

import simherd as sh
from simherd.ensemble.task import run_task
from simherd.errors import RunInterruptedError
from simherd.events import BlockFinished
from simherd.executors.serial import SerialExecutor
from simherd.store.journal import read_journal

# Worker processes cannot import this file: its classes travel by value.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

pytestmark = pytest.mark.slow


def exit_python(number):
    if number == 1:
        sys.exit("out")


def hold_the_interpreter(number):
    if number == 0:
        ctypes.PyDLL(None).sleep(60)


def take_long_at_first(number):
    if number == 0:
        time.sleep(20)


def end_the_worker(number):
    if number == 5:
        os._exit(3)
    time.sleep(0.1)


def fail_before_others_end(number):
    time.sleep([0.0, 0.2, 0.4, 0.6][number])
    if number == 1:
        raise ValueError("no luck")


def nothing(number):
    pass


def run(does, size=4, factor=1.0, **options):
    @sh.process
    class Does:
        number = sh.variable()
        factor = sh.variable()
        out = sh.variable(intent="out")

        def initialize(self):
            self.out = self.number * self.factor

        def run_step(self):
            does(self.number)

    model = sh.Model({"p": Does})
    setup = sh.create_setup(
        model,
        clocks={"t": [0, 1]},
        input_vars={"p__number": ("member", list(range(size))), "p__factor": factor},
        output_vars={"p__out": "t"},
    )
    return setup.simherd.run(model, batch_dim="member", block_size=1, **options)


@pytest.mark.parametrize("where", [{}, {"parallel": True, "scheduler": "processes", "workers": 2}])
def test_a_simulation_that_leaves_python_costs_itself(where, tmp_path):
    ds = run(exit_python, store=tmp_path / "o.zarr", on_error="record", **where)

    assert ds.simulation_status.values.tolist() == [1, 2, 1, 1]
    assert read_journal(tmp_path / "o.zarr")[0]["error"] == "SystemExit('out')"


def test_a_time_limit_holds_for_the_simulation_that_is_tried_first(tmp_path):
    started = time.monotonic()

    ds = run(
        hold_the_interpreter, store=tmp_path / "o.zarr", on_error="record", timeout_s=1.0,
        parallel=True, scheduler="processes", workers=2,
    )  # fmt: skip

    assert ds.simulation_status.values.tolist() == [2, 1, 1, 1]
    assert time.monotonic() - started < 40


def test_a_signal_ends_what_is_only_tried(tmp_path):
    started = time.monotonic()
    timer = threading.Timer(1.0, os.kill, [os.getpid(), signal.SIGUSR1])
    timer.start()

    with pytest.raises(RunInterruptedError, match="interrupted by SIGUSR1 before its first block"):
        run(take_long_at_first, store=tmp_path / "o.zarr")

    assert time.monotonic() - started < 10
    assert list(tmp_path.iterdir()) == []


class WorkersThatNeverStart(SerialExecutor):
    """Can try a simulation, and then waits for workers."""

    def tasks(self, function, shared, silence_s=None):
        if function is run_task:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)
        return super().tasks(function, shared, silence_s)


def test_signal_ends_the_wait_for_workers(tmp_path):
    started = time.monotonic()

    with pytest.raises(RunInterruptedError, match="interrupted by SIGTERM: 0 simulations done"):
        run(nothing, store=tmp_path / "o.zarr", parallel=True, scheduler=WorkersThatNeverStart())

    assert time.monotonic() - started < 10


@pytest.mark.cluster
@pytest.mark.parametrize("stored", [True, False])
def test_threads_of_a_worker_that_one_simulation_ends_are_innocent(stored, tmp_path):
    with sh.open_client("local", workers=1, threads_per_worker=4) as client:
        ds = run(
            end_the_worker, 8, store=tmp_path / "o.zarr" if stored else None, on_error="record",
            parallel=True, scheduler=client,
        )  # fmt: skip

        assert ds.simulation_status.values.tolist() == [1, 1, 1, 1, 1, 2, 1, 1]


def test_a_group_in_a_folder_may_be_written_by_worker_processes(tmp_path):
    group = zarr.open_group(tmp_path / "o.zarr", mode="w")

    ds = run(nothing, store=group, parallel=True, scheduler="processes", workers=2)

    assert ds.p__out[:, -1].values.tolist() == [0.0, 1.0, 2.0, 3.0]


def test_results_that_are_back_are_written_before_an_error_ends_the_run():
    group = zarr.open_group(zarr.storage.MemoryStore(), mode="w")
    waits = iter([1.0])

    def let_others_come_back(event):
        if isinstance(event, BlockFinished):
            time.sleep(next(waits, 0.0))

    with pytest.raises(ValueError, match="no luck"):
        run(
            fail_before_others_end, store=group, parallel=True, scheduler="threads", workers=4,
            retries=0, subscribers=[let_others_come_back],
        )  # fmt: skip

    assert np.asarray(group["simulation_status"]).tolist() == [1, 2, 1, 1]


def test_a_run_that_has_ended_writes_no_more(tmp_path):
    store = tmp_path / "o.zarr"

    def slow_or_wrong(number):
        time.sleep(1.5 if number == 0 else 0.0)
        if number == 3:
            raise ValueError("no luck")

    first = threading.Event()

    def only_once_tried(number):
        if first.is_set():
            slow_or_wrong(number)
        first.set()

    with futures.ThreadPoolExecutor(2) as pool:
        with pytest.raises(ValueError, match="no luck"):
            run(only_once_tried, store=store, parallel=True, scheduler=pool)
        shutil.rmtree(store)
        run(nothing, factor=100.0, store=store)
    time.sleep(0.2)

    assert xr.open_zarr(store).p__out[:, -1].values.tolist() == [0.0, 100.0, 200.0, 300.0]

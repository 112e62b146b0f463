"""Maps and batches on actors of Ray: a real local one."""

from __future__ import annotations

import os
import signal
import sys
import time

import numpy as np
import pytest

import simherd as sh
from simherd.errors import TaskError, TaskTimeoutError

ray = pytest.importorskip("ray", reason="Ray is not installed")
pytestmark = [pytest.mark.cluster, pytest.mark.slow]

OPTIONS = {"parallelizer": "ray", "ncpus": 2}


@pytest.fixture(scope="module", autouse=True)
def _ray():
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


def test_results_are_in_the_order_of_arguments():
    values = np.arange(200_000.0)

    def task(number, values):
        values[number] = -1
        return number, values.sum()

    expected = [(number, values.sum() - number - 1) for number in range(40)]
    assert sh.parallelize(task, range(40), values=values, **OPTIONS) == expected


def test_random_numbers_are_those_of_worker_processes():
    def drawn(**options):
        np.random.seed(1)
        return sh.parallelize(np.random.random, 5, **options)

    assert drawn(**OPTIONS) == drawn(ncpus=2)


class Panic(BaseException):
    """What is no Exception."""


def raise_(error):
    raise error


HARMS = {
    1: (lambda: raise_(ValueError("no")), ValueError, "no"),
    3: (lambda: sys.exit("left"), SystemExit, "left"),
    5: (lambda: raise_(Panic("panic")), Panic, "panic"),
    7: (lambda: os.kill(os.getpid(), signal.SIGKILL), TaskError, "Task 7 ended its worker process"),
    9: (
        lambda: (os.kill(os.getpid(), signal.SIGSTOP), time.sleep(100)),
        TaskTimeoutError,
        "Task 9 took longer",
    ),
    11: (lambda: time.sleep(100), TaskTimeoutError, "Task 11 took longer"),
    13: (lambda: [None for _ in iter(int, 1)], TaskTimeoutError, "Task 13 took longer"),
    15: (lambda: bytearray(2**60), MemoryError, ""),
}


def test_each_harm_costs_one_task():
    def task(number):
        if number in HARMS:
            HARMS[number][0]()
        return number

    with pytest.warns(RuntimeWarning, match="Only 12 of 20"):
        results = sh.parallelize(task, range(20), die=False, timeout_s=1, **OPTIONS)

    assert [results[n] for n in range(20) if n not in HARMS] == [n for n in range(20) if n not in HARMS]
    for number, (_, kind, text) in HARMS.items():
        assert isinstance(results[number], kind)
        assert text in str(results[number])


@sh.process
class Squares:
    """Squares a number, and ends its worker at 3."""

    x = sh.variable()
    y = sh.variable(intent="out")

    def initialize(self):
        if self.x == 3:
            os._exit(1)
        self.y = self.x**2


def test_batch_on_ray_gives_what_a_serial_one_gives(tmp_path):
    model = sh.Model({"s": Squares})
    setup = sh.create_setup(
        model, input_vars={"s__x": ("member", np.arange(12.0))}, output_vars={"s__y": None}
    )

    result = setup.simherd.run(
        model, batch_dim="member", scheduler="ray", workers=2, on_error="record", store=tmp_path / "out.zarr"
    )

    expected = np.arange(12.0) ** 2
    expected[3] = np.nan
    np.testing.assert_array_equal(result.s__y, expected)
    assert result.simulation_status.values.tolist() == [1, 1, 1, 2, 1, 1, 1, 1, 1, 1, 1, 1]

"""Maps and batches on actors of Ray: a real local one."""

from __future__ import annotations

import os

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


def test_loss_of_an_actor_costs_one_task():
    def task(number):
        if number == 3:
            os._exit(1)
        if number == 7:
            raise ValueError("no")
        return number

    with pytest.warns(RuntimeWarning, match="Only 8 of 10"):
        results = sh.parallelize(task, range(10), die=False, **OPTIONS)

    assert [results[n] for n in range(10) if n not in (3, 7)] == [n for n in range(10) if n not in (3, 7)]
    assert isinstance(results[3], TaskError)
    assert "Task 3 ended its worker process" in str(results[3])
    assert isinstance(results[7], ValueError)


def test_task_that_never_ends_costs_one_task():
    def task(number):
        while number == 1:
            pass
        return number

    with pytest.warns(RuntimeWarning, match="Only 2 of 3"):
        results = sh.parallelize(task, range(3), die=False, timeout_s=1, **OPTIONS)

    assert isinstance(results[1], TaskTimeoutError)


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

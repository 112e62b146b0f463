from __future__ import annotations

import sys
import time
import uuid
from dataclasses import dataclass
from operator import call

import cloudpickle
import dask
import pytest

from simherd.clusters.scheduler import SETTINGS
from simherd.executors import leaving
from simherd.executors.client import _unchanged
from simherd.executors.leaving import ENDS_AT, Refused, call_in_time
from simherd.executors.payload import pack, seal

LIMIT_S = 60
BORN = 1_000_000.0

# Worker processes cannot import this file, as they can the modules of simherd: it travels by value.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


@dataclass(frozen=True)
class Item:
    """A block of simulations that takes a time."""

    size: int
    seconds: float


class Clock:
    """A time that goes on only as it is told."""

    def __init__(self):
        self.now = BORN

    def time(self):
        return self.now

    perf_counter = time


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(leaving, "time", clock)
    return clock


@pytest.fixture
def worker(monkeypatch, clock):
    """Return a function that gives an item to a worker which lives 1000 s; returns whether it was begun."""
    monkeypatch.setenv(ENDS_AT, str(int(BORN + 1000)))
    monkeypatch.setattr(leaving, "_leave", lambda: None)
    payload = pack(uuid.uuid4())

    def run(shared, item):
        clock.now += item.seconds

    return lambda size, seconds, payload=payload: (
        not isinstance(call_in_time(run, payload, seal(Item(size, seconds))), Refused)
    )


def test_a_worker_begins_nothing_that_could_not_end_in_time(worker, clock):
    assert worker(1, 100)
    clock.now = BORN + 840
    assert worker(1, 100)

    assert not worker(1, 100)


@pytest.mark.parametrize("seconds", [600, 700, 1400])
def test_a_block_that_takes_most_of_a_life_is_begun_by_a_new_worker_only(worker, seconds):
    assert worker(1, seconds)

    assert not worker(1, seconds)


def test_one_slow_block_is_forgotten(worker, clock):
    assert worker(1, 400)
    clock.now = BORN
    assert all(worker(1, 1) for _ in range(leaving.REMEMBERED))
    clock.now = BORN + 990

    assert worker(1, 1)


def test_larger_blocks_take_longer(worker, clock):
    assert worker(1, 1)
    assert worker(10, 20)
    clock.now = BORN + 890

    assert not worker(50, 100)
    assert worker(20, 40)


def test_what_the_first_block_loads_does_not_count_for_each_simulation_of_a_larger_one(worker):
    assert worker(1, 20)

    assert worker(2000, 2)


def test_each_run_has_its_own_pace(worker, clock):
    assert worker(1, 700)
    clock.now = BORN + 900

    assert not worker(1, 1)
    assert worker(1, 1, pack(uuid.uuid4()))


def _time_is_over(dask_worker):
    dask_worker.loop.add_callback(leaving._end_tidily, dask_worker)


def _wait_until(condition):
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def cluster():
    from distributed import LocalCluster

    with (
        dask.config.set(SETTINGS),
        LocalCluster(n_workers=1, threads_per_worker=1, memory_limit="4 GiB", dashboard_address=None) as one,
    ):
        yield one


@pytest.mark.cluster
def test_a_worker_whose_time_is_over_begins_no_task_and_the_next_one_does_what_it_had(cluster, tmp_path):
    """Also if it was the last one, with the only copy of what all tasks share in its memory."""

    def simulate(item):
        (tmp_path / str(item)).touch()
        time.sleep(0.3)
        return item

    shared = pack(simulate)
    with cluster.get_client() as client:
        carried = client.submit(_unchanged, shared, pure=False)
        futures = [client.submit(call_in_time, call, carried, seal(item), pure=False) for item in range(20)]
        futures[1].result()
        client.run(_time_is_over)
        begun = len(list(tmp_path.iterdir()))
        _wait_until(lambda: not client.nthreads())
        assert len(list(tmp_path.iterdir())) <= begun + 1

        cluster.scale(2)
        assert client.gather(futures) == list(range(20))

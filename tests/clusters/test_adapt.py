"""Clusters whose number of jobs follows the work: it grows, gives back, and does not flap."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from distributed import Event

import simherd as sh
from simherd.clusters.jobqueue import pool

LIMIT_S = 90
IDLE_S = 3.0
LONG_S = 10.0

pytestmark = pytest.mark.parametrize("batch_system", ["slurm"], indirect=True)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let idle jobs be given back after seconds, and look often."""
    monkeypatch.setattr(pool, "IDLE_S", IDLE_S)
    monkeypatch.setattr(pool, "LATER_S", 1.0)


def wait_until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.1)


def submissions(client) -> int:
    return len(client.keeper._fleet._jobs)


def sleep_on_workers(client, seconds: float, tasks: int):
    return client.map(time.sleep, [seconds] * tasks, pure=False)


def test_jobs_come_with_the_work_and_go_when_it_is_done(bed):
    with sh.open_client("slurm", adapt=(1, 3), **bed.options) as client:
        assert submissions(client) == 1
        client.gather(sleep_on_workers(client, 1.0, 24))

        assert submissions(client) == 3
        wait_until(lambda: len(client.keeper.jobs) == 1)
        wait_until(lambda: len(client.nthreads()) == 1)
        assert submissions(client) == 3
        assert client.submit(abs, -1, pure=False).result(LIMIT_S) == 1
        assert len(client.keeper.jobs) == 1


def test_a_pause_between_two_loads_costs_no_job(bed):
    with sh.open_client("slurm", adapt=(1, 2), **bed.options) as client:
        both = Event("both are there", client=client)
        tasks = client.map(lambda _: Event("both are there").wait(LIMIT_S), range(8), pure=False)
        client.wait_for_workers(2, timeout=LIMIT_S)
        both.set()
        assert all(client.gather(tasks))
        time.sleep(IDLE_S / 3)
        client.gather(sleep_on_workers(client, 0.5, 8))

        assert submissions(client) == 2


def test_a_long_task_on_one_of_two_processes_keeps_its_job_and_brings_no_other(bed):
    options = {**bed.options, "cores": 2, "processes": 2, "memory": "1 GiB"}
    with sh.open_client("slurm", adapt=(0, 4), **options) as client:
        (task,) = sleep_on_workers(client, LONG_S, 1)
        task.result(LIMIT_S)

        assert submissions(client) == 1
        assert len(client.keeper.jobs) == 1


def test_all_jobs_may_go_and_come_again(bed):
    with sh.open_client("slurm", adapt=(0, 2), **bed.options) as client:
        assert client.submit(abs, -1).result(LIMIT_S) == 1
        wait_until(lambda: not client.keeper.jobs)

        assert client.submit(abs, -2).result(LIMIT_S) == 2
        assert submissions(client) == 2

"""No question to a Dask scheduler is waited for without a limit."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time

import cloudpickle
import pytest

import simherd as sh
from simherd.engine.checkpoints import Stopped
from simherd.ensemble.interrupts import Interrupts
from simherd.executors.asking import ask
from simherd.executors.client import ClientExecutor

pytestmark = pytest.mark.cluster
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def test_answer_and_error_come_back(two_workers):
    async def fail():
        raise KeyError("none")

    assert len(ask(two_workers, two_workers.nthreads)) == 2
    with pytest.raises(KeyError, match="none"):
        ask(two_workers, fail)


def test_missing_answer_is_an_error(two_workers, monkeypatch):
    monkeypatch.setattr("simherd.executors.asking.SLICE_S", 0.05)

    with pytest.raises(TimeoutError, match="no answer within 0 s"):
        ask(two_workers, lambda: asyncio.sleep(60), limit_s=0.1)


def test_signal_ends_the_wait(two_workers):
    begun = time.monotonic()
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()

    with Interrupts(60.0) as interrupts, pytest.raises(Stopped), interrupts.leaving_at_once():
        ask(two_workers, lambda: asyncio.sleep(60))
    assert time.monotonic() - begun < 10


@pytest.mark.slow
def test_paused_workers_do_not_block_the_start_of_tasks(monkeypatch):
    def pause(dask_worker):
        from distributed.core import Status

        dask_worker.status = Status.paused

    def double(shared, item):
        return 2 * item

    monkeypatch.setattr("simherd.executors.client.SPREAD_S", 0.1)
    monkeypatch.setattr("simherd.executors.paused.PATIENCE_S", 0.1)
    monkeypatch.setattr("simherd.executors.worker_watch.LOOK_S", 0.1)
    with sh.open_client("local", workers=1) as client:
        client.run(pause)
        with pytest.warns(
            RuntimeWarning, match=r"Worker 0 .* has been paused by Dask .* it holds .* MiB of "
        ):
            results = sorted(ClientExecutor(client).map(double, None, range(3)))

    assert results == [0, 2, 4]


@pytest.mark.slow
def test_worker_ended_for_its_memory_says_how_much_it_held():
    def fill(shared, item):
        kept = bytearray(600 * 2**20)
        time.sleep(60)
        return len(kept)

    with (
        sh.open_client("local", workers=1, memory="400 MiB") as client,
        ClientExecutor(client).tasks(fill, None) as tasks,
    ):
        tasks.submit(0)
        while not (ended := tasks.finished(1.0)):
            pass

    ((_, lost),) = ended
    assert "of 400.0 MiB of memory and was ended: give workers more memory" in lost.reason
    assert not lost.is_innocent

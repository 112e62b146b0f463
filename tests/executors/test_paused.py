"""Workers that Dask pauses are named, started again, and end the run where that does not help."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simherd.errors import ClusterError
from simherd.executors import paused
from simherd.executors.paused import PauseWatch
from simherd.executors.workers import WorkerSeen

FULL = WorkerSeen(
    address="tcp://10.0.0.2:1", name="job-0", is_paused=True, has_work=False, last_sign=0.0,
    held_bytes=830 * 2**20, limit_bytes=2**30, has_nanny=True,
)  # fmt: skip
RUNNING = replace(FULL, address="tcp://10.0.0.3:1", name="job-1", is_paused=False)
LOOK_S = 5.0


class Cluster:
    """What a watch sees of workers, and which of them it starts again."""

    def __init__(self, monkeypatch):
        self.now, self.paused, self.others = 100.0, [], []
        self.restarted = []
        monkeypatch.setattr(paused.time, "monotonic", lambda: self.now)
        self.watch = PauseWatch()

    def pass_time(self, seconds, has_progress=False):
        for _ in range(int(seconds // LOOK_S)):
            self.now += LOOK_S
            if has_progress:
                self.watch.note_progress()
            self.restarted += self.watch.to_restart([*self.paused, *self.others]).items()


@pytest.fixture
def cluster(monkeypatch):
    return Cluster(monkeypatch)


def test_paused_worker_is_named_and_restarted_within_a_minute(cluster):
    cluster.paused = [FULL]

    with pytest.warns(
        RuntimeWarning, match=r"Worker job-0 .* holds 830.0 MiB of 1.0 GiB .* Fix: give workers"
    ):
        cluster.pass_time(45)

    address, why = cluster.restarted[0]
    assert address == FULL.address
    assert "830.0 MiB" in why


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("worker", [FULL, replace(FULL, has_nanny=False)])
def test_run_ends_where_all_workers_stay_paused(cluster, worker):
    cluster.paused = [worker]

    with pytest.raises(ClusterError, match=r"All workers are paused\. .*830.*Fix: give workers more memory"):
        cluster.pass_time(300)

    assert len(cluster.restarted) == (paused.RESTARTS if worker.has_nanny else 0)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_progress_renews_restarts(cluster):
    cluster.paused = [FULL]

    cluster.pass_time(300, has_progress=True)

    assert len(cluster.restarted) > paused.RESTARTS


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_other_workers_keep_the_run_going(cluster):
    cluster.paused, cluster.others = [replace(FULL, has_nanny=False)], [RUNNING]

    cluster.pass_time(300)


@pytest.mark.filterwarnings("error")
def test_short_pause_is_left_alone(cluster):
    for _ in range(5):
        cluster.paused = [FULL]
        cluster.pass_time(10)
        cluster.paused = []
        cluster.pass_time(5)

    assert cluster.restarted == []

"""At which shares of their memory workers act."""

from __future__ import annotations

import dask
import pytest

from simherd.clusters import job_script
from simherd.clusters.memory import memory_settings

PAUSE = "distributed.worker.memory.pause"


@pytest.mark.parametrize(
    ("configured", "given", "pause"), [(0.8, {}, False), (0.8, {"pause": 0.9}, 0.9), (0.7, {}, None)]
)
def test_workers_pause_only_where_asked_to(configured, given, pause):
    with dask.config.set({PAUSE: configured}):
        assert memory_settings(given).get(PAUSE) == pause


@pytest.mark.parametrize("kind", ["slurm", "sge", "pbs"])
def test_jobs_do_not_pause_workers(kind):
    assert "export DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE=False" in job_script(kind).splitlines()


@pytest.mark.cluster
def test_local_workers_do_not_pause(two_workers):
    shares = two_workers.run(lambda dask_worker: dask_worker.memory_manager.memory_pause_fraction)

    assert set(shares.values()) == {False}

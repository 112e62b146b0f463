"""A session that hosts a cluster of real jobs: runs attach, a job is lost, the session ends."""

from __future__ import annotations

import sys
import threading

import pytest
import xarray as xr

from simherd.clusters import session
from simherd.clusters.connection import connection_file, read_connection
from simherd.schedulers import find as find_scheduler
from simherd.sessions import Request, find, request_stop, start, wait_until_over
from simherd.sessions.record import Hosted, log_of
from simherd.store.reading import read_state

KINDS = [
    pytest.param("slurm", {}, marks=pytest.mark.slurm),
    pytest.param("sge", {"parallel_environment": "smp"}, marks=pytest.mark.sge),
]


@pytest.fixture
def pool(state, wait_for):
    """Return a function that starts a session which hosts a cluster of one job."""

    def begin(kind, options):
        options = {"jobs": 1, "cores": 1, "memory": "1 GiB", "walltime": "00:10:00", **options}
        command = (sys.executable, "-P", "-m", "simherd", "session", "host", "pool")
        start(Request(name="pool", command=command, hosted=Hosted(kind=kind, options=options), in_tmux=False))
        wait_for(lambda: connection_file("pool").exists() or not find("pool").state.is_live)
        assert connection_file("pool").exists(), log_of("pool").read_text()
        return find("pool")

    return begin


def jobs_of(client):
    return client.run_on_scheduler(
        lambda dask_scheduler: [j.job_id for j in dask_scheduler.simherd_keeper.jobs]
    )


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_runs_share_it_and_a_lost_job_is_replaced(pool, walk, wait_for, tmp_path, request, kind, options):
    request.getfixturevalue(kind)
    hosted = pool(kind, options)
    setup = walk.setup([float(n) for n in range(24)], walk__pause=0.1)
    results = {}

    def run(name):
        with session.open("pool") as client:
            where = {"parallel": True, "scheduler": client, "store": tmp_path / name}
            results[name] = setup.simherd.run(walk.model, batch_dim="member", block_size=2, **where)

    with session.open("pool") as client:
        (first,) = jobs_of(client)
        assert read_connection("pool").address.startswith("tls://")
        runs = [threading.Thread(target=run, args=(f"{n}.zarr",)) for n in range(2)]
        for thread in runs:
            thread.start()
        wait_for(lambda: list(tmp_path.glob("*.zarr/simulation_status/c*")))
        find_scheduler(kind).cancel([first])
        for thread in runs:
            thread.join(120)
        (second,) = jobs_of(client)

    assert second != first
    for n in range(2):
        recorded = {one.job.job_id for one in read_state(tmp_path / f"{n}.zarr").jobs}
        assert second in recorded <= {first, second}
    assert sorted(results) == ["0.zarr", "1.zarr"]
    serial = setup.simherd.run(walk.model, batch_dim="member", parallel=False)
    for result in results.values():
        xr.testing.assert_identical(result.walk__height.load(), serial.walk__height)
        assert set(result.simulation_status.values) == {1}

    assert wait_until_over(hosted, request_stop(hosted), 60)
    assert find("pool").ending.exit_code == 0
    statuses = find_scheduler(kind).query([first, second])
    assert all(one.state.is_over for one in statuses.values())

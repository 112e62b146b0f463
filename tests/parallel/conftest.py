from __future__ import annotations

import pytest

import simherd as sh
from simherd.executors.kept import stop_kept


@pytest.fixture(scope="session")
def client():
    """Return a client of two workers that all tests of the room share."""
    with sh.open_client("local", workers=2) as client:
        yield client


@pytest.fixture(scope="session", autouse=True)
def _no_workers_stay():
    yield
    stop_kept()


IN_PROCESSES = ["multiprocess", pytest.param("dask", marks=pytest.mark.cluster)]
EVERYWHERE = ["serial", "thread", *IN_PROCESSES]


@pytest.fixture(params=EVERYWHERE)
def anywhere(request):
    """Return options that run a map in each kind of place."""
    return _options(request)


@pytest.fixture(params=IN_PROCESSES)
def elsewhere(request):
    """Return options that run a map in each kind of worker process."""
    return _options(request)


def _options(request):
    place = request.getfixturevalue("client") if request.param == "dask" else request.param
    return {"parallelizer": place, "ncpus": 2}

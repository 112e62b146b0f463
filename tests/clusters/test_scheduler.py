from __future__ import annotations

import socket
import tempfile

import pytest

from simherd.clusters.scheduler import start_scheduler
from simherd.errors import ClusterError

HOST = "127.0.0.1"


def test_a_scheduler_drops_no_worker_that_says_nothing_and_tells_of_the_first_one_lost():
    with start_scheduler(HOST, None, dashboard_address=None, name=None) as cluster:
        assert cluster.scheduler.worker_ttl is None
        assert "worker-ttl" not in cluster.scheduler.periodic_callbacks
        assert cluster.scheduler.allowed_failures == 0


def test_options_replace_those_of_simherd():
    options = {"worker_ttl": "1 hour"}

    with start_scheduler(HOST, None, dashboard_address=None, name=None, options=options) as cluster:
        assert cluster.scheduler.worker_ttl == 3600


@pytest.mark.parametrize(
    ("address", "options", "found"),
    [
        (None, {"port": "taken"}, "in use"),
        (None, {"nonsense": 3}, "nonsense"),
        ("no such:place", {}, "place"),
    ],
)
def test_a_scheduler_that_does_not_start_is_an_error_of_the_cluster(address, options, found):
    with socket.create_server((HOST, 0)) as taken:
        if options.get("port") == "taken":
            options = {"port": taken.getsockname()[1]}

        with (
            pytest.raises(ClusterError, match=f"did not start.*{found}.*look at.*dashboard_address"),
            start_scheduler(HOST, None, dashboard_address=address, name=None, options=options),
        ):
            pass


def test_scheduler_leaves_no_temporary_files(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    with start_scheduler(HOST, None, dashboard_address=None, name=None):
        assert len(list(tmp_path.iterdir())) == 1

    assert list(tmp_path.iterdir()) == []


def test_the_end_of_a_worker_that_was_never_seen_is_no_error():
    async def end(cluster):
        cluster._update_worker_status("remove", f"tcp://{HOST}:1")

    with start_scheduler(HOST, None, dashboard_address=None, name=None) as cluster:
        cluster.sync(end, cluster)

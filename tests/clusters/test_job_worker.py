"""The program of a worker job and its folder."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from distributed.cli import dask_worker

from simherd.clusters.job_worker import main
from simherd.clusters.versions import EXPECTED


@pytest.fixture
def worker(monkeypatch, tmp_path):
    """Let Dask's command end as a command does, and return the arguments that it got."""
    got: list[str] = []

    def run(arguments):
        got.extend(arguments)
        Path(arguments[-1], "dask-scratch-space").mkdir()
        raise SystemExit(3)

    monkeypatch.setattr(dask_worker, "main", run)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return got


@pytest.mark.parametrize("given", [[], ["--local-directory", "{}/of/user"]])
def test_folder_of_workers_ends_with_them(worker, tmp_path, given):
    given = [word.format(tmp_path) for word in given]
    with pytest.raises(SystemExit) as ended:
        main(["tls://host:1", "--name", "job-0", *given, "--nthreads", "2"])

    parent = Path(given[-1]) if given else tmp_path
    assert ended.value.code == 3
    assert worker[:-1] == ["tls://host:1", "--name", "job-0", "--nthreads", "2", "--local-directory"]
    assert Path(worker[-1]).parent == parent
    assert not any(path.name.startswith("simherd-worker") for path in parent.iterdir())


def test_other_versions_than_those_of_the_client_start_no_worker(worker, monkeypatch):
    monkeypatch.setenv(EXPECTED, "python=2.7")

    with pytest.raises(SystemExit, match="The versions of worker and client differ: python"):
        main(["tls://host:1"])

    assert worker == []

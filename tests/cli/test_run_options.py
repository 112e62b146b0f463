"""What the options of ``simherd run`` say of the store and of the cluster."""

from __future__ import annotations

import pytest

SERIAL = {"parallel": False}


@pytest.mark.parametrize("name", ["a #1.zarr", "run: 1.zarr", "[a].zarr", "true", "'b'.zarr"])
def test_a_store_is_a_path_whatever_yaml_would_make_of_it(simherd, experiment, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)

    done = simherd("run", experiment(run=SERIAL), "--store", name)

    assert done.code == 0
    assert (tmp_path / name / "zarr.json").exists()


@pytest.mark.parametrize(
    ("option", "text", "part"),
    [
        ("--store", "", "--store: key 'run.store': is empty"),
        ("--cluster", "", "--cluster: key 'cluster.kind': is empty"),
        ("--cluster", "session:", "cannot be called ''"),
        ("--cluster", "{}", "unknown kind '{}'"),
    ],
)
def test_a_text_that_names_nothing_is_one_error(simherd, experiment, option, text, part):
    done = simherd("run", experiment(run={}), option, text)

    assert done.code in (1, 2)
    assert part in done.err
    assert "Traceback" not in done.err
    assert done.err.count("Error:") == 1


@pytest.mark.parametrize("kind", ["local", "mpi", "session:x", "tcp://host:1"])
def test_a_number_of_jobs_is_refused_where_there_are_none(simherd, experiment, kind):
    done = simherd("run", experiment(), "--cluster", kind, "--jobs", "2", "--dry-run")

    assert done.code == 2
    assert f"Error: --jobs has no effect for cluster kind {kind!r}." in done.err


def test_a_number_of_the_command_line_counts_more_than_all_in_the_file(simherd, experiment):
    path = experiment(run={}, cluster={"kind": "local", "workers": 3, "local": {"workers": 4}})

    done = simherd("run", path, "--workers", "2", "--dry-run")

    assert "Runs on     a cluster of kind 'local', 2 blocks at once" in done.out


RANKS = [
    {"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2"},
    {"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "2"},
]


@pytest.mark.parametrize("environment", RANKS)
def test_a_run_that_a_launcher_started_twice_is_refused(
    simherd, experiment, tmp_path, monkeypatch, environment
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    done = simherd("run", experiment())

    assert done.code == 2
    assert "started this command 2 times" in done.err
    assert "Fix: add --cluster mpi" in done.err
    assert not (tmp_path / "out.zarr").exists()


def test_only_the_first_of_them_says_so(simherd, experiment, tmp_path, monkeypatch):
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "1")
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "2")

    done = simherd("run", experiment())

    assert (done.code, done.out, done.err) == (0, "", "")
    assert not (tmp_path / "out.zarr").exists()


@pytest.mark.parametrize(
    "environment",
    [
        {"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "1"},
        {"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1", "SLURM_NTASKS": "4"},
        {"SLURM_PROCID": "0", "SLURM_NTASKS": "4"},
    ],
)
def test_a_run_alone_in_a_job_is_not(simherd, experiment, monkeypatch, environment):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert simherd("run", experiment()).code == 0


def test_a_share_is_run_by_one_of_several(simherd, experiment, monkeypatch):
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "1")
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "2")

    done = simherd("run", experiment(run={"store": "out.zarr", **SERIAL, "block_size": 2}), "--share", "2/2")

    assert "2 done" in done.out

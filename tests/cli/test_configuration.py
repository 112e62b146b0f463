"""A jobqueue.yaml that is broken, wrong or old, on the command line."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from simherd.doctor import configuration

SIMHERD = [sys.executable, "-c", "from simherd.cli import main; main()"]
RUN = ("run", "--cluster", "slurm", "--dry-run")
SCRIPT = ("script", "--scheduler", "slurm", "--mode", "jobqueue")


@pytest.fixture
def configured(experiment, tmp_path):
    """Return a function that runs a command where a jobqueue.yaml has a text."""

    def run(text: str, *command: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "dask").mkdir()
        (tmp_path / "dask" / "jobqueue.yaml").write_text(text)
        environment = {**os.environ, "DASK_CONFIG": str(tmp_path / "dask"), "PYTHONWARNINGS": "", "PATH": ""}
        argv = [
            *SIMHERD,
            *command,
            *([] if command == ("doctor",) else [str(experiment(run={"store": "o.zarr"}))]),
        ]
        return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)

    return run


@pytest.mark.parametrize("command", [RUN, SCRIPT, ("doctor",)])
def test_a_file_that_is_no_yaml_is_one_error_that_names_it(configured, tmp_path, command):
    done = configured("a: [", *command)

    assert done.returncode == 2
    assert done.stderr.startswith(f"Error: Cannot read the configuration '{tmp_path}/dask/jobqueue.yaml': ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["missing.yaml", "one.yaml:two.yaml"])
@pytest.mark.parametrize("command", [RUN, SCRIPT, ("submit", "--scheduler", "slurm", "--dry-run")])
def test_missing_file_of_dask_config_is_an_error(simherd, experiment, monkeypatch, name, command):
    monkeypatch.setenv("DASK_CONFIG", name)

    done = simherd(*command, experiment(run={"store": "o.zarr"}))

    assert (done.code, done.out) == (2, "")
    assert f"DASK_CONFIG names '{name}', which does not exist" in done.err


def test_doctor_says_that_the_file_of_dask_config_is_missing(simherd, monkeypatch):
    monkeypatch.setenv("DASK_CONFIG", "missing.yaml")
    monkeypatch.setattr("simherd.doctor.examine_machine", configuration.look)

    done = simherd("doctor")

    assert done.code == 1
    assert "DASK_CONFIG names 'missing.yaml', which does not exist" in done.out


@pytest.mark.parametrize("command", [RUN, ("submit", "--scheduler", "slurm", "--dry-run"), ("doctor",)])
def test_files_with_settings_of_clusters_are_named(simherd, experiment, monkeypatch, tmp_path, command):
    for name in ("jobqueue", "simherd", "distributed"):
        (tmp_path / f"{name}.yaml").write_text(f"{name}: {{}}")
    monkeypatch.setattr("dask.config.paths", [str(tmp_path)])
    monkeypatch.setattr("simherd.doctor.examine_machine", configuration.look_at_files)
    monkeypatch.setenv("PATH", str(tmp_path))
    rest = [] if command == ("doctor",) else [experiment(run={"store": "o.zarr"})]

    assert f" {tmp_path}/jobqueue.yaml, {tmp_path}/simherd.yaml\n" in simherd(*command, *rest).out


@pytest.mark.parametrize("command", [RUN, SCRIPT])
@pytest.mark.parametrize("text", ["jobqueue: 5", "jobqueue: {slurm: 5}"])
def test_what_is_no_section_is_one_error(configured, text, command):
    done = configured(text, *command)

    assert done.returncode == 2
    assert done.stderr.startswith("Error: jobqueue.yaml, section jobqueue")
    assert done.stderr.count("\n") == 1


def test_an_old_name_is_one_line(configured):
    done = configured("jobqueue: {slurm: {env-extra: [a], core: 3}}", *RUN)

    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        "Warning: jobqueue.slurm: 'env-extra' is called 'job-script-prologue' since dask-jobqueue 0.8.",
        "Warning: jobqueue.slurm: 'core' is not known and has no effect. Did you mean 'cores'?",
    ]

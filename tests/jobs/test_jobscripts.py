"""The job scripts in jobscripts/ are what simherd writes today, and each of them runs."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from simherd.jobs import dialect_of
from simherd.schedulers import JobState, find

spec = importlib.util.spec_from_file_location("examples_of_scripts", Path(__file__).with_name("examples.py"))
examples = importlib.util.module_from_spec(spec)
spec.loader.exec_module(examples)

NAMES = sorted(examples.SCRIPTS)
SIZES = {"influenza": 200, "jacksboro": 4}
LIMIT_S = 600


def quiet():
    """Return the environment without settings of Dask, which job scripts would name."""
    return {name: value for name, value in os.environ.items() if not name.startswith("DASK_")}


def simherd(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", "simherd", *arguments],
        cwd=cwd, env=quiet(), capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip


@pytest.fixture(scope="session")
def root(tmp_path_factory):
    """Return a folder like the project's root, as far as job scripts need it, with less in the batches."""
    path = tmp_path_factory.mktemp("root")
    (path / ".venv").symlink_to(sys.prefix)
    for name in ("examples", "jobscripts"):
        shutil.copytree(examples.ROOT / name, path / name)
    for name, size in SIZES.items():
        file = path / "examples" / f"{name}.yaml"
        written, changed = re.subn(r"^  size: \d+$", f"  size: {size}", file.read_text(), flags=re.MULTILINE)
        assert changed == 1
        file.write_text(written)
    (path / "logs").mkdir()
    return path


@pytest.fixture
def folder(root, tmp_path):
    """Return a folder of one's own that is like the root."""
    return shutil.copytree(root, tmp_path / "root", symlinks=True)


@pytest.mark.parametrize("name", NAMES)
def test_a_job_script_is_what_simherd_writes_today(name, folder):
    """With SIMHERD_RENEW=1 in the environment it is written anew."""
    done = simherd(*examples.arguments(name), cwd=folder)
    assert done.returncode == 0, done.stderr
    written = (folder / "jobscripts" / name).read_text()
    if os.environ.get("SIMHERD_RENEW"):
        (examples.FOLDER / name).write_text(written)

    assert (examples.FOLDER / name).read_text() == written


def test_there_are_no_other_job_scripts():
    assert sorted(path.name for path in examples.FOLDER.glob("*.sh")) == NAMES


@pytest.fixture(scope="session")
def serial(root, tmp_path_factory):
    """Return a function that gives the results of an example from a serial run."""
    kept = {}

    def run(experiment):
        if experiment not in kept:
            store = str(tmp_path_factory.mktemp("serial") / "out.zarr")
            command = ("run", f"examples/{experiment}.yaml", "--store", store, "--set", "run.parallel=false")
            done = simherd(*command, cwd=root)
            assert done.returncode == 0, done.stderr
            kept[experiment] = xr.open_zarr(store).load()
        return kept[experiment]

    return run


def wait_until_over(scheduler, job_id):
    """Wait until a job is over; a job of Grid Engine until its accounting says how it ended."""
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        status = scheduler.query([job_id])[job_id]
        if status.state.is_over and status.state is not JobState.GONE:
            return status
        time.sleep(1)
    return pytest.fail(f"job {job_id} took more than {LIMIT_S} s: {status}")


def check_that_it_runs(name, folder, serial):
    experiment, system, mode = examples.SCRIPTS[name]
    scheduler = find(system)

    job_id = submit(scheduler, folder, f"jobscripts/{name}")
    try:
        status = wait_until_over(scheduler, job_id)
    finally:
        scheduler.cancel([job_id])

    logs = "\n".join(path.read_text() for path in (folder / "logs").iterdir())
    assert status.state is JobState.DONE, f"{status}\n{logs}"
    found = xr.open_zarr(folder / f"{experiment}.zarr").load()
    assert (found.simulation_status == found.simulation_status[0]).all(), logs
    expected = serial(experiment)
    for variable in expected.data_vars.keys() - {"simulation_seconds"}:
        np.testing.assert_array_equal(found[variable], expected[variable], err_msg=variable)
    assert dialect_of(system).marker in (folder / "jobscripts" / name).read_text()
    assert not (folder / "dask-worker-space").exists(), mode


def submit(scheduler, folder, script):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("DASK_CONFIG", os.devnull)
        return scheduler.submit(Path(script))


def names_of(system):
    return [name for name in NAMES if examples.SCRIPTS[name][1] == system]


@pytest.mark.slow
@pytest.mark.parametrize("name", names_of("slurm"))
def test_each_job_script_of_slurm_runs_to_its_end_with_the_values_of_a_serial_run(
    name, folder, serial, slurm
):
    check_that_it_runs(name, folder, serial)


@pytest.mark.slow
@pytest.mark.parametrize("name", names_of("sge"))
def test_each_job_script_of_grid_engine_runs_to_its_end_with_the_values_of_a_serial_run(
    name, folder, serial, sge
):
    check_that_it_runs(name, folder, serial)

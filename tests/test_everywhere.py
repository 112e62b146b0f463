"""One experiment file, one changed option: the same values bit for bit wherever it runs, nothing left."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
import xarray as xr

from simherd.schedulers import find

EXPERIMENT = Path(__file__).parents[1] / "examples" / "influenza.yaml"
SIZE = 3000
LIMIT_S = 240
SIMHERD = [sys.executable, "-m", "simherd"]
SMALLER = ["--set", f"batch.size={SIZE}", "--set", "run.block_size=100"]


def run(*options: str, launcher: tuple[str, ...] = ()) -> Callable[[Path], None]:
    """Return what runs the experiment in a folder, with options, until it is over."""

    def start(folder: Path) -> None:
        argv = [*launcher, *SIMHERD, "run", "influenza.yaml", *SMALLER, *options]
        done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    return start


def submit(scheduler: str, mode: str, *options: str) -> Callable[[Path], None]:
    """Return what submits the experiment from a folder, and waits until its jobs are over."""

    def start(folder: Path) -> None:
        argv = [*SIMHERD, "submit", "influenza.yaml", "--scheduler", scheduler, "--mode", mode]
        done = subprocess.run(
            [*argv, *SMALLER, *options], cwd=folder, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        wait_for_jobs(scheduler, done.stdout.split())

    return start


def wait_for_jobs(scheduler: str, ids: list[str]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        if all(status.state.is_over for status in find(scheduler).query(ids).values()):
            return
        time.sleep(0.5)
    find(scheduler).cancel(ids)
    raise AssertionError(f"jobs {ids} did not end")


MPIRUN = ("mpirun", "--oversubscribe", "-np", "3")
JOBS = ("--jobs", "2", "--set", "cluster.memory=500 MiB", "--set", "cluster.interface=lo")
SHORT = ("--walltime", "00:10:00")
SMALL = ("--memory", "1 GiB", *SHORT)
PLACES = {
    "local": (run("--cluster", "local", "--workers", "2"), ["cluster"]),
    "slurm": (run("--cluster", "slurm", *JOBS), ["slurm"]),
    "sge": (run("--cluster", "sge", *JOBS), ["sge"]),
    "mpi": (run("--cluster", "mpi", launcher=MPIRUN), ["mpi"]),
    "slurm-runner": (run("--cluster", "slurm-runner", launcher=("srun", "-n", "2", "--mem=2G")), ["slurm"]),
    "slurm-mpi-job": (submit("slurm", "mpi", "--ntasks", "2", *SMALL), ["slurm", "mpi"]),
    "sge-mpi-job": (
        submit("sge", "mpi", "--ntasks", "2", "--parallel-environment", "smp", *SHORT),
        ["sge", "mpi"],
    ),
    "slurm-array": (submit("slurm", "array", "--jobs", "3", *SMALL), ["slurm"]),
    "sge-array": (submit("sge", "array", "--jobs", "3", *SHORT), ["sge"]),
}


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> xr.Dataset:
    """Return the result of the experiment in one process."""
    folder = tmp_path_factory.mktemp("serial")
    shutil.copy(EXPERIMENT, folder)
    run("--set", "run.parallel=false")(folder)
    return xr.open_zarr(folder / "influenza.zarr").load()


def left_over(folder: Path) -> list[str]:
    """Return the programs that run in a folder."""
    found = []
    for process in psutil.process_iter(["cwd", "cmdline"]):
        if process.info["cwd"] == str(folder):
            found.append(" ".join(process.info["cmdline"]))
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "systems"),
    [
        pytest.param(name, systems, id=name, marks=[getattr(pytest.mark, one) for one in systems])
        for name, (_, systems) in PLACES.items()
    ],
)
def test_the_values_are_those_of_a_serial_run_and_nothing_is_left(
    place, systems, serial, request, tmp_path, monkeypatch
):
    for system in {"slurm", "sge"} & set(systems):
        request.getfixturevalue(system)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"):
        monkeypatch.setenv(name, "1")
    folder = tmp_path / "work"
    folder.mkdir()
    shutil.copy(EXPERIMENT, folder)
    PLACES[place][0](folder)

    with xr.open_zarr(folder / "influenza.zarr") as result:
        assert (result.simulation_status == 1).all()
        for name in set(serial.variables) - {"simulation_seconds"}:
            np.testing.assert_array_equal(result[name].values, serial[name].values)
            assert result[name].dtype == serial[name].dtype
    assert {path.name for path in folder.iterdir()} <= {"influenza.yaml", "influenza.zarr", "logs"}
    clusters = tmp_path / "state" / "simherd" / "clusters"
    assert not clusters.exists() or not os.listdir(clusters)
    deadline = time.monotonic() + 30
    while left_over(folder) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert left_over(folder) == []

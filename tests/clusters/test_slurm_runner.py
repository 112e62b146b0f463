"""``open_client("slurm-runner")``: the tasks of a job step on the real SLURM of the test bed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import simherd as sh
from simherd.clusters.slurm_runner import TaskRanks, tasks_on_node
from simherd.errors import ClusterError

LIMIT_S = 90
EXPERIMENT = Path(__file__).parents[2] / "examples" / "influenza.yaml"
STEP = {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "3"}


@pytest.mark.parametrize(
    ("layout", "counts"), [("4", [4]), ("2(x3)", [2, 2, 2]), ("3,1", [3, 1]), ("2(x2),1", [2, 2, 1])]
)
def test_tasks_of_each_node_are_read_from_slurms_list(layout, counts):
    assert [tasks_on_node(layout, node) for node in range(len(counts))] == counts


@pytest.mark.parametrize(("layout", "node"), [("", 0), ("two", 0), ("2(x2)", 2), ("2(x", 0)])
def test_a_list_that_says_nothing_of_the_node_is_an_error(layout, node):
    with pytest.raises(ClusterError, match="SLURM's list of tasks per node"):
        tasks_on_node(layout, node)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "uses the SLURM job that it runs in; here is none.*srun -n N"),
        ({"SLURM_JOB_ID": "7", "SLURM_PROCID": "0"}, "job 7 runs this program without srun.*srun -n N"),
    ],
)
def test_what_is_no_task_of_a_step_is_told_how_to_be_one(environment, message):
    with pytest.raises(ClusterError, match=message):
        TaskRanks(environment)


def ranks(folder: Path, **environment: str) -> list[TaskRanks]:
    """Return the three tasks of a step."""
    return [TaskRanks({**STEP, "SLURM_PROCID": str(n), **environment}, folder) for n in range(3)]


def share(ranks: list[TaskRanks], message: bytes) -> list[bytes]:
    """Let the first say something and the others hear it."""
    heard: list[bytes] = []
    threads = [threading.Thread(target=lambda one=one: heard.append(one.share(None))) for one in ranks[1:]]
    for thread in threads:
        thread.start()
    ranks[0].share(message)
    for thread in threads:
        thread.join(30)
    return heard


def test_the_first_task_tells_the_others_in_a_folder_of_the_user_alone(tmp_path):
    tasks = ranks(tmp_path)

    assert share(tasks, b"where") == [b"where", b"where"]
    (folder,) = tmp_path.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "invitation").stat().st_mode & 0o777 == 0o600
    for task in tasks:
        task.forget()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_step_left_is_not_believed(tmp_path):
    share(ranks(tmp_path), b"before")
    again = ranks(tmp_path, SLURM_RESTART_COUNT="1")

    assert share(again, b"now") == [b"now", b"now"]


def test_a_folder_that_others_can_open_is_not_believed(tmp_path):
    _, task, _ = ranks(tmp_path)
    folder = tmp_path / ".simherd-step-0-7-0-0"
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "invitation").write_bytes(b"come here")

    with pytest.raises(ClusterError, match="not a folder that only this user can open"):
        task.share(None)


def test_a_first_task_that_fails_lets_the_others_end(tmp_path):
    tasks = ranks(tmp_path)
    heard: list[bytes] = []
    threads = [threading.Thread(target=lambda one=one: heard.append(one.share(None))) for one in tasks[1:]]
    for thread in threads:
        thread.start()
    with pytest.raises(ZeroDivisionError), tasks[0].released_after_an_error():
        raise ZeroDivisionError
    for thread in threads:
        thread.join(30)

    assert heard == [b"", b""]
    assert list(tmp_path.iterdir()) == []


def srun(folder: Path, options: str, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run a program as tasks of a job of its own."""
    command = ["srun", "--immediate=60", "--time=5", "--mem-per-cpu=500", *options.split(), *argv]
    environment = {**os.environ, "TMPDIR": str(folder)}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=LIMIT_S, cwd=folder, env=environment, check=False
    )


LOOK = """
import os, sys
import simherd as sh

def memory(dask_worker):
    return dask_worker.memory_manager.memory_limit

with sh.open_client("slurm-runner") as client:
    client.wait_for_workers({tasks}, timeout=60)
    print(client.scheduler.address.partition(":")[0], sorted(client.run(memory).values()), flush=True)
    {what}
"""


@pytest.mark.parametrize(
    ("options", "tasks", "protocol", "what", "code"),
    [
        ("-N1 -n2", 2, "tls", "pass", 0),
        ("-N2 -n4", 4, "tls", "sys.exit(3)", 3),
        ("-N2 -n2", 2, "tls", "raise ZeroDivisionError", 1),
        ("-N1 -n2", 2, "tls", "os._exit(7)", 7),
    ],
)
def test_all_tasks_work_and_end_with_the_first(slurm, tmp_path, options, tasks, protocol, what, code):
    script = tmp_path / "script.py"
    script.write_text(LOOK.format(tasks=tasks, what=what))

    found = srun(tmp_path, options, sys.executable, str(script))

    assert found.returncode == code, found.stderr
    assert found.stdout == f"{protocol} {[500 * 1024**2] * tasks}\n"
    assert [path.name for path in tmp_path.iterdir() if "simherd-step" in path.name] == []


def test_an_experiment_has_the_bits_of_a_serial_run(slurm, tmp_path):
    store = str(tmp_path / "tasks.zarr")
    batch = ["--set", "batch.size=64", "--set", "run.block_size=8"]
    command = [sys.executable, "-m", "simherd", "run", str(EXPERIMENT), *batch]

    found = srun(tmp_path, "-N2 -n3", *command, "--cluster", "slurm-runner", "--store", store)

    assert found.returncode == 0, found.stderr
    assert found.stdout.count("64 done, 0 failed") == 1
    here = str(tmp_path / "serial.zarr")
    serial = [*command, "--set", "run.scheduler=sync", "--store", here]
    subprocess.run(serial, check=True, capture_output=True, timeout=LIMIT_S)
    with xr.open_zarr(store) as ours, xr.open_zarr(here) as expected:
        for name in expected.variables:
            if name != "simulation_seconds":
                np.testing.assert_array_equal(ours[name].values, expected[name].values, err_msg=str(name))


def test_mpi_ranks_may_be_tasks_too(slurm, tmp_path):
    pytest.importorskip("mpi4py")
    script = tmp_path / "script.py"
    script.write_text(LOOK.format(tasks=2, what="sys.exit(4)").replace("slurm-runner", "mpi"))

    found = srun(tmp_path, "-N1 -n2 --mpi=pmix", sys.executable, str(script))
    without = srun(tmp_path, "-N1 -n2 --mpi=none", sys.executable, str(script))

    assert found.returncode == 4, found.stderr
    assert without.returncode == 1
    assert without.stderr.count("Fix: use srun --mpi=pmix") == 1


def test_outside_of_a_job_the_way_in_is_told(monkeypatch):
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)

    with pytest.raises(ClusterError, match="srun -n N"):
        sh.open_client("slurm-runner")

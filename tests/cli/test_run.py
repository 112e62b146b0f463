from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import xarray as xr

SIMHERD = [sys.executable, "-c", "from simherd.cli import main; main()"]


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_a_run_ends_with_a_summary_and_a_store(simherd, experiment, tmp_path):
    done = simherd("run", experiment())

    assert done.code == 0
    assert re.search(r"^4 done, 0 failed in \d+\.\d s \([\d,.]+ per s\)$", done.out, re.M)
    assert re.search(r"out\.zarr: [\d.]+ KiB in \d+ files$", done.out, re.M)
    assert "4 simulations in" in done.err
    assert xr.open_zarr(tmp_path / "out.zarr").walk__height[:, -1].values.tolist() == [3, 6, 9, 12]


@pytest.mark.cluster
def test_by_default_a_batch_runs_on_a_local_cluster(simherd, experiment, tmp_path):
    path = experiment(run={"store": "out.zarr"})

    done = simherd("run", path, "--workers", "2", "--store", tmp_path / "other.zarr")

    assert done.code == 0
    assert "on 2 workers of the Dask scheduler at tls://127.0.0.1" in done.err
    assert (xr.open_zarr(tmp_path / "other.zarr").simulation_status == 1).all()


@pytest.mark.cluster
def test_a_cluster_class_is_called_with_what_is_set(simherd, experiment, tmp_path):
    path = experiment(run={"store": "out.zarr"})
    options = [
        f"cluster.{one}"
        for one in ("n_workers=1", "threads_per_worker=1", "processes=false", "dashboard_address=null")
    ]
    given = [word for option in options for word in ("--set", option)]

    done = simherd("run", path, "--cluster", "distributed.LocalCluster", *given)

    assert done.code == 0, done.err
    assert (xr.open_zarr(tmp_path / "out.zarr").simulation_status == 1).all()


@pytest.mark.parametrize("option", ["--workers", "--jobs"])
def test_numbers_of_the_command_line_are_not_arguments_of_a_class(simherd, experiment, option):
    done = simherd("run", experiment(), "--cluster", "distributed.LocalCluster", option, 2)

    assert done.code == 2
    assert f"{option} has no effect for the cluster class distributed.LocalCluster" in done.err
    assert "--set cluster.n_workers=2" in done.err


@pytest.mark.cluster
def test_a_performance_report_is_written(simherd, experiment, tmp_path):
    pytest.importorskip("bokeh")
    report = tmp_path / "report.html"

    done = simherd("run", experiment(run={}), "--workers", "1", "--performance-report", report)

    assert done.code == 0
    assert "bokeh" in report.read_text().lower()


def test_a_performance_report_needs_a_cluster(simherd, experiment, tmp_path):
    done = simherd("run", experiment(), "--performance-report", tmp_path / "report.html")

    assert done.code == 2
    assert "needs a batch that runs on a cluster" in done.err


def test_without_a_store_the_result_is_printed(simherd, experiment):
    done = simherd("run", experiment(run={"parallel": False}))

    assert done.code == 0
    assert "<xarray.Dataset>" in done.out


def test_one_simulation_runs_without_a_batch(simherd, experiment, tmp_path):
    done = simherd("run", experiment(batch=None, inputs={"walk__gain": 2.0}))

    assert done.code == 0
    assert "1 done, 0 failed" in done.out
    assert xr.open_zarr(tmp_path / "out.zarr").walk__height.dims == ("time",)


def test_settings_replace_fields(simherd, experiment, tmp_path):
    done = simherd("run", experiment(), "--set", "inputs.walk__start=100.0", "--set", "run.block_size=3")

    assert done.code == 0
    assert "in 2 blocks" in done.err
    assert xr.open_zarr(tmp_path / "out.zarr").walk__height[0, 0] == 101.0


def test_some_failed_simulations_are_exit_code_3(simherd, experiment, tmp_path):
    done = simherd("run", experiment(), "--set", "batch.parameters.walk__gain.values=[1.0, -1.0]")

    assert done.code == 3
    assert "1 done, 1 failed" in done.out
    assert "simherd failures" in done.out
    assert "Traceback" not in done.err
    assert xr.open_zarr(tmp_path / "out.zarr").simulation_status.values.tolist() == [1, 2]


@pytest.mark.parametrize("run", [{"parallel": False}, pytest.param({}, marks=pytest.mark.cluster)])
def test_an_error_of_the_model_shows_the_user_s_own_frames_only(simherd, experiment, tmp_path, run):
    path = experiment(run={"store": "out.zarr", "on_error": "raise", **run})

    done = simherd("run", path, "--set", "batch.parameters.walk__gain.values=[1.0, -1.0]")

    assert done.code == 1
    traceback = done.err[done.err.index("Traceback") :].splitlines()
    assert re.fullmatch(r'  File ".*walk.py", line \d+, in run_step', traceback[1])
    assert sum(line.startswith("  File") for line in traceback) == 1
    assert "ValueError: the gain is negative" in traceback
    assert traceback[-2].startswith("In process 'walk', stage run_step, step 0 (time = 0.0), simulation 1")
    assert traceback[-1] == "To record failed simulations and run the others: --set run.on_error=record."
    assert "resume=True" not in done.err
    assert "--resume" in done.err


def test_a_warning_without_a_line_of_the_user_is_one_line(simherd, experiment):
    path = experiment(run={"parallel": False, "timeout_s": 9})

    done = simherd("run", path)

    (line,) = [line for line in done.err.splitlines() if "timeout_s=9" in line]
    assert line.startswith("Warning: timeout_s=9")
    assert "RuntimeWarning" not in done.err


BAD = {
    "unknown key": ({"modle": "x"}, (), 2, r"'modle'.*Did you mean 'model'"),
    "unknown key inside": (
        {"run": {"stroe": "o.zarr"}},
        (),
        2,
        r"line \d+: key 'run.stroe': unknown key.*Did you mean 'store'",
    ),
    "missing input": ({"batch": None}, (), 2, r"Missing value.*walk__gain"),
    "unknown input": ({"inputs": {"walk__gian": 1.0}}, (), 2, r"line \d+.*Did you mean 'walk__gain'"),
    "unknown output": ({"outputs": {"walk__hight": "time"}}, (), 2, r"line \d+.*Did you mean 'walk__height'"),
    "unknown clock": ({"outputs": {"walk__height": "tine"}}, (), 2, r"Did you mean 'time'"),
    "model file missing": ({"model": "wolk.py:model"}, (), 2, r"Cannot read '.*wolk.py'"),
    "model module missing": ({"model": "no.such:model"}, (), 2, r"no module 'no.such'"),
    "model attribute missing": ({"model": "walk.py:modle"}, (), 2, r"Did you mean 'model'"),
    "no model": ({"model": "walk.py:number"}, (), 2, r"is of type int, not a simherd Model"),
    "wrong shape": ({"inputs": {"walk__shape": [[1.0, 2.0]]}}, (), 2, r"line \d+.*walk__shape"),
    "cluster kind": ({}, ("--cluster", "lokal"), 2, r"'lokal'.*Did you mean 'local'"),
    "scheduler": ({"run": {"scheduler": "proceses"}}, (), 2, r"Did you mean 'processes'"),
    "a size of memory that is none": ({"cluster": {"memory": "abc"}}, (), 2, r"memory.*'abc' is not a size"),
    "an option of a later version": ({"run": {"parallel": "both"}}, (), 2, r"run\.parallel.*not available"),
    "a report in no folder": (
        {},
        ("--performance-report", "/no/such/folder/r.html"),
        1,
        r"Cannot write the perf",
    ),
    "zero workers": ({}, ("--workers", "0"), 2, r"workers.*1 or more|workers.*at least 1"),
    "unknown setting": ({}, ("--set", "batch.sizze=3"), 2, r"sizze.*Did you mean 'size'"),
    "no setting": ({}, ("--set", "batch.size"), 2, r"not KEY=VALUE"),
    "unwritable store": (
        {},
        ("--store", "{tmp}/walk.yaml/out.zarr"),
        1,
        r"Cannot write the store.*Not a directory",
    ),
    "existing store": ({}, ("--store", "{tmp}"), 1, r"something else is there.*--store PATH"),
}


@pytest.mark.parametrize("dry", [False, True], ids=["run", "dry-run"])
@pytest.mark.parametrize("case", BAD)
def test_a_bad_experiment_is_one_clear_error(simherd, experiment, tmp_path, case, dry):
    sections, arguments, code, message = BAD[case]
    path = experiment(**sections)
    before = files_in(tmp_path)

    arguments = [argument.format(tmp=tmp_path) for argument in arguments]
    done = simherd("run", path, *arguments, *(["--dry-run"] if dry else []))

    assert done.code == code, done.err
    assert re.search(message, done.err, re.S), done.err
    assert done.err.startswith("Error: ")
    assert len(done.err.splitlines()) == 1, done.err
    assert "Traceback" not in done.err
    assert done.out == ""
    assert files_in(tmp_path) == before


def test_a_missing_file_is_an_error_with_the_close_match(simherd, experiment, tmp_path):
    experiment()

    done = simherd("run", tmp_path / "wolk.yaml")

    assert done.code == 2
    assert re.fullmatch(r"Error: Cannot read the experiment file .*Did you mean 'walk.yaml'\?.*\n", done.err)


def test_an_error_at_the_end_of_a_dry_run_leaves_no_traceback_in_a_process_of_its_own(experiment):
    done = subprocess.run(
        [*SIMHERD, "run", experiment(), "--workers", "0"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1


def test_a_dry_run_computes_nothing_and_writes_nothing(simherd, experiment, tmp_path):
    path = experiment(
        model="walk.py:forbidden",
        outputs={"walk__height": None},
        run={"store": "out.zarr"},
        cluster={"kind": "local", "workers": 2, "walltime": "01:00:00"},
    )
    before = files_in(tmp_path)

    done = simherd("run", path, "--dry-run")

    assert done.code == 0, done.err
    assert files_in(tmp_path) == before


def test_a_dry_run_prints_the_plan(simherd, experiment, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = experiment(
        clocks={"time": {"start": 0, "stop": 3, "num": 4, "units": "years"}, "coarse": {"every": 3}},
        main_clock="time",
        outputs={"walk__height": "time", "walk__shape": "coarse"},
        run={"store": "out.zarr"},
        cluster={"kind": "local", "workers": 2, "walltime": "01:00:00"},
    )

    done = simherd("run", path, "--dry-run", "--set", "run.block_size=3")

    assert (
        done.out
        == """\
Model       walk.py:model
  initialize     walk
  run_step       walk
Clock       time: 3 steps from 0 to 3 years
Batch       4 simulations along 'member' (grid over walk__gain)
Blocks      2 blocks of 3 simulations, one task each
Runs on     a cluster of kind 'local', 2 blocks at once
  not used: walltime (a cluster of kind 'local' has no use for it)
Store       out.zarr
  output              dimensions         shape      chunk      type     size
  walk__height        member, time       4 x 4      3 x 4      float64  128 B
  walk__shape         member, coarse, x  4 x 2 x 3  3 x 2 x 3  float64  192 B
  simulation_status   member             4          3          uint8    4 B
  simulation_seconds  member             4          3          float64  32 B
To write    508 B before compression, inputs included
"""
    )


@pytest.mark.parametrize(
    ("run", "place"),
    [
        ({"parallel": False}, "this process, one after another"),
        ({"scheduler": "sync"}, "this process, one after another"),
        ({"scheduler": "threads"}, "2 threads"),
        ({"scheduler": "processes"}, "2 worker processes"),
        ({}, "a cluster of kind 'local', 2 blocks at once"),
    ],
)
def test_the_plan_says_where_it_runs(simherd, experiment, run, place):
    done = simherd("run", experiment(run=run, cluster={"workers": 2}), "--dry-run")

    assert f"Runs on     {place}\n" in done.out


def test_a_cluster_on_the_command_line_wins_over_the_scheduler_in_the_file(simherd, experiment):
    path = experiment(run={"scheduler": "threads"}, cluster={"workers": 2})

    done = simherd("run", path, "--cluster", "local", "--dry-run")

    assert "Runs on     a cluster of kind 'local', 2 blocks at once" in done.out


def test_sizes_that_only_the_model_knows_are_said_to_be_unknown(simherd, tmp_path):
    (tmp_path / "grow.py").write_text("""
import numpy as np
import simherd as sh

@sh.process
class Grow:
    size = sh.variable()
    row = sh.variable(dims="cell", intent="out")

    def initialize(self):
        self.row = np.zeros(self.size)

model = sh.Model({"grow": Grow})
""")
    (tmp_path / "grow.yaml").write_text(
        "model: grow.py:model\ninputs: {grow__size: 3}\noutputs: {grow__row: null}\n"
    )

    done = simherd("run", tmp_path / "grow.yaml", "--dry-run")

    assert done.code == 0, done.err
    assert "8 B ?" in done.out
    assert "at least" in done.out
    assert "Sizes of grow__row depend on dimensions that the model sets itself" in done.out


def _processes_of(group: int) -> list[str]:
    listed = subprocess.run(
        ["ps", "-eo", "pgid=,pid=,stat=,args="], capture_output=True, text=True, check=True
    )
    rows = [line.split(None, 3) for line in listed.stdout.splitlines()]
    return [row[3] for row in rows if int(row[0]) == group and not row[2].startswith("Z")]


def _left_behind(group: int) -> list[str]:
    """Return the processes of a group that do not end within a moment: the kernel takes one to reap."""
    deadline = time.monotonic() + 3
    while (found := _processes_of(group)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("run", "to_group"),
    [
        pytest.param({"block_size": 1}, False, id="cluster", marks=pytest.mark.cluster),
        pytest.param({"block_size": 1}, True, id="cluster-terminal", marks=pytest.mark.cluster),
        pytest.param({"block_size": 1, "scheduler": "processes"}, True, id="processes"),
        pytest.param({"block_size": 1, "parallel": False}, True, id="serial"),
    ],
)
def test_ctrl_c_ends_a_run_soon_and_leaves_a_store_that_opens(experiment, tmp_path, run, to_group):
    path = experiment(
        inputs={"walk__pause": 0.5},
        batch={"sampling": "grid", "parameters": {"walk__gain": {"values": [float(n) for n in range(200)]}}},
        run={"store": "out.zarr", **run},
        cluster={"workers": 2},
    )
    process = subprocess.Popen(
        [*SIMHERD, "run", path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and not any((tmp_path / "out.zarr/simulation_status").glob("c*")):
            time.sleep(0.1)
        (os.killpg if to_group else os.kill)(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=30)  # a whole run takes minutes
    finally:
        process.kill()

    assert process.returncode == 4, err
    assert "Interrupted: simulations that are not done stay pending." in err
    assert "Traceback" not in err
    assert re.search(r"\d+ done, 0 failed, \d+ pending in", out)
    assert _left_behind(process.pid) == []
    status = xr.open_zarr(tmp_path / "out.zarr").simulation_status.values
    assert set(status) == {0, 1}

"""Runs that go on in the store of an earlier one, and what is said when one ends early."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
import time

import pytest
import xarray as xr
import zarr

from simherd.cli.called import command_to_resume, simherd_command
from simherd.store.lock import locked
from simherd.store.lock_state import is_locked

SIMHERD = [sys.executable, "-m", "simherd"]


def set_status(store, values):
    zarr.open_group(store, mode="r+")["simulation_status"][:] = values


@pytest.fixture
def store(simherd, experiment, tmp_path):
    """Return the store of a run that was cut off: of four simulations one is pending, and one failed."""
    assert simherd("run", experiment()).code == 0
    set_status(tmp_path / "out.zarr", [1, 2, 0, 1])
    return tmp_path / "out.zarr"


@pytest.mark.parametrize(
    ("going", "code", "before", "after"),
    [
        (
            ["--resume"],
            3,
            "2 of 4 done before, 1 failed; running 1",
            "3 done, 1 failed; 1 of them in this run",
        ),
        (["--rerun", "missing"], 3, "2 of 4 done before, 1 failed; running 1", "3 done, 1 failed; 1 of them"),
        (
            ["--rerun", "failed"],
            0,
            "2 of 4 done before; running 2",
            "4 done, 0 failed; 2 of them in this run",
        ),
    ],
)
def test_a_run_that_goes_on_says_what_was_done_and_counts_the_whole_store(
    simherd, experiment, store, going, code, before, after
):
    done = simherd("run", experiment(), *going)

    assert done.code == code
    assert done.err.splitlines()[0] == before
    assert done.out.startswith(after)
    assert "per s)" in done.out


def test_everything_can_run_again(simherd, experiment, store):
    done = simherd("run", experiment(), "--rerun", "all")

    assert done.code == 0
    assert "done before" not in done.err
    assert done.out.startswith("4 done, 0 failed in ")


def test_resume_starts_a_store_that_is_not_there(simherd, experiment):
    done = simherd("run", experiment(), "--resume")

    assert done.code == 0
    assert "done before" not in done.err
    assert done.out.startswith("4 done, 0 failed in ")


@pytest.mark.parametrize(("status", "code"), [([1, 1, 1, 1], 0), ([1, 2, 1, 1], 3)])
def test_where_nothing_is_left_nothing_is_started(simherd, experiment, store, status, code):
    set_status(store, status)
    path = experiment(run={"store": "out.zarr"}, cluster={"workers": 2})

    done = simherd("run", path, "--resume")

    assert done.code == code
    assert done.err == "Nothing is left to run.\n"
    assert done.out.startswith(f"{status.count(1)} done, {status.count(2)} failed\n")


def test_another_run_is_refused_before_anything_is_started(simherd, experiment, store):
    path = experiment(run={"store": "out.zarr"}, cluster={"workers": 2})

    done = simherd("run", path, "--resume", "--set", "inputs.walk__start=5.0")

    assert done.code == 2
    assert re.fullmatch(
        r"Error: Cannot go on in the store .*: input walk__start has another value\. Fix: .*\n", done.err
    )


def test_changed_model_is_refused_until_it_is_accepted(simherd, experiment, store):
    path = experiment()
    model = path.parent / "walk.py"
    model.write_text(model.read_text().replace("self.height += self.gain", "self.height -= self.gain"))

    refused = simherd("run", path, "--rerun", "failed")
    accepted = simherd("run", path, "--rerun", "failed", "--accept-changed-model")

    assert refused.code == 2
    assert "process 'walk' has changed (run_step)" in refused.err
    assert accepted.code == 0
    for command in ("status", "info"):
        shown = simherd(command, store).out
        assert "Model 1     2 simulations: 0, 3\nModel 2     2 simulations: 1-2\n" in shown
        assert "process 'walk' has changed (run_step)" in shown
    assert [one["simulations"] for one in json.loads(simherd("status", store, "--json").out)["models"]] == [
        [0, 3],
        [1, 2],
    ]


def test_a_store_that_is_written_is_refused_before_anything_is_started(simherd, experiment, store):
    path = experiment(run={"store": "out.zarr"}, cluster={"workers": 2})

    with locked(store):
        done = simherd("run", path, "--resume")

    assert done.code == 1
    assert re.fullmatch(
        r"Error: Cannot write the store .*: process \d+ on \S+ is writing it\. Fix: wait.*\n", done.err
    )


@pytest.mark.parametrize("option", [["--resume"], ["--rerun", "failed"]])
def test_without_a_store_there_is_nothing_to_go_on_with(simherd, experiment, option):
    done = simherd("run", experiment(run={"parallel": False}), *option)

    assert done.code == 2
    assert "--resume and --rerun need a store" in done.err


def test_errors_that_are_recorded_stand_at_the_end(simherd, experiment):
    done = simherd("run", experiment(), "--set", "batch.parameters.walk__gain.values=[1.0, -1.0, 2.0, -3.0]")

    assert done.code == 3
    assert done.out.splitlines()[1] == (
        "  2 x ValueError('the gain is negative') in process 'walk', stage run_step, first in simulation 1"
    )


def test_an_error_that_ends_the_run_says_what_is_finished_and_how_to_go_on(simherd, experiment, tmp_path):
    gains = "batch.parameters.walk__gain.values=[1.0, -1.0, 2.0]"
    path = experiment(run={"store": "out.zarr", "on_error": "raise", "parallel": False, "block_size": 1})

    done = simherd("run", path, "--set", gains)

    assert done.code == 1
    assert done.out.startswith("1 done, 1 failed, 1 pending in")
    assert "Ended by an error: simulations that are not done stay pending." in done.err
    assert f"Go on with: simherd run {path} --set '{gains}' --resume" in done.err
    assert "ValueError: the gain is negative" in done.err


@pytest.mark.slow
def test_the_command_that_is_printed_goes_on(experiment, tmp_path):
    folder = tmp_path / "a folder"
    folder.mkdir()
    gains = [float(n) for n in range(12)]
    path = experiment(
        inputs={"walk__pause": 0.1},
        batch={"sampling": "grid", "parameters": {"walk__gain": {"values": gains}}},
        run={"block_size": 1, "scheduler": "sync"},
    )
    store = folder / "out.zarr"
    run = subprocess.Popen(
        [*SIMHERD, "run", path.name, "--store", "a folder/out.zarr", "--rerun", "failed"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not list(store.glob("simulation_status/c*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=60)

    assert run.returncode == 4
    assert re.match(r"\d+ done, 0 failed, \d+ pending in", out)
    command = err.splitlines()[-1].removeprefix("Go on with: ")
    assert shlex.split(command)[1:] == [
        *("-m", "simherd", "run", path.name, "--store", "a folder/out.zarr", "--resume")
    ]
    again = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert re.match(r"\d+ of 12 done before; running \d+\n", again.stderr)
    assert (xr.open_zarr(store).simulation_status == 1).all()


@pytest.mark.slow
def test_a_single_simulation_that_is_interrupted_says_how_to_go_on(experiment, tmp_path):
    path = experiment(
        batch=None,
        inputs={"walk__gain": 1.0, "walk__pause": 0.1},
        clocks={"time": {"start": 0, "stop": 600, "num": 601}},
    )
    run = subprocess.Popen([*SIMHERD, "run", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not is_locked(tmp_path / "out.zarr") and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=60)

    assert run.returncode == 4, err
    assert "0 done, 0 failed, 1 pending in" in out
    assert err.splitlines()[-1].endswith(f"simherd run {path} --resume")


@pytest.mark.parametrize(
    ("called", "program"),
    [("simherd", "simherd"), ("{bin}/simherd", "{bin}/simherd"), ("-c", "simherd")],
)
def test_commands_are_said_as_the_program_was_called(monkeypatch, tmp_path, called, program):
    for folder in ("bin", "path"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "simherd").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.chdir(tmp_path / "path")
    arguments = ["run", "my file.yaml", "--rerun", "all", "--rerun=failed", "--resume"]
    monkeypatch.setattr("sys.argv", [called.format(bin=tmp_path / "bin"), *arguments])

    assert command_to_resume() == f"{program.format(bin=tmp_path / 'bin')} run 'my file.yaml' --resume"
    assert simherd_command("failures", "a b").endswith("failures 'a b'")


def test_a_run_that_writes_the_store_under_another_name_is_found(simherd, experiment, tmp_path):
    path = experiment()
    (tmp_path / "link.zarr").symlink_to(tmp_path / "out.zarr")

    with locked(tmp_path.resolve() / "out.zarr"):
        done = simherd("run", path, "--dry-run", "--resume", "--store", tmp_path / "link.zarr")

    assert done.code == 1
    assert "is writing it" in done.err


@pytest.mark.parametrize(
    ("more", "left"),
    [((), None), (("--resume",), 2), (("--rerun", "failed"), 3), (("--rerun", "all"), 4)],
)
def test_a_dry_run_says_how_many_simulations_are_left(simherd, experiment, tmp_path, more, left):
    path = experiment()
    assert simherd("run", path).code == 0
    zarr.open_group(tmp_path / "out.zarr")["simulation_status"][:] = [0, 2, 0, 1]
    where = ("--store", tmp_path / "new.zarr") if left is None else ()

    shown = simherd("run", path, "--dry-run", *more, *where)

    assert shown.code == 0, shown.err
    line = f"Left        {left} of 4 simulations, in the chunks that the store has\n"
    assert (line in shown.out) == (left is not None)
    assert ("Left " in shown.out) == (left is not None)


def drawn(**seed):
    # Two of the four gains are negative, whatever is drawn, and their simulations fail.
    parameters = {"walk__gain": {"low": -1.0, "high": 1.0}}
    return {"sampling": "latin_hypercube", "size": 4, "parameters": parameters, **seed}


@pytest.mark.parametrize("seed", [{}, {"seed": 2}])
def test_without_a_seed_nothing_says_that_the_run_can_go_on(simherd, experiment, seed):
    run = {"store": "out.zarr", "on_error": "raise", "parallel": False, "block_size": 1}

    done = simherd("run", experiment(batch=drawn(**seed), run=run), "--set", "clocks.time.num=2000")

    assert done.code == 1
    assert ("cannot go on after an interruption. Fix: set batch.seed" in done.err) == (not seed)
    assert ("Go on with" in done.err) == bool(seed)


def test_a_run_that_keeps_nothing_needs_no_seed(simherd, experiment):
    batch = {**drawn(), "parameters": {"walk__gain": {"low": 1.0, "high": 2.0}}}

    done = simherd("run", experiment(batch=batch, run={"parallel": False}))

    assert done.code == 0
    assert "batch.seed" not in done.err

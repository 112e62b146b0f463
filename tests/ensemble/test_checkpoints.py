"""Runs that are killed go on from their checkpoints, and give bit for bit what they give without a break."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import signal
import sys
import threading
import time
from functools import cache
from pathlib import Path

import cloudpickle
import numpy as np
import pytest
import xarray as xr

import simherd as sh
from simherd.errors import PicklingError, SetupError, StoreLockedError, StoreMismatchError

SCRIPT = Path(__file__).with_name("walkers.py")
SIMULATIONS = 5
KILLED = -signal.SIGKILL

cloudpickle.register_pickle_by_value(sys.modules[__name__])

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def walkers():
    spec = importlib.util.spec_from_file_location("walkers", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def expected(walkers, tmp_path_factory):
    """Return a function that gives the result of a run that nobody kills."""

    @cache
    def run(simulations=SIMULATIONS):
        folder = tmp_path_factory.mktemp("expected")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(walkers.FOLDER, str(folder))
            walkers.run(place="serial", simulations=simulations, store=str(folder / "out.zarr"))
        return load(folder / "out.zarr")

    return run


def load(store):
    with xr.open_zarr(store) as opened:
        return opened.load().drop_vars("simulation_seconds", errors="ignore")


class Runs:
    """Runs of the script in processes of their own."""

    def __init__(self, folder, forks):
        self.folder = folder
        self.store = folder / "out.zarr"
        self.forks = forks

    def start(self, order=None, **options):
        if order is not None:
            (self.folder / "orders.json").write_text(json.dumps(order))
        (self.folder / "log").unlink(missing_ok=True)
        with (self.folder / "said").open("w") as said:
            return self.forks.start(
                [str(SCRIPT), json.dumps({"store": str(self.store), **options})],
                env={**os.environ, "SIMHERD_WALKERS": str(self.folder)},
                cwd=self.folder,
                stdout=said.fileno(),
                stderr=said.fileno(),
            )

    def run(self, order=None, **options):
        """Run and return exit code and what was said."""
        code = self.start(order, **options).wait(120)
        return code, self.said

    @property
    def said(self):
        return (self.folder / "said").read_text()

    @property
    def steps(self):
        """The steps that the last run made, by simulation."""
        found = {}
        for line in (self.folder / "log").read_text().splitlines():
            number, step = map(int, line.split())
            found.setdefault(number, []).append(step)
        return found

    @property
    def made(self):
        """Number of steps that the run has made so far."""
        log = self.folder / "log"
        return len(log.read_text().splitlines()) if log.exists() else 0

    @property
    def kept(self):
        return sorted(int(path.stem) for path in (self.store / "checkpoints").glob("*.pkl"))

    @property
    def leftovers(self):
        return [p.name for p in self.folder.rglob("*") if "partial" in p.name or p.name == "checkpoints"]


@pytest.fixture
def runs(tmp_path, forks):
    folder = tmp_path / "runs"
    folder.mkdir()
    return Runs(folder, forks)


# Batches


@pytest.mark.parametrize("step", [4, 23])
def test_a_serial_batch_that_was_killed_goes_on_in_the_middle_of_a_simulation(step, runs, expected):
    options = {"place": "serial", "simulations": SIMULATIONS, "block_size": 5, "checkpoint_every": 4}
    code, text = runs.run({"at": [2, step], "kill": "process"}, **options)
    assert code == KILLED, text

    code, text = runs.run(resume=True, **options)

    assert code == 0, text
    assert min(runs.steps) == 2
    assert runs.steps[2][0] == step // 4 * 4
    assert load(runs.store).identical(expected())
    assert not runs.leftovers


@pytest.mark.parametrize("place", ["processes", "threads"])
def test_a_batch_whose_client_and_workers_were_killed_goes_on(place, runs, expected):
    options = {"place": place, "simulations": SIMULATIONS, "block_size": 3, "checkpoint_every": 5}
    code, text = runs.run({"at": [1, 12], "kill": "run"}, **options)
    assert code == KILLED, text
    assert {0, 1} <= {*runs.kept}

    code, text = runs.run(resume=True, **options)

    assert code == 0, text
    assert runs.steps[1][0] == 10
    assert 0 not in runs.steps
    assert load(runs.store).identical(expected())
    assert not runs.leftovers


def test_a_simulation_whose_worker_was_killed_goes_on_in_the_same_run(runs, expected):
    options = {"place": "processes", "simulations": SIMULATIONS, "block_size": 3, "checkpoint_every": 5}

    code, text = runs.run({"at": [1, 12], "kill": "process"}, **options)

    assert code == 0, text
    assert runs.steps[1] == [0, *range(13), *range(10, 24)] or runs.steps[1] == [*range(13), *range(10, 24)]
    assert load(runs.store).identical(expected())
    assert not runs.leftovers


def test_a_batch_goes_on_from_checkpoints_without_keeping_more(runs, expected):
    options = {"place": "serial", "simulations": SIMULATIONS, "block_size": 5}
    runs.run({"at": [2, 9], "kill": "process"}, checkpoint_every=4, **options)

    code, text = runs.run(resume=True, **options)

    assert code == 0, text
    assert runs.steps[2][0] == 8
    assert load(runs.store).identical(expected())


def test_rerun_all_takes_no_checkpoint(runs, expected):
    options = {"place": "serial", "simulations": SIMULATIONS, "block_size": 5, "checkpoint_every": 4}
    runs.run({"at": [2, 9], "kill": "process"}, **options)

    code, text = runs.run(rerun="all", **options)

    assert code == 0, text
    assert runs.steps == {number: [*range(24)] for number in range(SIMULATIONS)}
    assert load(runs.store).identical(expected())


def test_a_signal_ends_a_serial_batch_at_the_next_step(runs, expected):
    options = {"place": "serial", "simulations": SIMULATIONS, "block_size": 5, "checkpoint_every": 100}
    code, text = runs.run({"at": [2, 9], "kill": "term"}, **options)
    assert code == 4, text
    assert runs.steps[2][-1] == 9
    with xr.open_zarr(runs.store) as opened:
        assert opened.simulation_status.values.tolist() == [1, 1, 0, 0, 0]

    code, text = runs.run(resume=True, **options)

    assert code == 0, text
    assert runs.steps[2][0] == 10
    assert load(runs.store).identical(expected())
    assert not runs.leftovers


# Single simulations


LIMIT = 4 * 400 * 3  # of three outputs; the trail is written four values at a time


@pytest.mark.parametrize(("step", "memory_limit"), [(1, "256 MiB"), (2, LIMIT), (11, "256 MiB"), (23, LIMIT)])
def test_a_simulation_that_was_killed_goes_on(step, memory_limit, runs, expected):
    options = {"checkpoint_every": 5, "memory_limit": memory_limit}
    code, text = runs.run({"at": [-1, step], "kill": "process"}, **options)
    assert code == KILLED, text

    code, text = runs.run(resume=True, **options)

    assert code == 0, text
    assert runs.steps[-1][0] == max(step // 5 * 5, 1)
    assert load(runs.store).identical(expected(0))
    assert not runs.leftovers


@pytest.mark.slow
def test_a_simulation_that_is_killed_again_and_again_at_any_moment_ends_some_time(runs, expected):
    options = {"checkpoint_every": 1, "memory_limit": LIMIT, "resume": True}
    steps, kills = random.Random(4), 0
    while True:
        run = runs.start({"pause": 0.02}, **options)
        until = steps.randint(0, 3) if kills < 12 else 24
        while runs.made < until and run.poll() is None:
            time.sleep(0.005)
        time.sleep(steps.uniform(0, 0.05))
        if kills < 12 and run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
            kills += 1
        if run.wait() == 0:
            break
        assert run.returncode == KILLED, runs.said

    assert kills > 0
    assert load(runs.store).identical(expected(0))
    assert not runs.leftovers


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_simulation_at_the_next_step_with_a_checkpoint(signal_number, runs, expected):
    options = {"checkpoint_every": 1000, "memory_limit": LIMIT}
    run = runs.start({"pause": 0.1}, **options)
    while runs.made < 5:
        assert run.poll() is None
        time.sleep(0.01)
    run.send_signal(signal_number)
    assert run.wait() == 4, runs.said
    assert "its last checkpoint is in" in runs.said
    last = runs.steps[-1][-1]
    (runs.folder / "orders.json").unlink()

    code, text = runs.run(resume=True, **options)

    assert code == 0, text
    assert runs.steps[-1] == [*range(last + 1, 24)]
    assert load(runs.store).identical(expected(0))


def test_one_without_a_checkpoint_begins_anew(runs, expected):
    code, _ = runs.run({"at": [-1, 20], "kill": "process"}, memory_limit=LIMIT)
    assert code == KILLED
    assert runs.store.exists()

    code, text = runs.run(resume=True, memory_limit=LIMIT)

    assert code == 0, text
    assert runs.steps[-1] == [*range(24)]
    assert load(runs.store).identical(expected(0))


def test_one_that_is_complete_does_not_run(walkers, tmp_path, monkeypatch):
    monkeypatch.setenv(walkers.FOLDER, str(tmp_path))
    setup = walkers.make_setup(0)
    first = setup.simherd.run(walkers.model, seed=5, store=tmp_path / "out.zarr").load()
    (tmp_path / "log").unlink()
    (tmp_path / "out.zarr" / "checkpoints").mkdir()  # left by a run that was killed in the end

    again = setup.simherd.run(walkers.model, store=tmp_path / "out.zarr", resume=True).load()

    assert not (tmp_path / "log").exists()
    assert not (tmp_path / "out.zarr" / "checkpoints").exists()
    xr.testing.assert_identical(again, first)
    setup.simherd.run(walkers.model, store=tmp_path / "out.zarr", rerun="all")
    assert len((tmp_path / "log").read_text().splitlines()) == 24


def test_one_of_another_run_is_refused(walkers, tmp_path, monkeypatch):
    monkeypatch.setenv(walkers.FOLDER, str(tmp_path))
    setup, store = walkers.make_setup(0), tmp_path / "out.zarr"
    setup.simherd.run(walkers.model, seed=5, store=store)

    with pytest.raises(StoreMismatchError, match="seed is 6, was 5"):
        setup.simherd.run(walkers.model, seed=6, store=store, resume=True)
    with pytest.raises(StoreMismatchError, match="input walker__pace has another value"):
        setup.assign(walker__pace=3.0).simherd.run(walkers.model, store=store, resume=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all of it")
    with pytest.raises(StoreMismatchError, match="does not say what run it is of"):
        setup.simherd.run(walkers.model, store=tmp_path / "mine", resume=True)
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_a_second_run_is_refused_while_one_runs(walkers, runs, monkeypatch, tmp_path):
    run = runs.start({"pause": 0.2}, checkpoint_every=1)
    while not (runs.store / "checkpoints").exists():
        assert run.poll() is None
        time.sleep(0.01)

    monkeypatch.setenv(walkers.FOLDER, str(tmp_path))
    with pytest.raises(StoreLockedError):
        walkers.make_setup(0).simherd.run(walkers.model, seed=5, store=runs.store, resume=True)

    run.kill()
    run.wait()


# What there cannot be


@sh.process
class Locked:
    number = sh.variable(default=0)
    level = sh.variable(intent="out")

    def initialize(self):
        self.level = 0.0
        self._lock = threading.Lock()


@pytest.mark.parametrize("is_batch", [False, True])
@pytest.mark.parametrize("on_error", ["raise", "record"])
def test_what_cannot_be_kept_is_found_at_once_and_named(is_batch, on_error, tmp_path):
    locked = sh.Model({"gate": Locked})
    setup = sh.create_setup(
        locked,
        clocks={"time": np.arange(9)},
        input_vars={"gate__number": ("member", [1, 2])} if is_batch else {},
        output_vars={"gate__level": "time"},
    )

    with pytest.raises(PicklingError, match="'gate', attribute '_lock', in a checkpoint"):
        setup.simherd.run(
            locked,
            batch_dim="member" if is_batch else None,
            store=tmp_path / "out.zarr",
            checkpoint_every=1000,
            on_error=on_error,
        )

    assert not (tmp_path / "out.zarr").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"checkpoint_every": 5}, "needs a folder"),
        ({"checkpoint_every": 0, "store": "out.zarr"}, "checkpoint_every=0"),
        ({"checkpoint_every": True, "store": "out.zarr"}, "checkpoint_every=True"),
        ({"checkpoint_every": 5, "store": {}}, "needs a folder"),
        ({"checkpoint_every": 5, "store": "out.zarr", "vectorize": True}, "does not go with vectorize"),
    ],
)
def test_options_that_make_no_sense_are_errors(options, message, walkers, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(SetupError, match=message):
        walkers.make_setup(3).simherd.run(walkers.model, batch_dim="member", **options)

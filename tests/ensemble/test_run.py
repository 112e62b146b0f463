"""Batches as a user sees them: outcomes, events, errors, pickling."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading

import cloudpickle
import numpy as np
import pytest
import xarray as xr

import simherd as sh
from simherd.errors import PicklingError, SimherdError, SimulationError
from simherd.events import BlockFinished, RunFinished, RunStarted

# Worker processes cannot import this file: its classes travel by value.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

WHERE = {
    "serial": {"parallel": False},
    "threads": {"parallel": True, "scheduler": "threads", "workers": 2},
    "processes": {"parallel": True, "scheduler": "processes", "workers": 2},
}


@pytest.fixture(params=["serial", "threads", "processes", pytest.param("client", marks=pytest.mark.cluster)])
def where(request):
    if request.param == "client":
        return {"parallel": True, "scheduler": request.getfixturevalue("two_workers")}
    return WHERE[request.param]


def run(walk, gains, **options):
    return walk.setup(gains).simherd.run(walk.model, batch_dim="member", **options)


def test_a_failing_simulation_costs_one_simulation(walk, where, tmp_path):
    ds = run(
        walk, [1.0, 2.0, -1.0, 3.0, -2.0], store=tmp_path / "o.zarr", on_error="record", block_size=2, **where
    )

    assert ds.simulation_status.values.tolist() == [1, 1, 2, 1, 2]
    assert ds.walk__height[:, -1].values.tolist()[:2] == [3.0, 6.0]
    assert np.isnan(ds.walk__height[[2, 4]]).all()
    lines = (tmp_path / "o.zarr" / "journal.jsonl").read_text().splitlines()
    entries = sorted((json.loads(line) for line in lines), key=lambda entry: entry["simulation"])
    assert [entry["simulation"] for entry in entries] == [2, 4]
    assert all("gain -" in entry["error"] and "Traceback" in entry["traceback"] for entry in entries)


def test_on_error_raise_raises_the_user_s_own_error_and_keeps_what_was_finished(walk, where, tmp_path):
    with pytest.raises(ValueError, match=r"gain -1\.0 is negative") as info:
        run(walk, [1.0, 2.0, 3.0, 4.0, -1.0, 5.0], store=tmp_path / "o.zarr", block_size=2, **where)

    assert not isinstance(info.value, SimherdError)
    notes = "\n".join(info.value.__notes__)
    assert "In process 'walk', stage run_step, step 0 (time = 0.0), simulation 4" in notes
    status = xr.open_zarr(tmp_path / "o.zarr").simulation_status.values.tolist()
    assert status[4:] == [2, 0]
    assert set(status[:4]) <= {0, 1}


def test_an_error_from_elsewhere_comes_with_the_worker_s_traceback(walk):
    with pytest.raises(ValueError, match="negative") as info:
        run(walk, [1.0, -1.0], **WHERE["processes"])

    assert "On the worker:\nTraceback" in "\n".join(info.value.__notes__)


def test_the_first_simulation_may_fail(walk, where):
    ds = run(walk, [-1.0, 1.0], on_error="record", **where)

    assert ds.simulation_status.values.tolist() == [2, 1]


def test_a_batch_that_fails_from_the_start_says_why(walk, where):
    with pytest.raises(ValueError, match="negative"):
        run(walk, -np.ones(20), on_error="record", **where)


def test_retries_are_further_attempts(tmp_path):
    @sh.process
    class Flaky:
        number = sh.variable()
        folder = sh.variable()
        out = sh.variable(intent="out")

        def initialize(self):
            import pathlib

            self.out = float(self.number)
            if not (tried := pathlib.Path(self.folder) / f"tried{self.number}").exists():
                tried.touch()
                raise OSError("try again")

    model = sh.Model({"p": Flaky})
    inputs = {"p__number": ("member", [1, 2]), "p__folder": str(tmp_path)}
    setup = sh.create_setup(model, input_vars=inputs, output_vars={"p__out": None})

    with pytest.raises(OSError, match="try again"):
        setup.simherd.run(model, batch_dim="member")
    ds = setup.simherd.run(model, batch_dim="member", retries=1)

    assert ds.simulation_status.values.tolist() == [1, 1]


def test_events_tell_of_every_block(walk, where):
    events = []

    gains = [1.0, 2.0, -1.0, 3.0, 4.0]
    run(walk, gains, on_error="record", block_size=2, subscribers=[events.append], **where)

    started, *blocks, finished = events
    assert isinstance(started, RunStarted)
    assert (started.simulations, started.blocks) == (5, 3)
    assert all(isinstance(event, BlockFinished) for event in blocks)
    assert sorted((b.start, b.done, b.failed) for b in blocks) == [(0, 2, 0), (2, 1, 1), (4, 1, 0)]
    assert isinstance(finished, RunFinished)
    assert (finished.done, finished.failed) == (4, 1)


def test_both_workers_work_at_once(walk, where):
    if where == WHERE["serial"]:
        pytest.skip("one after another")
    workers = set()

    walk.setup(np.ones(8), walk__pause=0.03).simherd.run(
        walk.model,
        batch_dim="member",
        block_size=1,
        subscribers=[lambda e: workers.add(e.worker) if isinstance(e, BlockFinished) else None],
        **where,
    )

    assert len(workers) == 2


def test_results_in_memory_arrive_from_everywhere(walk, where):
    ds = run(walk, [1.0, 2.0, 3.0], block_size=2, **where)

    assert ds.walk__height[:, -1].values.tolist() == [3.0, 6.0, 9.0]
    assert ds.x.dims == ("x",)
    assert ds.walk__height.chunks is None


def test_a_group_in_memory_arrives_from_everywhere(walk, where):
    import zarr

    group = zarr.create_group(zarr.storage.MemoryStore())

    ds = run(walk, [1.0, 2.0, 3.0], block_size=2, store=group, **where)

    assert ds.walk__height[:, -1].values.tolist() == [3.0, 6.0, 9.0]
    assert group["simulation_status"][:].tolist() == [1, 1, 1]


class Unpicklable(Exception):
    def __init__(self, one, two):
        super().__init__(f"{one} {two}")


def test_an_error_that_does_not_pickle_arrives_in_words(walk):
    @sh.process
    class Raises:
        number = sh.variable()
        out = sh.variable(intent="out")

        def initialize(self):
            self.out = 1.0
            if self.number:
                raise Unpicklable("no", "way")

    model = sh.Model({"p": Raises})
    setup = sh.create_setup(model, input_vars={"p__number": ("member", [0, 1])}, output_vars={"p__out": None})

    with pytest.raises((SimulationError, Unpicklable), match="no way"):
        setup.simherd.run(model, batch_dim="member", **WHERE["processes"])


def locked_model(place):
    """Return a model with a lock where worker processes cannot have it."""
    lock = threading.Lock()

    @sh.process
    class Locked:
        number = sh.variable()
        out = sh.variable(intent="out")
        if place == "attribute":
            guard = lock

        def initialize(self):
            self.out = float(self.number)
            if place == "closure":
                with lock:
                    pass

    return sh.Model({"keeper": Locked})


@pytest.mark.parametrize("place", ["attribute", "closure"])
def test_a_model_that_does_not_pickle_is_reported_before_the_first_task(place, tmp_path):
    model = locked_model(place)
    name = {"attribute": "guard", "closure": "lock"}[place]
    setup = sh.create_setup(
        model, input_vars={"keeper__number": ("member", [0, 1])}, output_vars={"keeper__out": None}
    )
    events = []

    with pytest.raises(PicklingError, match=rf"process 'keeper' \(Locked\).*{name}'") as info:
        setup.simherd.run(
            model,
            batch_dim="member",
            store=tmp_path / "o.zarr",
            subscribers=[events.append],
            **WHERE["processes"],
        )

    assert "Fix:" in str(info.value)
    assert events == []
    assert not (tmp_path / "o.zarr").exists()


def test_an_input_that_does_not_pickle_is_named(walk):
    lock = np.empty((), object)
    lock[()] = threading.Lock()
    setup = walk.setup([1.0, 2.0], walk__pause=((), lock))

    with pytest.raises(PicklingError, match="input 'walk__pause'"):
        setup.simherd.run(walk.model, batch_dim="member", validate=None, **WHERE["processes"])


def test_a_hook_that_does_not_pickle_is_named(walk):
    lock = threading.Lock()

    @sh.runtime_hook("run_step")
    def watch(model, context, state):
        with lock:
            pass

    with pytest.raises(PicklingError, match=r"hook 'watch' at .*run_step.*attribute 'lock'"):
        run(walk, [1.0, 2.0], hooks=[watch], **WHERE["processes"])


def test_what_does_not_pickle_runs_in_threads():
    model = locked_model("closure")
    setup = sh.create_setup(
        model, input_vars={"keeper__number": ("member", [0, 1])}, output_vars={"keeper__out": None}
    )

    ds = setup.simherd.run(model, batch_dim="member", **WHERE["threads"])

    assert ds.keeper__out.values.tolist() == [0.0, 1.0]


@pytest.mark.cluster
def test_a_worker_that_is_lost_costs_no_simulation(walk, tmp_path):
    def kill_once(event):
        if isinstance(event, BlockFinished) and pids:
            os.kill(pids.pop(), signal.SIGKILL)

    setup = walk.setup(np.arange(12.0), walk__pause=0.03)
    with sh.open_client("local", workers=2) as client:
        pids = [min(client.run(os.getpid).values())]
        ds = setup.simherd.run(
            walk.model,
            batch_dim="member",
            parallel=True,
            store=tmp_path / "out.zarr",
            block_size=1,
            subscribers=[kill_once],
        )

    assert pids == []
    assert (ds.simulation_status == 1).all()
    assert ds.walk__height[:, -1].values.tolist() == (3 * np.arange(12.0)).tolist()

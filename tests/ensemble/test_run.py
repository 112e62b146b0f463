"""Batches as a user sees them: outcomes, events, errors, pickling."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback

import cloudpickle
import numpy as np
import pytest
import xarray as xr

import simherd as sh
from simherd.errors import OutputError, PicklingError, SetupError, SimherdError, SimulationError
from simherd.events import BlockFinished, RunFinished, RunStarted
from simherd.store.journal import read_journal

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
    entries = read_journal(tmp_path / "o.zarr")
    assert [entry["simulation"] for entry in entries] == [2, 4]
    assert all("gain -" in entry["error"] and "Traceback" in entry["traceback"] for entry in entries)


def test_on_error_raise_raises_the_user_s_own_error_and_keeps_what_was_finished(walk, where, tmp_path):
    with pytest.raises(ValueError, match=r"gain -1\.0 is negative") as info:
        run(walk, [1.0, 2.0, 3.0, 4.0, -1.0, 5.0], store=tmp_path / "o.zarr", block_size=2, **where)

    assert not isinstance(info.value, SimherdError)
    notes = "\n".join(info.value.__notes__)
    assert "In process 'walk', stage run_step, step 0 (time = 0.0), simulation 4" in notes
    assert 'on_error="record"' in notes
    status = xr.open_zarr(tmp_path / "o.zarr").simulation_status.values.tolist()
    assert f"{status.count(1)} of 6 simulations done in '{tmp_path / 'o.zarr'}'" in notes
    assert "resume=True" in notes
    assert status[4:] == [2, 0]
    assert set(status[:4]) <= {0, 1}


def test_an_error_from_elsewhere_comes_with_the_worker_s_traceback(walk):
    with pytest.raises(ValueError, match="negative") as info:
        run(walk, [1.0, -1.0], **WHERE["processes"])

    assert "run_step" in [frame.name for frame in traceback.extract_tb(info.value.__traceback__)]


def test_the_first_simulation_may_fail(walk, where):
    ds = run(walk, [-1.0, 1.0], on_error="record", **where)

    assert ds.simulation_status.values.tolist() == [2, 1]


def test_a_batch_that_fails_from_the_start_says_why(walk, where):
    with pytest.raises(SimulationError, match=r"All 20 simulations .* failed.*nothing was written.*negative"):
        run(walk, -np.ones(20), on_error="record", **where)


def test_a_batch_goes_on_when_its_first_simulations_fail(walk, where):
    gains = np.array([-1.0] * 30 + [1.0] * 3)

    result = run(walk, gains, on_error="record", **where)

    assert result.simulation_status.values.tolist() == [2] * 30 + [1] * 3


def test_an_input_that_a_simulation_changes_stays_as_it_is_for_the_others(where):
    @sh.process
    class Changing:
        a = sh.variable()
        converted = sh.variable(dims="n", converter=np.asarray)
        listed = sh.variable(default=None)
        r = sh.variable(dims="k", intent="out")

        def initialize(self):
            np.add(self.converted, self.a, out=self.converted)
            self.listed["l"].append(1)
            self.r = np.array([self.converted[0], len(self.listed["l"])])

    model = sh.Model({"p": Changing})
    inputs = {"p__a": ("member", [1.0, 2.0, 3.0]), "p__converted": np.zeros(2), "p__listed": {"l": []}}
    setup = sh.create_setup(model, input_vars=inputs, output_vars={"p__r": None})

    result = setup.simherd.run(model, batch_dim="member", block_size=3, **where)

    assert result.p__r.values.tolist() == [[1, 1], [2, 1], [3, 1]]


def test_index_variables_that_differ_are_found_wherever_simulations_run(where):
    @sh.process
    class Scaled:
        a = sh.variable()
        x = sh.index(dims="x")
        r = sh.variable(dims="x", intent="out")

        def initialize(self):
            self.x = np.arange(2) * self.a
            self.r = self.x * 2.0

    model = sh.Model({"p": Scaled})
    inputs = {"p__a": ("member", [1.0, 2.0])}
    setup = sh.create_setup(model, input_vars=inputs, output_vars={"p__r": None})

    with pytest.raises(OutputError, match="Index variable p__x differs"):
        setup.simherd.run(model, batch_dim="member", block_size=1, **where)


def test_what_an_output_saved_at_the_end_held_before_does_not_matter(where):
    @sh.process
    class Late:
        a = sh.variable()
        r = sh.variable(intent="out")
        grown = sh.variable(dims="k", intent="out")
        mean = sh.on_demand()

        def initialize(self):
            self.r, self.grown, self._count = None, np.empty(0), 0

        def finalize_step(self):
            self.r = self.a * 2.0
            self.grown = np.append(self.grown, self.a)
            self._count += 1

        @mean.compute
        def _mean(self):
            return self.a / self._count

    model = sh.Model({"p": Late})
    inputs = {"p__a": ("member", [1.0, 2.0])}
    outputs = {"p__r": None, "p__grown": None, "p__mean": None}
    setup = sh.create_setup(model, {"t": np.arange(4)}, input_vars=inputs, output_vars=outputs)

    result = setup.simherd.run(model, batch_dim="member", **where)

    assert result.p__r.dtype == np.float64
    assert result.p__r.values.tolist() == [2, 4]
    assert result.p__grown.values.tolist() == [[1, 1, 1], [2, 2, 2]]
    assert result.p__mean.values.tolist() == [1 / 3, 2 / 3]


def test_an_input_that_is_an_output_too_is_kept_and_the_result_runs_again(where):
    @sh.process
    class Lake:
        level = sh.variable(intent="inout")

        def finalize_step(self):
            self.level += 1.0

    model = sh.Model({"lake": Lake})
    setup = sh.create_setup(
        model,
        {"t": np.arange(3)},
        input_vars={"lake__level": ("member", [1.0, 5.0])},
        output_vars={"lake__level": "t"},
    )

    first = setup.simherd.run(model, batch_dim="member", **where)
    again = first.simherd.run(model, batch_dim="member", **where)

    assert first.lake__level.values.tolist() == [[1, 2, 3], [5, 6, 7]]
    assert first.lake__level__input.values.tolist() == [1, 5]
    assert again.lake__level.values.tolist() == [[1, 2, 3], [5, 6, 7]]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"retries": -1}, "retries=-1"), ({"retries": "2"}, "retries='2'"), ({"workers": 0}, "workers=0")],
)
def test_counts_that_are_none_are_errors(walk, options, message):
    with pytest.raises(SetupError, match=f"{message} is not allowed"):
        run(walk, np.ones(2), **options)


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


def test_an_error_of_a_class_in_the_user_s_script_arrives_as_it_is(walk, where):
    class OwnError(Exception):
        pass

    @sh.process
    class Raises:
        number = sh.variable()
        out = sh.variable(intent="out")

        def initialize(self):
            self.out = 1.0
            if self.number:
                raise OwnError("mine")

    model = sh.Model({"p": Raises})
    setup = sh.create_setup(model, input_vars={"p__number": ("member", [0, 1])}, output_vars={"p__out": None})

    with pytest.raises(Exception, match="mine") as info:
        setup.simherd.run(model, batch_dim="member", **where)

    assert type(info.value).__name__ == "OwnError"

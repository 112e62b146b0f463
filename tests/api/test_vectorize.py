"""``run(vectorize=True)``: the results of a loop, on every executor and in blocks of any size."""

from __future__ import annotations

import os
import sys
import time

import cloudpickle
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import simherd as sh
from simherd.errors import SetupError, SimulationError, StoreMismatchError, VectorizeError
from simherd.examples.influenza import model as influenza
from simherd.store.journal import read_journal

cloudpickle.register_pickle_by_value(sys.modules[__name__])

ROOMS = {
    "serial": {"parallel": False},
    "threads": {"parallel": True, "scheduler": "threads", "workers": 2},
    "processes": {"parallel": True, "scheduler": "processes", "workers": 2},
}
RATES = ("epidemic__transmission_rate", "epidemic__recovery_rate")


def epidemics(size):
    rng = np.random.default_rng(size)
    return sh.create_setup(
        influenza,
        clocks={"day": np.arange(14.0), "late": [7.0, 13.0]},
        main_clock="day",
        input_vars={
            RATES[0]: ("member", rng.uniform(1.0, 2.6, size)),
            RATES[1]: (("member", "day"), rng.uniform(0.2, 0.8, (size, 14))),
        },
        output_vars={"epidemic__infected": "day", "epidemic__susceptible": "late", "fit__misfit": None},
    )


def assert_same(found, expected, rtol=1e-10):
    assert set(found.variables) == set(expected.variables)
    for name in expected.data_vars:
        if name != "simulation_seconds":
            assert found[name].dims == expected[name].dims
            assert found[name].dtype == expected[name].dtype
            np.testing.assert_allclose(found[name], expected[name], rtol=rtol, atol=0.0, err_msg=name)


@sh.process
class Land:
    """Takes numbers and arrays; fails where the slope is 0."""

    x = sh.index(dims="x")
    slope = sh.variable(default=1.0)
    base = sh.variable(dims=[(), "x"], default=0.0)
    uplift = sh.variable(default=0.5)
    height = sh.variable(dims="x", intent="out")
    total = sh.on_demand()

    def initialize(self):
        self.x = np.arange(5.0)
        slope = np.asarray(self.slope)[..., None]
        base = np.asarray(self.base)
        self.height = slope * self.x + (base if base.shape[-1:] == (5,) else base[..., None])

    @sh.runtime(args="step_delta")
    def run_step(self, dt):
        self.height = self.height + np.asarray(self.uplift * dt / self.slope)[..., None]

    @total.compute
    def _total(self):
        return self.height.sum(axis=-1)


@sh.process(vectorized=False)
class Lake:
    """Written for one simulation: an if, math, a word."""

    height = sh.foreign(Land, "height")
    depth = sh.variable(intent="out")
    name = sh.variable(intent="out")

    def initialize(self):
        self.depth, self.name = 0.0, "none"

    def run_step(self):
        if float(self.height[0]) > 1:
            self.depth, self.name = float(self.height.max()) ** 0.5, "lake"


@sh.process
class Rain:
    mean = sh.variable(default=1.0)
    fallen = sh.variable(intent="out")

    @sh.runtime(args="rng")
    def initialize(self, rng):
        self.fallen = rng.exponential(self.mean)

    @sh.runtime(args="rng")
    def run_step(self, rng):
        self.fallen = self.fallen + rng.exponential(self.mean)


land = sh.Model({"land": Land, "lake": Lake, "rain": Rain})


def landscape(inputs, outputs=None, model=land):
    default = {"land__height": "time", "land__total": None, "lake__depth": "time", "lake__name": "time"}
    return sh.create_setup(
        model,
        clocks={"time": np.arange(4.0)},
        input_vars=inputs,
        output_vars=outputs or {**default, "rain__fallen": "time"},
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("room", "size"),
    [*(("serial", size) for size in (1, 2, 5, 50)), ("threads", 50), ("processes", 5)],
)
def test_epidemics_are_those_of_a_loop(room, size, tmp_path):
    setup = epidemics(size)
    expected = setup.simherd.run(influenza, batch_dim="member")

    ways = {}, {"block_size": 1}, {"store": tmp_path / "out.zarr", "block_size": 3}
    for options in ways[-1:] if room == "processes" else ways:
        found = setup.simherd.run(influenza, batch_dim="member", vectorize=True, **ROOMS[room], **options)

        assert_same(found, expected)
    assert (expected.simulation_status == 1).all()


@pytest.mark.parametrize("room", ROOMS)
def test_arrays_words_random_numbers_and_failures_are_those_of_a_loop(room, tmp_path):
    slopes = np.linspace(-2.0, 2.0, 41)
    setup = landscape(
        {
            "land__slope": ("member", slopes),
            "land__base": (("member", "x"), np.arange(205.0).reshape(41, 5) / 50),
            "land__uplift": (("member", "time"), np.ones((41, 4)) * slopes[:, None]),
        }
    )
    options = {"batch_dim": "member", "seed": 4, "on_error": "record"}
    expected = setup.simherd.run(land, **options)

    found = setup.simherd.run(
        land, vectorize=True, store=tmp_path / "out.zarr", block_size=20, **options, **ROOMS[room]
    )

    assert expected.simulation_status.values.tolist() == [1] * 20 + [2] + [1] * 20
    xr.testing.assert_equal(found.x, expected.x)
    np.testing.assert_array_equal(found.lake__name.values, expected.lake__name.values)
    assert_same(found.drop_vars("lake__name"), expected.drop_vars("lake__name"))
    (entry,) = read_journal(tmp_path / "out.zarr")
    assert entry["simulation"] == 20
    assert "ZeroDivisionError" in entry["traceback"]
    assert "FloatingPointError" not in entry["traceback"]


@pytest.mark.slow
@settings(max_examples=25, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_batch_gives_what_a_loop_gives(data):
    size = data.draw(st.integers(2, 40), "size")
    finite = st.floats(-3.0, 3.0).filter(lambda x: x == 0 or abs(x) > 1e-3)

    def values(count):
        return np.array(data.draw(st.lists(finite, min_size=count, max_size=count)))

    inputs = {"land__slope": ("member", values(size))}
    if data.draw(st.booleans(), "base differs"):
        inputs["land__base"] = ("member", values(size))
    if data.draw(st.booleans(), "uplift"):
        inputs["land__uplift"] = (("member", "time"), values(4 * size).reshape(size, 4))
    setup = landscape(inputs)
    options = {"batch_dim": "member", "seed": 4, "on_error": "record"}
    try:
        expected = setup.simherd.run(land, **options)
    except SimulationError:
        expected = None

    block_size = data.draw(st.sampled_from(["auto", 2, 7, 64]), "block size")
    if expected is None:
        with pytest.raises(SimulationError):
            setup.simherd.run(land, vectorize=True, **options)
        return
    found = setup.simherd.run(land, vectorize=True, block_size=block_size, **options)

    np.testing.assert_array_equal(found.lake__name.values, expected.lake__name.values)
    drop = ["lake__name"]
    for name in expected.drop_vars([*drop, "simulation_seconds"]).data_vars:
        scale = float(np.nanmax(np.abs(expected[name]), initial=0.0))
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-10, atol=1e-12 * scale)


@pytest.mark.parametrize("value", [0, 1, "yes", None, 0.0, 1.0, -1e-10, np.nan])
def test_other_values_of_vectorize_are_errors(value):
    with pytest.raises(SetupError, match="vectorize"):
        epidemics(2).simherd.run(influenza, batch_dim="member", vectorize=value)


def test_validate_all_is_refused():
    with pytest.raises(SetupError, match="validate='all'"):
        epidemics(2).simherd.run(influenza, batch_dim="member", vectorize=True, validate="all")


def test_a_model_whose_processes_are_all_looped_over_is_refused():
    model = sh.Model({"rain": Rain})
    setup = sh.create_setup(
        model,
        clocks={"t": [0, 1]},
        input_vars={"rain__mean": ("m", [1.0])},
        output_vars={"rain__fallen": None},
    )

    with pytest.raises(SetupError, match="every process of the model is looped over"):
        setup.simherd.run(model, batch_dim="m", vectorize=True)


@sh.process
class Doubtful:
    """Gives slightly other values where it gets an array."""

    x = sh.variable()
    y = sh.variable(intent="out")

    def initialize(self):
        self.y = self.x * (1 + 1e-7 * np.ndim(self.x))


def doubtful(size=9):
    model = sh.Model({"p": Doubtful})
    inputs = {"p__x": ("m", np.arange(1.0, size + 1))}
    return model, sh.create_setup(model, input_vars=inputs, output_vars={"p__y": None})


@pytest.mark.parametrize("room", ROOMS)
def test_a_model_that_gives_other_values_is_an_error_and_leaves_no_store(room, tmp_path):
    model, setup = doubtful()

    with pytest.raises(VectorizeError, match=r"'p__y' of simulation 0 is 1\.0000001.*1\.0.*1e-07.*1e-10"):
        setup.simherd.run(
            model,
            batch_dim="m",
            vectorize=True,
            store=tmp_path / "out.zarr",
            on_error="record",
            **ROOMS[room],
        )

    assert not (tmp_path / "out.zarr").exists()


def test_the_difference_that_is_allowed_can_be_set():
    model, setup = doubtful()

    result = setup.simherd.run(model, batch_dim="m", vectorize=1e-6)

    np.testing.assert_allclose(result.p__y, np.arange(1, 10) * (1 + 1e-7), rtol=1e-12)


def test_the_first_middle_and_last_simulation_are_compared():
    seen = []

    @sh.process
    class P:
        x = sh.variable()
        y = sh.variable(intent="out")

        @sh.runtime(args="batch")
        def initialize(self, batch):
            seen.append(np.asarray(batch).tolist())
            self.y = self.x

    model = sh.Model({"p": P})
    inputs = {"p__x": ("m", np.arange(11.0))}
    setup = sh.create_setup(model, input_vars=inputs, output_vars={"p__y": None})
    setup.simherd.run(model, batch_dim="m", vectorize=True)

    assert seen[1:5] == [0, 5, 10, [0, 5, 10]]


def test_as_many_simulations_are_compared_as_no_axis_has():
    """Three simulations could be mixed up with three cells."""

    @sh.process
    class P:
        x = sh.variable()
        profile = sh.variable(dims="cell")
        y = sh.variable(intent="out", dims="cell")

        def initialize(self):
            self.y = self.x * self.profile

    model = sh.Model({"p": P})
    setup = sh.create_setup(
        model,
        input_vars={"p__x": ("m", np.ones(9)), "p__profile": ("cell", np.ones(3))},
        output_vars={"p__y": None},
    )

    with pytest.raises(VectorizeError, match="4 simulations are advanced at once"):
        setup.simherd.run(model, batch_dim="m", vectorize=True)


def test_a_model_for_numbers_says_what_to_do():
    import math

    @sh.process
    class P:
        x = sh.variable()
        y = sh.variable(intent="out")

        def run_step(self):
            self.y = math.sqrt(self.x) if self.x > 1 else 0.0

    model = sh.Model({"p": P})
    inputs = {"p__x": ("m", np.arange(4.0))}
    setup = sh.create_setup(model, clocks={"t": [0, 1]}, input_vars=inputs, output_vars={"p__y": None})

    with pytest.raises(
        VectorizeError, match=r"truth value.*'p', stage run_step.*np\.where.*vectorized=False"
    ):
        setup.simherd.run(model, batch_dim="m", vectorize=True)


@pytest.mark.parametrize("on_error", ["raise", "record"])
def test_simulations_that_fail_on_their_own_are_left_out_of_the_comparison(on_error):
    slopes = np.ones(12)
    slopes[[6, 11]] = 0.0
    setup = landscape({"land__slope": ("member", slopes)})

    def run():
        return setup.simherd.run(land, batch_dim="member", vectorize=True, on_error=on_error)

    if on_error == "raise":
        with pytest.raises(ZeroDivisionError):
            run()
    else:
        assert np.flatnonzero(run().simulation_status == 2).tolist() == [6, 11]


def test_a_batch_of_which_nothing_works_is_an_error():
    setup = landscape({"land__slope": ("member", np.zeros(5)), "rain__mean": 2.0})

    with pytest.raises(SimulationError, match="5 simulations that were tried failed"):
        setup.simherd.run(land, batch_dim="member", vectorize=True, on_error="record")


def test_a_batch_of_which_nothing_comes_to_its_end_is_an_error():
    @sh.process
    class Late:
        x = sh.variable()
        y = sh.variable(intent="out")

        def initialize(self):
            self.y = self.x * 1.0

        @sh.runtime(args="step")
        def run_step(self, step):
            if step == 2:
                raise OverflowError("too high")

    model = sh.Model({"p": Late})
    inputs = {"p__x": ("m", np.arange(5.0))}
    setup = sh.create_setup(model, clocks={"t": range(5)}, input_vars=inputs, output_vars={"p__y": "t"})

    with pytest.raises(SimulationError, match=r"all 5 .*nothing to compare.*too high.*vectorize=False"):
        setup.simherd.run(model, batch_dim="m", vectorize=True, on_error="record")
    with pytest.raises(OverflowError, match="too high"):
        setup.simherd.run(model, batch_dim="m", vectorize=True)


def test_a_store_goes_on_only_in_the_way_in_which_it_was_begun(tmp_path):
    setup = epidemics(20)
    common = {"batch_dim": "member", "store": tmp_path / "out.zarr"}
    first = setup.simherd.run(influenza, vectorize=True, **common).load()

    again = setup.simherd.run(influenza, vectorize=True, resume=True, rerun="all", **common)

    assert_same(again, first)
    with pytest.raises(StoreMismatchError, match="vectorize is False, was True"):
        setup.simherd.run(influenza, resume=True, **common)


def test_nothing_is_compared_where_nothing_is_left_to_run(tmp_path, monkeypatch):
    common = {"batch_dim": "member", "store": tmp_path / "out.zarr", "vectorize": True, "resume": True}
    epidemics(20).simherd.run(influenza, **common)
    compared = []
    monkeypatch.setattr(
        "simherd.api.stored.check_agreement", lambda batch, schema: compared.append(batch) or schema
    )

    epidemics(20).simherd.run(influenza, **common)

    assert not compared
    epidemics(20).simherd.run(influenza, rerun="all", **common)
    assert len(compared) == 1


@sh.process
class Slow:
    """Never ends where x is 7, whether alone or among others."""

    x = sh.variable()
    y = sh.variable(intent="out")

    def initialize(self):
        while np.any(np.equal(self.x, 7)):
            time.sleep(0.001)
        self.y = self.x


@pytest.mark.parametrize("room", ["serial", "processes"])
def test_a_simulation_that_never_ends_costs_one_simulation(room):
    model = sh.Model({"p": Slow})
    inputs = {"p__x": ("m", np.arange(40.0))}
    setup = sh.create_setup(model, input_vars=inputs, output_vars={"p__y": None})

    result = setup.simherd.run(
        model, batch_dim="m", vectorize=True, timeout_s=0.2, on_error="record", **ROOMS[room]
    )

    assert np.flatnonzero(result.simulation_status != 1).tolist() == [7]
    np.testing.assert_array_equal(result.p__y[8:], np.arange(8.0, 40.0))


@sh.process
class Killer:
    x = sh.variable()
    y = sh.variable(intent="out")

    def initialize(self):
        if np.any(np.equal(self.x, 70)):
            os._exit(3)
        self.y = self.x


@pytest.mark.slow
def test_a_simulation_that_ends_its_worker_costs_one_simulation(tmp_path):
    model = sh.Model({"p": Killer})
    inputs = {"p__x": ("m", np.arange(200.0))}
    setup = sh.create_setup(model, input_vars=inputs, output_vars={"p__y": None})

    result = setup.simherd.run(
        model,
        batch_dim="m",
        vectorize=True,
        on_error="record",
        store=tmp_path / "out.zarr",
        block_size=100,
        **ROOMS["processes"],
    )

    assert np.flatnonzero(result.simulation_status != 1).tolist() == [70]
    np.testing.assert_array_equal(np.delete(result.p__y.values, 70), np.delete(np.arange(200.0), 70))


@pytest.mark.cluster
def test_a_dask_cluster_gives_what_a_loop_gives(two_workers, tmp_path):
    setup = epidemics(100)
    expected = setup.simherd.run(influenza, batch_dim="member")

    found = setup.simherd.run(
        influenza,
        batch_dim="member",
        vectorize=True,
        parallel=True,
        scheduler=two_workers,
        store=tmp_path / "out.zarr",
        block_size=20,
    )

    assert_same(found, expected)


def test_the_time_of_a_simulation_is_its_share_of_the_block():
    result = epidemics(100).simherd.run(influenza, batch_dim="member", vectorize=True)

    assert 0 < result.simulation_seconds.max() < 0.05

"""A simulation whose values do not fit costs one simulation, and says what was wrong."""

from __future__ import annotations

import sys

import cloudpickle
import numpy as np
import pytest

import simherd as sh
from simherd.errors import OutputError
from simherd.store.journal import read_journal

cloudpickle.register_pickle_by_value(sys.modules[__name__])

PLACES = {
    "serial": {"parallel": False},
    "processes": {"parallel": True, "scheduler": "processes", "workers": 2},
}


@sh.process
class Tank:
    """Overflows to infinity, or to another shape, in the step that it is told; -1 is never."""

    breaks_at = sh.variable(default=-1, description="step")
    way = sh.variable(default="inf")
    size = sh.variable(default=3)
    depth = sh.variable(dims="x", intent="out", finite=True)
    volume = sh.variable(intent="out", finite=True)
    loose = sh.variable(dims="x", intent="out")
    mean = sh.on_demand(finite=True)

    def initialize(self):
        self.depth = np.arange(self.size, dtype=float)
        self.loose = self.depth.copy()
        self.volume = 1.0

    @sh.runtime(args="step")
    def run_step(self, step):
        self.depth = self.depth + 1
        if step == self.breaks_at:
            if self.way == "inf":
                self.depth[1:] = np.inf, np.nan
                self.loose = self.depth
            elif self.way == "nan":
                self.volume = float("nan")
            else:
                self.depth = np.ones((2, 2))

    @mean.compute
    def _mean(self):
        return self.depth[0] if self.way != "mean" else np.nan


model = sh.Model({"tank": Tank})


def setup(outputs, **inputs):
    return sh.create_setup(
        model,
        clocks={"time": np.arange(0, 50, 10.0), "twice": [10.0, 30.0]},
        main_clock="time",
        input_vars={f"tank__{name}": value for name, value in inputs.items()},
        output_vars=outputs,
    )


def batch(**inputs):
    return {name: ("member", values) for name, values in inputs.items()}


@pytest.mark.parametrize("place", PLACES)
def test_values_that_are_not_finite_cost_one_simulation(place, tmp_path):
    data = setup({"tank__depth": "time", "tank__volume": "twice"}, **batch(breaks_at=[-1, -1, 2, -1]))

    result = data.simherd.run(
        model,
        batch_dim="member",
        store=tmp_path / "out.zarr",
        on_error="record",
        block_size=4,
        **PLACES[place],
    )

    assert result.simulation_status.values.tolist() == [1, 1, 2, 1]
    assert np.isfinite(result.tank__depth[[0, 1, 3]]).all()
    assert np.isnan(result.tank__depth[2]).all()
    (entry,) = read_journal(tmp_path / "out.zarr")
    assert entry["simulation"] == 2
    assert "'tank__depth' has 2 of 3 values that are not finite at time = 20.0" in entry["error"]


@pytest.mark.parametrize("place", PLACES)
def test_a_wrong_shape_costs_one_simulation(place, tmp_path):
    data = setup({"tank__depth": "time"}, way="shape", **batch(breaks_at=[-1, 3, -1, -1]))

    result = data.simherd.run(
        model,
        batch_dim="member",
        store=tmp_path / "out.zarr",
        on_error="record",
        block_size=4,
        **PLACES[place],
    )

    assert result.simulation_status.values.tolist() == [1, 2, 1, 1]
    wanted = np.arange(3.0) + np.array([1, 2, 3, 4, 4])[:, None]
    np.testing.assert_array_equal(result.tank__depth[[0, 2, 3]], np.stack([wanted] * 3))
    assert np.isnan(result.tank__depth[1]).all()
    (entry,) = read_journal(tmp_path / "out.zarr")
    assert "'tank__depth' has a value of shape (2, 2)" in entry["error"]


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        ({"breaks_at": 1}, {"tank__depth": "twice"}, "'tank__depth' has 2 of 3 .* at twice = 10.0,"),
        ({"breaks_at": 0, "way": "nan"}, {"tank__volume": None}, "'tank__volume' has 1 of 1 .* at the end"),
        ({"way": "mean"}, {"tank__mean": "time"}, "'tank__mean' has 1 of 1 .* at time = 0.0,"),
    ],
)
@pytest.mark.parametrize("is_streamed", [False, True])
def test_single_simulations_are_held_to_it_too(inputs, outputs, message, is_streamed, tmp_path):
    where = {"store": tmp_path / "out.zarr", "memory_limit": 50} if is_streamed else {}

    with pytest.raises(OutputError, match=message):
        setup(outputs, **inputs).simherd.run(model, **where)


def test_what_is_not_saved_or_not_declared_so_may_be_anything():
    result = setup({"tank__loose": "time"}, breaks_at=1).simherd.run(model)

    assert not np.isfinite(result.tank__loose).all()

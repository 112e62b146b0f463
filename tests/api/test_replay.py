"""One simulation of a store again, here, as it was in its batch."""

from __future__ import annotations

import sys

import cloudpickle
import numpy as np
import pytest
import xarray as xr
import zarr

import simherd as sh
from simherd.errors import MissingInputError, OutputError, SetupError, StoreError

# Worker processes cannot import this file: its classes travel by value.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


@sh.process
class Everything:
    """Uses all kinds of inputs and what simulations know of their batch."""

    amount = sh.variable(intent="inout", attrs={"units": "m"})
    series = sh.variable(default=0.0)
    row = sh.variable(dims="x", default=np.zeros(2))
    word = sh.variable(default="none")
    options = sh.variable(default=None)
    x = sh.index(dims="x")
    total = sh.variable(intent="out")
    shown = sh.variable(intent="out")

    @sh.runtime(args=("batch", "batch_size", "rng"))
    def initialize(self, batch, batch_size, rng):
        self.x = np.arange(2.0)
        self.total = self.row @ np.array([1.0, 10.0]) + rng.random()
        self.shown = f"{batch} of {batch_size}: {self.word!r} {self.options!r} {type(self.amount).__name__}"

    @sh.runtime(args=("step", "step_delta"))
    def run_step(self, step, delta):
        self.amount += delta
        self.total += self.series * step
        if self.word == "fail" and step == 2:
            raise RuntimeError(f"total is {self.total!r}")


MODEL = sh.Model({"p": Everything})


def setup(units="days since 2000-01-01", **inputs):
    words = np.array(["a", "fail", "longer"])
    return sh.create_setup(
        MODEL,
        clocks={"t": np.arange(4)},
        master_clock={"dim": "t", "units": units},
        input_vars={
            "p__amount": ("member", [1.0, 2.0, 3.0]),
            "p__series": (("member", "t"), np.arange(12.0).reshape(3, 4)),
            "p__row": (("member", "x"), np.arange(6.0).reshape(3, 2)),
            "p__word": ("member", words),
            "p__options": {"level": [1, None]},
            **inputs,
        },
        output_vars={"p__amount": "t", "p__total": None, "p__shown": None},
    )


@pytest.fixture
def store(tmp_path):
    setup().simherd.run(MODEL, "member", store=tmp_path / "out.zarr", on_error="record", block_size=2)
    return tmp_path / "out.zarr"


@pytest.mark.parametrize("number", [0, np.int64(2)])
def test_a_simulation_gives_again_what_stands_in_the_store(store, number):
    again = sh.replay(store, number, MODEL)

    stored = xr.open_zarr(store).isel(member=int(number)).load()
    xr.testing.assert_equal(again[["p__amount", "p__total"]], stored[["p__amount", "p__total"]])
    assert again.p__shown.item() == stored.p__shown.item()
    assert f"{number} of 3" in again.p__shown.item()
    assert again.p__shown.item().endswith("{'level': [1, None]} float")


def test_a_simulation_that_failed_raises_its_error_here(store):
    recorded = (store / "journal").iterdir().__next__().read_text()

    with pytest.raises(RuntimeError, match="total is") as info:
        sh.replay(store, 1, MODEL)

    assert str(info.value) in recorded
    assert "In process 'p', stage run_step, step 2 (t = 2), simulation 1" in info.value.__notes__[0]


def test_another_input_or_model_can_be_tried(store):
    assert "'b'" in sh.replay(store, 1, MODEL, input_vars={"p__word": "b"}).p__shown.item()

    @sh.process
    class Mended(Everything):
        def run_step(self):
            pass

    with sh.Model({"p": Mended}):
        assert sh.replay(store, 1).p__amount.values.tolist() == [2.0] * 4


def test_nothing_is_written(store):
    before = {path: path.stat().st_mtime_ns for path in store.parent.rglob("*")}

    sh.replay(store, 0, MODEL)

    assert {path: path.stat().st_mtime_ns for path in store.parent.rglob("*")} == before


def test_outputs_are_held_to_those_of_the_store(tmp_path):
    @sh.process
    class Typed:
        a = sh.variable()
        r = sh.variable(intent="out")

        def initialize(self):
            self.r = 1 if self.a == 0 else 0.5

    model = sh.Model({"p": Typed})
    given = sh.create_setup(model, input_vars={"p__a": ("member", [0, 1])}, output_vars={"p__r": None})
    given.simherd.run(model, "member", store=tmp_path / "o.zarr", on_error="record")

    with pytest.raises(OutputError, match=r"type float64, which does not fit"):
        sh.replay(tmp_path / "o.zarr", 1, model)


def test_dates_stay_dates_and_numbers_numbers(tmp_path):
    seen = []

    @sh.process
    class Dated:
        day = sh.variable()
        since = sh.variable(attrs={"units": "days since 2000-01-01"})

        @sh.runtime(args="step_start")
        def run_step(self, start):
            seen.append((self.day, self.since, start))

    model = sh.Model({"p": Dated})
    days = np.array(["2001-01-01", "2002-02-02"], "M8[ns]")
    given = sh.create_setup(
        model,
        clocks={"t": np.arange(2)},
        master_clock={"dim": "t", "units": "days since 2000-01-01"},
        input_vars={"p__day": ("member", days), "p__since": 3.0},
    )
    given.simherd.run(model, "member", store=tmp_path / "o.zarr")

    sh.replay(tmp_path / "o.zarr", 1, model)

    assert seen[-1] == seen[-2] == (days[1], 3.0, 0)


@pytest.mark.parametrize("number", [-1, 3])
def test_a_simulation_that_is_not_there_is_an_error(store, number):
    with pytest.raises(SetupError, match=r"simulation -?\d .*it has simulations 0 to 2"):
        sh.replay(store, number, MODEL)


def test_a_store_that_names_no_model_needs_one(store):
    with pytest.raises(SetupError, match=r"does not name its model.*replay\(store, number, model\)"):
        sh.replay(store, 0)


@pytest.mark.parametrize("signature", [{}, {"simherd_model_signature": "0" * 64}])
def test_model_that_others_have_named_is_not_loaded(store, tmp_path, signature):
    model = tmp_path / "planted.py"
    model.write_text(f"open({str(tmp_path / 'executed')!r}, 'w')")
    zarr.open_group(store).attrs.update({"simherd_model": f"{model}:model", **signature})

    with pytest.raises(SetupError, match="no run of yours has written that"):
        sh.replay(store, 0)
    assert not (tmp_path / "executed").exists()


def test_only_batches_can_be_replayed(tmp_path):
    setup().isel(member=0).simherd.run(MODEL, store=tmp_path / "one.zarr")

    with pytest.raises(StoreError, match="not the store of a batch"):
        sh.replay(tmp_path / "one.zarr", 0, MODEL)


@pytest.mark.filterwarnings("ignore:Input p__options will be missing")
def test_an_object_that_no_store_can_hold_is_given_again(tmp_path):
    unstorable = object
    given = setup(p__options=unstorable)
    given.simherd.run(MODEL, "member", store=tmp_path / "o.zarr", on_error="record")

    with pytest.raises(MissingInputError, match="p__options"):
        sh.replay(tmp_path / "o.zarr", 0, MODEL)
    assert (
        "object"
        in sh.replay(tmp_path / "o.zarr", 0, MODEL, input_vars={"p__options": unstorable}).p__shown.item()
    )

"""Labels of dimensions that a model sets itself: when they are read, and what a batch makes of them."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import simherd as sh
from simherd.errors import OutputError, SetupError


@sh.process
class Moves:
    x = sh.index("x")
    b = sh.variable()
    v = sh.variable(dims="x", intent="out")

    def initialize(self):
        self.x = np.arange(3.0)
        self.v = self.x * 0.5

    def run_step(self):
        self.x = self.x + 1.0
        self.v = self.x * self.b


@sh.process
class Grows:
    x = sh.index("x")
    b = sh.variable()
    v = sh.variable(dims="x", intent="out")

    def initialize(self):
        self.x = np.arange(2)
        self.v = np.zeros(2)

    def run_step(self):
        self._extend()

    def _extend(self):
        self.x = np.append(self.x, len(self.x))
        self.v = np.append(self.v, self.b)


@sh.process
class FreesMemory:
    x = sh.index("x")
    b = sh.variable()
    v = sh.variable(dims="x", intent="out")

    def initialize(self):
        self.x, self.v = np.zeros(2), np.zeros(2)

    def finalize(self):
        self.x, self.v = None, None


@sh.process
class Differs:
    x = sh.index("x")
    b = sh.variable()

    def initialize(self):
        self.x = np.arange(2) + self.b


def run(cls, bs=(1.0, 1.0), outputs=None, **options):
    model = sh.Model({"p": cls})
    setup = sh.create_setup(
        model,
        clocks={"t": [0, 1, 2]},
        input_vars={"p__b": ("member", list(bs))},
        output_vars={"p__v": "t"} if outputs is None else outputs,
    )
    return setup.simherd.run(model, batch_dim="member", **options)


@pytest.mark.parametrize("outputs", [None, {}, {"p__v": None}])
@pytest.mark.parametrize("store", [None, "o.zarr"])
def test_labels_that_change_are_those_of_the_end(outputs, store, tmp_path):
    ds = run(Moves, outputs=outputs, store=store and tmp_path / store)

    assert ds.x.values.tolist() == [2.0, 3.0, 4.0]


@pytest.mark.parametrize("store", [None, "o.zarr"])
def test_labels_that_grow_let_outputs_grow(store, tmp_path):
    ds = run(Grows, bs=(1.0, 2.0), store=store and tmp_path / store)

    assert ds.x.values.tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(
        ds.p__v.isel(member=1),
        [[0, 0, 2, np.nan], [0, 0, 2, 2], [0, 0, 2, 2]],
    )


@pytest.mark.parametrize("batch", [False, True])
def test_labels_are_read_when_outputs_are_before_finalize(batch):
    if batch:
        ds = run(FreesMemory, outputs={"p__v": None})
    else:
        model = sh.Model({"p": FreesMemory})
        setup = sh.create_setup(
            model, clocks={"t": [0, 1]}, input_vars={"p__b": 1.0}, output_vars={"p__v": None}
        )
        ds = setup.simherd.run(model)

    assert ds.x.values.tolist() == [0.0, 0.0]


def test_labels_that_differ_between_simulations_are_an_error():
    with pytest.raises(OutputError, match="Index variable p__x differs between simulations"):
        run(Differs, bs=(1.0, 2.0), outputs={})


def test_one_point_of_a_study_runs_to_a_store(tmp_path):
    model = sh.Model({"p": Moves})
    study = sh.create_setup(
        model, clocks={"t": [0, 1]}, input_vars={"p__b": ("p__b", [1.0, 2.0])}, output_vars={"p__v": "t"}
    )
    setup = study.isel(p__b=1).assign_coords(lab=3)

    setup.simherd.run(model, store=tmp_path / "o.zarr")

    ds = xr.open_zarr(tmp_path / "o.zarr")
    assert ds.x.values.tolist() == [1.0, 2.0, 3.0]
    assert (ds.p__b.item(), ds.lab.item()) == (2.0, 3)


def test_a_clock_is_no_batch_dimension():
    model = sh.Model({"p": Moves})
    setup = sh.create_setup(model, clocks={"t": [0, 1]}, input_vars={"p__b": ("t", [1.0, 2.0])})

    with pytest.raises(SetupError, match="batch_dim='t' is a clock"):
        setup.simherd.run(model, batch_dim="t")


def test_an_empty_batch_is_an_error():
    with pytest.raises(SetupError, match="The batch along 'member' is empty"):
        run(Moves, bs=())

import numpy as np
import pytest
import xarray as xr

import simherd.compat.xsimlab as xs

CLOCK = "__xsimlab_output_clock__"
MASTER = "__xsimlab_master_clock__"
OUTPUTS = "__xsimlab_output_vars__"


@xs.process
class Growth:
    rate = xs.variable(default=2.0, description="growth", attrs={"units": "y-1"})
    start = xs.variable(dims=[(), "x"])
    size = xs.variable(dims=[(), "x"], intent="out")
    helper = xs.any_object()

    def initialize(self):
        self.size = self.start

    def run_step(self):
        self.size = self.size * self.rate


@pytest.fixture
def model():
    return xs.Model({"growth": Growth})


@pytest.fixture
def setup(model):
    return xs.create_setup(
        model,
        {"t": [0, 1, 2], "out": [0, 2]},
        {"dim": "t", "units": "years"},
        {"growth": {"start": [1.0, 2.0]}},
        {"growth__size": "out", ("growth", "rate"): None},
    )


def test_create_setup_takes_its_arguments_by_position(setup):
    assert setup["growth__start"].dims == ("x",)
    assert float(setup["growth__rate"]) == 2.0
    assert setup["growth__rate"].attrs == {"description": "growth", "units": "y-1"}


def test_setups_are_marked_as_those_of_0_5_0(setup):
    assert setup["t"].attrs == {CLOCK: 1, MASTER: 1, "units": "years"}
    assert setup["out"].attrs == {CLOCK: 1, OUTPUTS: "growth__size", "units": "years"}
    assert setup.attrs == {OUTPUTS: "growth__rate"}


def test_a_setup_that_0_5_0_made_is_understood(model):
    made = xr.Dataset(
        {"growth__rate": 3.0, "growth__start": 1.0},
        coords={"t": ("t", [0, 1, 2], {CLOCK: np.uint8(1), MASTER: np.uint8(1), OUTPUTS: "growth__size"})},
    )

    assert made.xsimlab.run(model=model)["growth__size"].values.tolist() == [3.0, 9.0, 9.0]


def test_a_setup_survives_a_file(setup, model, tmp_path):
    setup.to_zarr(tmp_path / "setup.zarr", consolidated=False)
    opened = xr.open_zarr(tmp_path / "setup.zarr", consolidated=False)

    assert opened.xsimlab.output_vars == setup.xsimlab.output_vars
    xr.testing.assert_equal(opened.xsimlab.run(model=model), setup.xsimlab.run(model=model))


def test_the_accessor_tells_clocks_and_outputs(setup):
    accessor = setup.xsimlab

    assert accessor.master_clock_dim == "t"
    assert accessor.master_clock_coord.identical(setup["t"])
    assert accessor.nsteps == 2
    assert dict(accessor.clock_sizes) == {"t": 3, "out": 2}
    assert list(accessor.clock_coords) == ["t", "out"]
    assert accessor.output_vars == {("growth", "size"): "out", ("growth", "rate"): None}
    assert accessor.output_vars_by_clock == {"out": [("growth", "size")], None: [("growth", "rate")]}
    assert accessor.get_output_save_steps()["out"].values.tolist() == [True, False, True]


def test_a_dataset_without_clocks_has_none():
    accessor = xr.Dataset().xsimlab

    assert accessor.master_clock_dim is None
    assert accessor.master_clock_coord is None
    assert accessor.nsteps == 0


def test_outputs_by_clock_are_accepted_with_a_warning(model):
    with pytest.warns(FutureWarning, match="deprecated"):
        made = xs.create_setup(
            model, {"t": [0, 1]}, input_vars={"growth__start": 1.0}, output_vars={"t": {"growth": "size"}}
        )
    with pytest.warns(FutureWarning, match="deprecated"):
        made = made.xsimlab.update_vars(model, output_vars={None: [("growth", "rate"), "growth__start"]})

    assert made.xsimlab.output_vars == {
        ("growth", "size"): "t",
        ("growth", "rate"): None,
        ("growth", "start"): None,
    }


def test_updates_leave_the_original_as_it_was(setup, model):
    before = setup.copy(deep=True)
    setup.xsimlab.update_vars(model, input_vars={"growth__rate": 5.0}, output_vars={"growth__start": None})
    setup.xsimlab.update_clocks(model, clocks={"out": [1]})

    assert setup.identical(before)


def test_an_output_moves_from_the_end_to_a_clock(setup, model):
    moved = setup.xsimlab.update_vars(model, output_vars={"growth__rate": "t"})

    assert moved.xsimlab.output_vars["growth", "rate"] == "t"


def test_a_replaced_clock_keeps_its_outputs(setup, model):
    replaced = setup.xsimlab.update_clocks(model, clocks={"out": [1, 2]})

    assert replaced.xsimlab.output_vars == setup.xsimlab.output_vars
    assert replaced["out"].values.tolist() == [1, 2]


def test_reset_and_filter_need_no_more_than_the_model(setup, model):
    changed = setup.xsimlab.update_vars(model, input_vars={"growth__rate": 9.0}).assign(other=1)
    with model:
        again = changed.xsimlab.reset_vars().xsimlab.filter_vars()

    assert float(again["growth__rate"]) == 2.0
    assert "other" not in again
    assert set(again.xsimlab.clock_coords) == {"t", "out"}


def test_datasets_are_filtered_by_a_function():
    dataset = xr.Dataset({"a": ("x", [1, 2]), "b": 1.0}, attrs={"kept": 1})

    assert list(dataset.filter(lambda v: v.ndim == 1).data_vars) == ["a"]
    assert dataset.filter(lambda v: v.ndim == 1).attrs == {"kept": 1}


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"input_vars": {"growth__nothing": 1}}, KeyError),
        ({"output_vars": {"growth__nothing": None}}, KeyError),
        ({"output_vars": {"growth__helper": None}}, ValueError),
        ({"output_vars": {"growth__size": "no_clock"}}, ValueError),
        ({"model": "not a model"}, TypeError),
    ],
)
def test_what_does_not_fit_is_an_error_of_the_class_that_0_5_0_raises(model, arguments, error):
    with pytest.raises(error):
        xs.create_setup(**{"model": model, "clocks": {"t": [0, 1]}, **arguments})


def test_without_a_model_there_is_an_error():
    with pytest.raises(ValueError, match="No model found in context"):
        xs.create_setup()

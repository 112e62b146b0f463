from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import simherd as sh
from simherd.errors import SetupError, UnknownNameError
from simherd.setup.dataset import filter_vars, output_clocks, reset_vars, update_clocks, update_vars


def test_inputs_have_their_defaults_units_and_descriptions(walk):
    setup = sh.create_setup(walk.model)

    assert setup.walk__gain.item() == 1.0
    assert setup.walk__gain.attrs == {"units": "m", "description": "climb per step"}
    assert setup.grid__size.dtype.kind == "i"


def test_without_fill_default_only_given_inputs_are_there(walk):
    setup = sh.create_setup(walk.model, input_vars={"walk__gain": 2.0}, fill_default=False)

    assert list(setup.data_vars) == ["walk__gain"]


def test_the_model_of_a_with_block_is_used(walk):
    with walk.model:
        assert "walk__gain" in sh.create_setup()

    with pytest.raises(SetupError, match="No model found in context"):
        sh.create_setup()


@pytest.mark.parametrize("value", [0, 0.0, False, None, 3 + 1j])
def test_scalars_stay_what_they_are(walk, value):
    setup = sh.create_setup(walk.model, input_vars={"walk__gain": value})

    assert setup.walk__gain.values[()] == value or setup.walk__gain.values[()] is value


@sh.process
class Typed:
    flag = sh.variable(default=True)
    area = sh.variable(attrs={"units": "km2"})
    label = sh.variable(default="")
    converted = sh.variable(default=1.0, converter=float)
    anything = sh.variable(default=None)
    field = sh.variable(default=0.0, dims=[(), "x"])
    table = sh.variable(dims=("y", "x"), default=np.ones((2, 2)))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("flag", "yes", "a number, by default True; found the text 'yes'"),
        ("area", "1000 km2", "a number, in 'km2'; found the text '1000 km2'"),
        ("field", ["1", "2"], "by default 0.0; found the text '1'"),
        ("field", pd.DataFrame({"a": [1]}), "by default 0.0; found a DataFrame"),
        ("table", pd.DataFrame({"a": [1]}), r"a DataFrame; declared are dimensions \('y', 'x'\)"),
    ],
)
def test_texts_and_tables_for_numbers_are_errors(name, value, message):
    with pytest.raises(SetupError, match=f"Input p__{name} is .*{message}"):
        sh.create_setup(sh.Model({"p": Typed}), input_vars={f"p__{name}": value})


@pytest.mark.parametrize("name", ["label", "converted", "anything"])
def test_texts_are_inputs_of_other_variables(name):
    setup = sh.create_setup(sh.Model({"p": Typed}), input_vars={f"p__{name}": "1000"})

    assert setup[f"p__{name}"] == "1000"


def test_attributes_of_a_value_win_over_the_declared_ones(walk):
    value = ((), 2.0, {"description": "as measured"})

    setup = sh.create_setup(walk.model, input_vars={"walk__gain": value})

    assert setup.walk__gain.attrs == {"units": "m", "description": "as measured"}


def test_a_value_with_undeclared_dimensions_is_an_error(walk):
    with pytest.raises(SetupError, match="walk__gain: the value has 1 dimension"):
        sh.create_setup(walk.model, input_vars={"walk__gain": np.zeros(3)})


def test_a_variable_that_a_process_sets_is_no_input(walk):
    with pytest.raises(UnknownNameError, match="'walk__height' is not an input"):
        sh.create_setup(walk.model, input_vars={"walk__height": 3.0})


def test_inputs_of_different_sizes_along_one_dimension_are_an_error(walk):
    inputs = {"walk__gain": ("member", [1.0, 2.0]), "walk__pause": ("member", [0.0, 0.0, 0.0])}

    with pytest.raises(SetupError, match="do not fit together"):
        sh.create_setup(walk.model, input_vars=inputs)


def test_outputs_keep_their_clocks_when_clocks_are_updated(walk):
    setup = update_clocks(walk.setup(1.0), clocks={"time": np.arange(0.0, 7.0)})

    assert output_clocks(setup) == {"walk__height": "time", "walk__profile": "coarse", "walk__count": None}


def test_the_last_clock_given_to_an_output_counts(walk):
    setup = update_vars(walk.setup(1.0), walk.model, output_vars={"walk__count": "coarse"})

    assert output_clocks(setup)["walk__count"] == "coarse"
    assert "__simherd_output_vars__" not in setup.attrs


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({"walk__hight": None}, "Did you mean 'walk__height'"),
        ({"walk__height": "tine"}, "Did you mean 'time'"),
    ],
)
def test_an_unknown_output_or_clock_comes_with_the_close_match(walk, outputs, message):
    with pytest.raises(UnknownNameError, match=message):
        update_vars(walk.setup(1.0), walk.model, output_vars=outputs)


def test_reset_gives_defaults_back_and_leaves_the_rest(walk):
    setup = reset_vars(walk.setup(5.0), walk.model)

    assert setup.walk__gain == 1.0
    assert output_clocks(setup) == output_clocks(walk.setup(5.0))


def test_filter_drops_what_the_model_does_not_have(walk):
    setup = walk.setup(1.0).assign(stranger=("z", [1, 2]))
    setup.attrs["__simherd_output_vars__"] += ",gone__away"

    filtered = filter_vars(setup, walk.model)

    assert "stranger" not in filtered
    assert output_clocks(filtered) == output_clocks(walk.setup(1.0))


def test_a_setup_is_not_changed_by_what_is_made_of_it(walk):
    setup = walk.setup(1.0)
    before = setup.copy(deep=True)

    update_vars(setup, walk.model, input_vars={"walk__gain": 3.0}, output_vars={"walk__height": None})
    update_clocks(setup, clocks={"third": [0.0, 1.0]})

    xr.testing.assert_identical(setup, before)
    assert output_clocks(setup) == output_clocks(before)


@pytest.mark.parametrize("what", ["input_vars", "output_vars"])
def test_a_list_of_variables_is_an_error(walk, what):
    with pytest.raises(SetupError, match=rf"{what}: a mapping is needed, found \['walk__gain'\]"):
        sh.create_setup(walk.model, clocks={"time": [0, 1]}, **{what: ["walk__gain"]})


def test_columns_of_a_data_frame_are_inputs_along_its_index():
    frame = pd.DataFrame({"p__flag": [True, False], "p__label": ["a", "b"]}, index=["low", "high"])

    setup = sh.create_setup(sh.Model({"p": Typed}), input_vars=frame.rename_axis("member"))

    assert setup.p__flag.dims == ("member",)
    assert setup.p__label.values.tolist() == ["a", "b"]
    assert setup.member.values.tolist() == ["low", "high"]
    with pytest.raises(SetupError, match="Series is along the name of its index: rename_axis"):
        sh.create_setup(sh.Model({"p": Typed}), input_vars=frame)


def test_a_data_frame_of_clocks_is_an_error(walk):
    with pytest.raises(SetupError, match="clocks: a mapping is needed, found a DataFrame"):
        sh.create_setup(walk.model, clocks=pd.DataFrame({"time": range(99)}))


@pytest.mark.parametrize("main", [{"main_clock": 3}, {"master_clock": 0}])
def test_a_main_clock_of_no_name_is_an_error(walk, main):
    with pytest.raises(SetupError, match=r"master_clock=[03] is not allowed"):
        sh.create_setup(walk.model, clocks={"time": [0, 1], "coarse": [0]}, **main)


@sh.process
class Owner:
    """Has variables that others refer to, or set."""

    a = sh.variable(global_name="a", groups="g")
    b = sh.variable(intent="out")
    c = sh.variable()
    d = sh.on_demand()

    @d.compute
    def _d(self):
        return 1


@sh.process
class User:
    """Refers to variables of the owner."""

    a = sh.foreign(Owner, "a")
    ref = sh.global_ref("a")
    b = sh.foreign(Owner, "b")
    d = sh.foreign(Owner, "d")
    members = sh.group("g")


@sh.process
class Setter:
    """Sets a variable of the owner."""

    c = sh.foreign(Owner, "c", intent="out")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("u__a", "it refers to 'p__a', which is one. Fix: give 'p__a'"),
        ("u__ref", "it refers to 'p__a', which is one. Fix: give 'p__a'"),
        ("u__b", "it refers to 'p__b', and it is set by process 'p'"),
        ("p__b", "it is set by process 'p'"),
        ("p__c", "it is set by process 's'"),
        ("p__d", "it is computed by process 'p'"),
        ("u__d", "it refers to 'p__d', and it is computed by process 'p'"),
        ("u__members", "it stands for the variables of a group"),
    ],
)
def test_what_is_no_input_is_an_error_that_says_why(name, message):
    model = sh.Model({"p": Owner, "u": User, "s": Setter})

    with pytest.raises(UnknownNameError, match=f"'{name}' is not an input: {message}"):
        sh.create_setup(model, input_vars={name: 1})


def test_a_main_clock_without_clocks_is_an_error(walk):
    with pytest.raises(UnknownNameError, match="Main clock 'time' is not a clock"):
        sh.create_setup(walk.model, master_clock="time")

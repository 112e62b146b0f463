from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import simherd as sh
from simherd.errors import MissingInputError, SetupError, SimherdError, UnknownNameError
from simherd.setup.planning import make_setup


@sh.process
class Taker:
    value = sh.variable(dims=[(), ("y", "x")])
    steady = sh.variable(default=1.0, static=True)
    seen = sh.variable(intent="out")

    def initialize(self):
        self.seen = 0.0


@pytest.fixture
def taker():
    return sh.Model({"taker": Taker})


def setup_of(model, value, **inputs):
    return sh.create_setup(model, {"time": [0, 1, 2]}, input_vars={"taker__value": value, **inputs})


def test_inputs_are_shared_batched_or_varying(taker):
    both = xr.Variable(("member", "time"), np.arange(6.0).reshape(2, 3))
    made = make_setup(setup_of(taker, both), taker, batch_dim="member")

    assert made.simulations == made.plan.batch_size == 2
    assert made.plan.varying == {("taker", "value")}
    assert made.plan.shared == {("taker", "steady"): 1.0}
    np.testing.assert_array_equal(made.batch_inputs["taker", "value"], both.values)


def test_the_plan_of_one_simulation_has_no_batch(taker):
    made = make_setup(setup_of(taker, 3.0), taker)

    assert made.plan.batch_size == -1
    assert made.simulations == 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, 0), (0.0, 0.0), (False, False), ("", ""), (None, None), (np.float32(2), 2.0)],
)
def test_scalars_reach_processes_as_python_values(taker, value, expected):
    shared = make_setup(setup_of(taker, value), taker).plan.shared

    assert shared["taker", "value"] == expected
    assert type(shared["taker", "value"]) is type(expected)


def test_dates_reach_processes_as_dates(taker):
    date = np.datetime64("2000-01-01", "ns")

    shared = make_setup(setup_of(taker, date), taker).plan.shared

    assert shared["taker", "value"] == date
    assert isinstance(shared["taker", "value"], np.datetime64)


def test_a_missing_input_is_named(taker):
    setup = sh.create_setup(taker, {"time": [0, 1]})

    with pytest.raises(MissingInputError, match="taker__value"):
        make_setup(setup, taker)


def test_dimensions_in_another_order_are_an_error_or_transposed(taker):
    setup = setup_of(taker, (("x", "y"), np.zeros((2, 3))))

    with pytest.raises(SetupError, match="check_dims='transpose'"):
        make_setup(setup, taker)
    shared = make_setup(setup, taker, check_dims="transpose").plan.shared
    assert shared["taker", "value"].shape == (3, 2)


def test_unchecked_dimensions_pass_with_the_batch_first(taker):
    setup = setup_of(taker, (("z", "member"), np.zeros((2, 3))))

    made = make_setup(setup, taker, batch_dim="member", check_dims=None)

    assert made.batch_inputs["taker", "value"].shape == (3, 2)


def test_a_batch_dimension_that_no_input_has_comes_with_the_close_match(taker):
    with pytest.raises(UnknownNameError, match="Did you mean 'member'"):
        make_setup(setup_of(taker, ("member", [1.0, 2.0])), taker, batch_dim="menber")


@pytest.mark.parametrize("option", ["check_dims", "validate"])
def test_options_take_what_they_allow(taker, option):
    with pytest.raises(SetupError, match=f"{option}='sometimes' is not allowed"):
        make_setup(setup_of(taker, 1.0), taker, **{option: "sometimes"})


def test_a_static_input_does_not_vary_with_the_clock(taker):
    setup = setup_of(taker, 1.0, taker__steady=("time", [1.0, 2.0, 3.0]))

    with pytest.raises(SimherdError, match="static variable taker__steady"):
        make_setup(setup, taker)


@pytest.mark.parametrize(("dim", "what"), [("t", "the main clock"), ("b", "the batch dimension")])
def test_an_input_declared_along_the_clock_or_the_batch_is_told_what_is_wrong(dim, what):
    cls = sh.process(type("P", (), {"a": sh.variable(dims=dim)}))
    model = sh.Model({"p": cls})
    setup = sh.create_setup(model, clocks={"t": [0, 1]}, input_vars={"p__a": [1, 2]})

    with pytest.raises(SetupError, match=f"p__a is declared along '{dim}', which is {what}.*leave it out"):
        setup.simherd.run(model, batch_dim=dim if dim == "b" else None)


@pytest.mark.parametrize(
    ("value", "batch_dim", "fix"),
    [
        (("member", [1.0, 2.0]), None, "give batch_dim='member' for one simulation for each value"),
        ((("time", "member"), np.ones((3, 2))), None, "give batch_dim='member'"),
        ((("i", "j"), np.ones((2, 3))), None, r"setup.stack\(member=\['i', 'j'\]\)"),
        (
            (("member", "z"), np.ones((2, 3))),
            "member",
            "declare 'z' in dims=; simulations differ along 'member'",
        ),
        ((("x", "y"), np.ones((2, 3))), None, "transpose it"),
        (
            (("i", "j"), np.ones((2, 3))),
            ["i", "j"],
            r"stack them into one: setup.stack\(member=\['i', 'j'\]\)",
        ),
        ((("i", "j"), np.ones((2, 3))), ("i", "j"), "stack them into one"),
        (1.0, True, "must be the name of a dimension, got bool"),
    ],
)
def test_dimensions_that_do_not_fit_are_an_error_with_the_way_out(taker, value, batch_dim, fix):
    with pytest.raises(SetupError, match=fix):
        make_setup(setup_of(taker, value), taker, batch_dim=batch_dim)


def test_a_batch_over_two_dimensions_runs_as_its_error_says(taker):
    setup = setup_of(taker, ("i", [1.0, 2.0]), taker__steady=("j", [3.0, 4.0, 5.0]))
    setup = setup.simherd.update_vars(taker, output_vars={"taker__seen": None})

    result = setup.stack(member=["i", "j"]).simherd.run(taker, batch_dim="member").unstack("member")

    assert result.taker__seen.sizes == {"i": 2, "j": 3}


def test_a_setup_that_is_no_dataset_is_an_error(taker):
    with pytest.raises(SetupError, match="A setup is a Dataset, got 3"):
        sh.run(3, taker)

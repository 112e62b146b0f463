"""Every kind of clock and input, from setup to process to result, in memory and in a store."""

from __future__ import annotations

import array
import datetime

import attr
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import simherd as sh
from simherd.errors import SetupError


def spy(*labels, **options):
    """Return a model whose process ``p`` keeps runtime arguments and its input ``v``, and where it does."""
    seen = []

    @sh.process
    class Spy:
        v = sh.variable(**({"default": 0, "dims": [(), "x"]} | options))
        out = sh.variable(intent="out")

        @sh.runtime(args=labels)
        def run_step(self, *values):
            seen.append((self.v, *values))
            self.out = len(seen)

    return sh.Model({"p": Spy}), seen


@pytest.fixture(params=["memory", "store"])
def store(request, tmp_path):
    return None if request.param == "memory" else tmp_path / "out.zarr"


def run(model, store, clocks=None, value=attr.NOTHING, outputs=None, **options):
    given = {} if value is attr.NOTHING else {"p__v": value}
    setup = sh.create_setup(
        model, clocks=clocks or {"t": [0, 1]}, input_vars=given, output_vars=outputs, **options
    )
    return setup.simherd.run(model, store=store)


# Clocks


DATES = {
    "pandas": pd.date_range("2024-02-27", periods=4),
    "numpy": np.arange("2024-02-27", "2024-03-02", dtype="datetime64[D]"),
    "python": [datetime.datetime(2024, 2, 27) + datetime.timedelta(days=n) for n in range(4)],
}


@pytest.mark.parametrize("kind", DATES)
def test_a_clock_of_dates_gives_dates_and_time_spans(kind, store):
    model, seen = spy("step_start", "step_end", "step_delta")

    result = run(model, store, {"t": DATES[kind]}, outputs={"p__out": "t"})

    day = np.timedelta64(1, "D")
    assert [step[1:] for step in seen] == [
        (start, start + day, day) for start in np.arange("2024-02-27", "2024-03-01", dtype="datetime64[D]")
    ]
    assert result.t.values.astype("datetime64[D]").tolist() == DATES["numpy"].tolist()
    assert int(result.p__out.sel(t="2024-02-29")) == 3


def test_a_coarser_clock_of_dates_finds_its_labels():
    model, _ = spy()

    result = run(
        model, None, {"t": DATES["pandas"], "s": DATES["pandas"][[0, 2]]}, outputs={"p__out": "s"},
        master_clock="t",
    )  # fmt: skip

    assert result.p__out.values.tolist() == [1, 3]


def test_a_clock_of_another_calendar_gives_its_dates(store):
    pytest.importorskip("cftime")
    dates = xr.date_range("2000-02-28", periods=4, calendar="360_day", use_cftime=True)
    model, seen = spy("step_start", "step_delta")

    result = run(model, store, {"t": dates}, outputs={"p__out": "t"})

    assert [str(step[1])[:10] for step in seen] == ["2000-02-28", "2000-02-29", "2000-02-30"]
    assert seen[0][2] == datetime.timedelta(days=1)
    assert str(result.t.values[-1])[:10] == "2000-03-01"


def test_units_and_calendar_are_those_of_all_clocks():
    model, _ = spy()
    main = {"dim": "t", "units": "days since 2000-01-01", "calendar": "noleap"}

    setup = sh.create_setup(model, clocks={"t": [0, 1, 2], "s": [0, 2]}, master_clock=main)

    for clock in setup.simherd.clock_coords.values():
        assert (clock.attrs["units"], clock.attrs["calendar"]) == (main["units"], "noleap")


def test_a_stored_clock_with_units_and_calendar_opens_as_dates(tmp_path):
    pytest.importorskip("cftime")
    model, _ = spy()
    main = {"dim": "t", "units": "days since 2000-02-28", "calendar": "noleap"}

    result = run(model, tmp_path / "o.zarr", {"t": [0, 1]}, outputs={"p__out": "t"}, master_clock=main)

    assert [str(label)[:10] for label in result.t.values] == ["2000-02-28", "2000-03-01"]


def test_units_of_dates_say_how_they_are_stored(tmp_path):
    model, _ = spy()
    main = {"dim": "t", "units": "days since 2000-01-01", "calendar": "standard"}

    result = run(
        model, tmp_path / "o.zarr", {"t": DATES["pandas"]}, outputs={"p__out": "t"}, master_clock=main
    )

    assert result.t.values[0] == np.datetime64("2024-02-27")


def test_time_spans_make_a_clock(store):
    model, seen = spy("step_delta")

    result = run(model, store, {"t": pd.to_timedelta([0, 1, 3], "h")}, outputs={"p__out": "t"})

    assert [step[1] for step in seen] == [np.timedelta64(1, "h"), np.timedelta64(2, "h")]
    assert result.t.dtype.kind == "m"


def test_a_decreasing_clock_is_stored_in_its_order(store):
    model, _ = spy()

    result = run(model, store, {"age": [30, 20, 0]}, outputs={"p__out": "age"})

    assert result.age.values.tolist() == [30, 20, 0]
    assert result.p__out.values.tolist() == [1, 2, 2]


def test_a_clock_has_the_dimension_of_its_name():
    model, _ = spy()

    with pytest.raises(SetupError, match="dimension"):
        sh.create_setup(model, clocks={"t": ("other", [0, 1])})


# Inputs


@pytest.mark.parametrize("value", [3, 2.5, True, "text", "", np.float32(1.5), 1 + 2j])
def test_a_scalar_reaches_the_process_as_a_python_value(value):
    model, seen = spy(default=None)

    run(model, None, value=value)

    assert seen[0][0] == value
    assert type(seen[0][0]) in (int, float, bool, str, complex)


@pytest.mark.parametrize("dtype", ["i2", "f4", "U3", "?", "M8[ns]", "m8[ns]"])
def test_an_array_keeps_its_type(dtype, store):
    model, seen = spy(default=None)
    value = np.array([1, 0]).astype(dtype)

    result = run(model, store, value=value)

    assert seen[0][0].dtype == value.dtype
    assert result.p__v.values.tolist() == value.tolist()


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pd.array([1, 2], dtype="Int8"), np.array([1, 2], "i1")),
        (pd.array([1, None], dtype="Int64"), np.array([1, np.nan])),
        (pd.array([1.5, None], dtype="Float32"), np.array([1.5, np.nan])),
        (pd.array([True, False], dtype="boolean"), np.array([True, False])),
        (pd.Categorical(["b", "a"]), np.array(["b", "a"], object)),
        (pd.Categorical([3, 1]), np.array([3, 1])),
        (pd.arrays.SparseArray([1.5, 2.0]), np.array([1.5, 2.0])),
    ],
)
def test_a_column_of_a_type_of_pandas_is_an_array_of_numpy(column, expected, store):
    model, seen = spy(default=None)

    result = run(model, store, value=("x", pd.Series(column)))

    assert seen[0][0].dtype == expected.dtype
    np.testing.assert_array_equal(seen[0][0], expected)
    np.testing.assert_array_equal(result.p__v.values, expected)


@pytest.mark.parametrize("value", [[0, 1, 2], range(3), array.array("l", [0, 1, 2])])
def test_a_sequence_is_an_array(value, store):
    model, seen = spy()

    result = run(model, store, value=value)

    assert seen[0][0].tolist() == result.p__v.values.tolist() == [0, 1, 2]
    assert result.p__v.dims == ("x",)


def test_rows_of_different_lengths_are_one_clear_error():
    model, _ = spy()

    with pytest.raises(SetupError, match=r"Input p__v is no array: .*Fix: give rows of one length"):
        run(model, None, value=[[1], [1, 2]])


class Thing:
    """An object of the user."""


def test_any_object_may_be_an_input():
    model, seen = spy()
    thing = Thing()

    result = run(model, None, value=thing)

    assert isinstance(seen[0][0], Thing)
    assert result.p__v.item() is thing


def test_an_object_that_a_store_cannot_hold_is_left_out_of_it(tmp_path):
    model, seen = spy()

    with pytest.warns(UserWarning, match="Input p__v will be missing"):
        result = run(model, tmp_path / "out.zarr", value=Thing(), outputs={"p__out": None})

    assert isinstance(seen[0][0], Thing)
    assert "p__v" not in result


@pytest.mark.parametrize("value", [None, {"a": [1, 2]}])
def test_a_store_that_is_run_again_gives_the_same_objects(value, tmp_path):
    model, seen = spy(default=None)
    result = run(model, tmp_path / "a.zarr", value=value)

    result.simherd.run(model)

    assert seen[0][0] == seen[-1][0] == value


def test_a_date_of_python_stays_a_date():
    model, seen = spy()

    run(model, None, value=np.datetime64("2024-02-29"))

    assert seen[0][0] == np.datetime64("2024-02-29")


def test_an_input_along_its_own_name_is_a_coordinate():
    model, _ = spy()

    setup = sh.create_setup(model, clocks={"t": [0, 1]}, input_vars={"p__v": ("p__v", [1, 2])})

    assert "p__v" in setup.coords
    assert setup.simherd.run(model, batch_dim="p__v").sizes["p__v"] == 2


def test_description_and_attributes_go_with_a_variable(store):
    model, _ = spy(description="what it is", attrs={"units": "m"})

    result = run(model, store, value=1.0)

    assert result.p__v.attrs == {"description": "what it is", "units": "m"}


# Outputs


def test_an_input_that_is_an_output_is_replaced_by_it(store):
    @sh.process
    class Growing:
        v = sh.variable(intent="inout")

        def run_step(self):
            self.v += 1

    result = run(sh.Model({"p": Growing}), store, {"t": [0, 1, 2]}, 5, {"p__v": "t"})

    assert result.p__v.values.tolist() == [6, 7, 7]


def test_a_result_can_be_run_again(store):
    model, _ = spy()
    first = run(model, store, {"t": [0, 1, 2]}, 5, {"p__out": "t"})

    setup = first.simherd.filter_vars(model)

    assert set(setup.variables) == {"t", "p__v"}
    assert setup.simherd.run(model).p__out.sizes == {"t": 3}

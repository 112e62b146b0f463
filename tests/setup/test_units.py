"""Units of inputs, held against those that their variables declare."""

from __future__ import annotations

import importlib.util

import dask.array
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import simherd as sh
from simherd.errors import InputWarning, SetupError


@sh.process
class Moves:
    speed = sh.variable(dims=[(), "x"], attrs={"units": "m s-1"})
    label = sh.variable(default="")
    out = sh.variable(dims=[(), "x"], intent="out")

    def initialize(self):
        self.out = self.speed


MODEL = sh.Model({"p": Moves})


def setup(value):
    return sh.create_setup(MODEL, input_vars={"p__speed": value}, output_vars={"p__out": None})


@pytest.fixture(params=["pint", "cf_units"])
def package(request, monkeypatch):
    """Let only one of the packages be there."""
    pytest.importorskip(request.param)
    find_spec = importlib.util.find_spec
    others = {"pint", "cf_units"} - {request.param}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in others else find_spec(name))
    return request.param


@pytest.fixture
def no_package(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


def test_units_that_differ_are_an_error_that_names_both(no_package):
    with pytest.raises(
        SetupError, match=r"Input p__speed is in 'km/h', its variable in 'm s-1'.*simherd\[units\]"
    ):
        setup(((), 3.6, {"units": "km/h"}))


def test_units_put_in_by_hand_are_checked_before_the_run(no_package):
    made = setup(1.0).assign(p__speed=((), 3.6, {"units": "km/h"}))

    with pytest.raises(SetupError, match="'km/h', its variable in 'm s-1'"):
        made.simherd.run(MODEL)


@pytest.mark.parametrize("units", ["m s-1", " m  s-1 ", "", None])
def test_equal_or_missing_units_need_no_package(no_package, units):
    assert setup(((), 2.0, {"units": units})).p__speed == 2.0


@pytest.mark.parametrize("units", ["m/s", "meter second-1", "m s^-1"])
def test_other_spellings_are_the_same_units(package, units, recwarn):
    made = setup(((), 2, {"units": units}))

    assert made.p__speed.attrs["units"] == "m s-1"
    assert made.p__speed.item() == 2
    assert isinstance(made.p__speed.item(), int)
    assert not recwarn


@pytest.mark.parametrize(
    "value",
    [
        ((), 36, {"units": "km h-1"}),
        ("x", [36.0, 72.0], {"units": "km/hour"}),
        xr.DataArray(np.float32([36.0, 72.0]), dims="x", attrs={"units": "km/h"}),
        xr.DataArray([36.0, 72.0], dims="x", attrs={"units": "km/h"}).chunk(x=1),
    ],
)
def test_values_are_converted_with_a_note(package, value):
    with pytest.warns(UserWarning, match=r"Input p__speed is converted from 'km.*' to 'm s-1'"):
        made = setup(value)

    np.testing.assert_allclose(made.p__speed, 10.0 if made.p__speed.ndim == 0 else [10.0, 20.0], rtol=1e-6)
    assert made.p__speed.attrs["units"] == "m s-1"
    assert made.p__speed.chunks == getattr(value, "chunks", None)


def test_other_dimensions_are_an_error(package):
    with pytest.raises(SetupError, match=r"Input p__speed is in 'kg', its variable in 'm s-1'.* convert"):
        setup(((), 1.0, {"units": "kg"}))


def test_unknown_units_are_one_warning_when_the_setup_runs(package, recwarn):
    made = setup(((), 2.0, {"units": "fish per net"}))
    assert not recwarn

    result = made.simherd.run(MODEL)

    known = [str(one.message) for one in recwarn if issubclass(one.category, InputWarning)]
    assert len(known) == 1
    assert "'fish per net', its variable in 'm s-1': these units are not known" in known[0]
    assert result.p__out == 2.0


class Scaled:
    """A quantity in the manner of astropy."""

    def __init__(self, value, unit):
        self.value, self.unit = value, unit


@pytest.mark.parametrize("form", [lambda q: q, lambda q: ((), q), lambda q: xr.DataArray([4] * q.units)[0]])
def test_a_quantity_gives_its_value_in_the_units_of_the_variable(form):
    pint = pytest.importorskip("pint")
    registry = pint.UnitRegistry()
    registry.define("knop = 0.5 meter / second")

    with pytest.warns(UserWarning, match="converted from 'knop'"):
        made = setup(form(registry.Quantity(4, "knop")))

    assert made.simherd.run(MODEL).p__out == 2.0


def test_units_of_a_quantity_count_without_pint_too(no_package):
    with pytest.raises(SetupError, match="Input p__speed is in 'km / h'"):
        setup(Scaled(3.6, "km / h"))
    assert setup(Scaled(np.array([1.0, 2.0]), "m s-1")).p__speed.values.tolist() == [1.0, 2.0]


@sh.process
class Warms:
    heat = sh.variable(dims=[(), "x"], attrs={"units": "K"})


def heat(values, units):
    given = ("x", values, {"units": units})
    return sh.create_setup(sh.Model({"p": Warms}), input_vars={"p__heat": given}).p__heat


def warmed(values, units="degC"):
    """Return an input in degC, in K."""
    with pytest.warns(UserWarning, match="is converted"):
        return heat(values, units)


@pytest.mark.parametrize("is_lazy", [False, True])
@pytest.mark.parametrize(
    ("given", "expected"),
    [("u1", "f8"), ("i2", "f8"), ("i8", "f8"), ("f2", "f4"), ("f4", "f4"), ("f8", "f8")],
)
def test_converted_type_depends_on_the_given_one_only(package, given, expected, is_lazy):
    values = np.array([10, 20, 3], given)
    want = (values.astype("f8") + 273.15).astype(expected)

    made = warmed(dask.array.from_array(values, chunks=2) if is_lazy else values)

    assert made.dtype == made.values.dtype == expected
    np.testing.assert_allclose(made.values, want, rtol=1e-15 if expected == "f8" else 0)


def test_nullable_numbers_of_pandas_are_converted(package):
    assert np.allclose(warmed(pd.array([10, None], dtype="Int64")), [283.15, np.nan], equal_nan=True)
    assert warmed(pd.arrays.SparseArray([1.0, 2.0]), "kK").values.tolist() == [1000.0, 2000.0]


def test_numbers_among_objects_are_converted(package):
    rows = np.empty(4, object)
    rows[:] = [10, 20.5, None, np.array([1, 2], "i2")]

    made = warmed(rows).values

    assert made[:3].tolist() == [283.15, 293.65, None]
    np.testing.assert_allclose(made[3], [274.15, 275.15], rtol=1e-15)


def test_complex_numbers_are_converted_where_units_share_their_zero(package):
    assert warmed([1 + 2j], "kK").values.tolist() == [1000 + 2000j]
    with pytest.raises(SetupError, match="complex numbers are converted only between"):
        heat([1 + 2j], "degC")


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([True], "cannot convert values of type bool"),
        (np.array([True], object), "cannot convert True"),
        (np.array([object], object), "cannot convert <class 'object'>"),
        (np.array([10**30], object), "cannot convert 10{30}"),
        (np.float32([1, 1e36]), "type float32 does not hold 1e[+]36 after"),
        (np.float32([1e-38]), "type float32 does not hold 1e-38 after"),
        (np.array([1e303]), "type float64 does not hold 1e[+]303 after"),
    ],
)
def test_values_that_cannot_be_converted_are_an_error(package, values, found):
    units = "nK" if "e-38" in found else "MK"
    with pytest.raises(SetupError, match=f"in '{units}', its variable in 'K': {found}"):
        heat(values, units)

"""Coordinates of inputs: in the setup, in memory and in the store."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import simherd as sh
from simherd.errors import SetupError
from simherd.setup.clocks import clock_names
from simherd.setup.dataset import filter_vars, update_clocks, update_vars


@sh.process
class Doubles:
    a = sh.variable(dims=[(), "x", ("y", "x")])
    b = sh.variable(dims=[(), "x", ("y", "x")], default=0.0)
    out = sh.variable(dims=[(), "x", ("y", "x")], intent="out")

    def run_step(self):
        self.out = np.asarray(self.a) * 2


MODEL = sh.Model({"p": Doubles})
X = np.array([10.0, 20.0, 30.0])
PAIRS = pd.MultiIndex.from_tuples([(0, "u"), (0, "v"), (1, "u")], names=["site", "kind"])


def setup(clocks=(0.0, 1.0), **inputs):
    given = {f"p__{name}": value for name, value in inputs.items()}
    return sh.create_setup(MODEL, clocks={"t": list(clocks)}, input_vars=given, output_vars={"p__out": "t"})


def line(**coords):
    return xr.DataArray([1.0, 2.0, 3.0], dims="x", coords=coords)


LABELLED = {
    "dimensions": line(x=X),
    "scalars and labels beside": line(x=X, crs=4326, name=("x", ["a", "b", "c"])),
    "two dimensions": xr.DataArray(
        np.ones((2, 3)), dims=("y", "x"), coords={"x": X, "lon": (("y", "x"), np.eye(2, 3))}
    ),
    "dates": line(x=pd.date_range("2024-01-01", periods=3)),
    "multi-index": line(**xr.Coordinates.from_pandas_multiindex(PAIRS, "x")),
}


@pytest.mark.parametrize("kind", LABELLED)
@pytest.mark.parametrize("store", [None, "o.zarr"])
def test_setup_and_result_keep_all_coordinates(kind, store, tmp_path):
    value = LABELLED[kind]

    made = setup(a=value)
    result = made.simherd.run(MODEL, store=store and tmp_path / store)

    for dataset in (made, result):
        assert {*dataset.coords} == {"t", *value.coords}
        for name, coord in value.coords.items():
            xr.testing.assert_equal(
                dataset[name].drop_vars(dataset[name].coords), coord.drop_vars(coord.coords)
            )
    assert {*result.indexes} == {"t", *value.indexes}


@pytest.mark.parametrize("labels", [["low", "high"], [0.1, 0.2]])
def test_labels_of_the_batch_come_from_its_inputs(labels, tmp_path):
    members = xr.DataArray([1.0, 2.0], dims="member", coords={"member": labels})

    setup(a=members).simherd.run(MODEL, batch_dim="member", store=tmp_path / "o.zarr")

    assert xr.open_zarr(tmp_path / "o.zarr").member.values.tolist() == labels


def test_a_batch_made_longer_keeps_its_coordinates(tmp_path):
    coords = {"member": ["a", "bb", "ccc"], "site": ("member", [1, 2, 3]), "crs": 7, "x": [5, 6]}
    members = xr.DataArray(np.ones((3, 2)), dims=("member", "x"), coords=coords)

    for part in (members[:2], members):
        setup(a=part).simherd.run(MODEL, batch_dim="member", store=tmp_path / "o.zarr", resume=True)

    result = xr.open_zarr(tmp_path / "o.zarr")
    assert {*result.coords} == {"t", *coords}
    assert result.member.values.tolist() == coords["member"]
    assert result.site.values.tolist() == [1, 2, 3]
    assert np.all(result.p__out == 2.0)


@pytest.mark.parametrize("batch_dim", [None, "member"])
@pytest.mark.parametrize("store", [None, "o.zarr"])
def test_coordinates_of_other_dimensions_are_kept(batch_dim, store, tmp_path):
    value = 1.0 if batch_dim is None else ("member", [1.0, 2.0])
    levels = xr.Coordinates.from_pandas_multiindex(PAIRS, "place")
    made = setup(a=value).assign_coords(lon=("station", [5, 6])).assign_coords(levels)

    result = made.simherd.run(MODEL, batch_dim=batch_dim, store=store and tmp_path / store)

    assert {"lon", "place", "site", "kind"} <= {*result.coords}
    assert result.indexes["place"].equals(PAIRS)


@pytest.mark.parametrize(
    ("other", "label"),
    [(line(x=X + 1), "x"), (line(x=X, crs=1), "crs"), (line(x=X).isel(x=0), "x"), (line(p__a=3.0), "p__a")],
)
@pytest.mark.parametrize("is_later", [False, True])
def test_conflicting_coordinates_are_an_error_that_names_both_inputs(other, label, is_later):
    first = {"a": line(x=X, crs=0)}

    with pytest.raises(SetupError, match=f"Input p__b has another coordinate '{label}' than input p__a"):
        update_vars(setup(**first), MODEL, {"p__b": other}) if is_later else setup(**first, b=other)


@pytest.mark.parametrize(
    ("coords", "message"),
    [
        ({"p__out": ("x", ["u", "v", "w"])}, "'p__out' of input p__a would be replaced by output 'p__out'"),
        ({"p__out": 1.0}, "'p__out' of input p__a would be replaced by output 'p__out'"),
        ({"p__a__input": 1.0}, "'p__a__input' of input p__a would be replaced by the name that input 'p__a'"),
    ],
)
def test_a_coordinate_that_the_result_would_replace_is_an_error(coords, message):
    with pytest.raises(SetupError, match=message):
        setup(a=line(**coords)).simherd.run(MODEL)


def test_labels_that_differ_from_the_clock_are_an_error():
    rain = xr.DataArray([1.0, 2.0], dims="t", coords={"t": [1.0, 2.0]})

    with pytest.raises(SetupError, match="Input p__a has another coordinate 't' than the clock"):
        setup(a=rain)
    with pytest.raises(SetupError, match="Input p__a has another coordinate 't' than the clock"):
        update_clocks(sh.create_setup(MODEL, input_vars={"p__a": rain}), clocks={"t": [0.0, 1.0]})


def test_labels_that_differ_by_rounding_are_the_same():
    rain = xr.DataArray([1.0, 2.0, 3.0], dims="t", coords={"t": [0.1, 0.2, 0.1 + 0.2]})

    assert setup((0.1, 0.2, 0.3), a=rain).t.values.tolist() == [0.1, 0.2, 0.3]


def test_the_time_at_which_an_input_was_taken_is_left_out_with_a_warning():
    taken = line(x=X).assign_coords(t=7.0)

    with pytest.warns(UserWarning, match="Input p__a leaves out its coordinate 't'"):
        made = setup(a=taken)

    assert made.t.values.tolist() == [0.0, 1.0]


def test_an_input_takes_its_own_coordinates_along_when_it_is_replaced():
    made = setup(a=line(x=X, crs=0), b=line(x=X)).assign_coords(lon=("station", [5, 6]))

    made = update_vars(made, MODEL, {"p__a": 1.0})
    assert {*made.coords} == {"t", "x", "lon"}

    made = update_vars(made, MODEL, {"p__b": xr.DataArray([1.0], dims="x", coords={"x": [1]})})
    assert made.x.values.tolist() == [1]


def test_filtered_setups_keep_coordinates_of_inputs():
    made = setup(a=line(x=X)).assign_coords(lon=("station", [5, 6]))

    assert {*filter_vars(made, MODEL).coords} == {"t", "x"}


def test_a_setup_with_coordinates_survives_a_file(tmp_path):
    setup(a=line(x=X, crs=0)).to_netcdf(tmp_path / "setup.nc")

    result = xr.open_dataset(tmp_path / "setup.nc").simherd.run(MODEL)

    assert {*result.coords} == {"t", "x", "crs"}


@pytest.mark.parametrize("is_direct", [False, True])
def test_inputs_computed_from_a_clock_are_no_clocks(is_direct):
    made = setup(a=0.0)
    flux = (10 - made.t).assign_coords(year=made.t + 2000)
    assert flux.attrs, "this xarray does not keep attributes in arithmetic"

    made = made.assign(p__a=flux) if is_direct else update_vars(made, MODEL, {"p__a": flux})
    result = made.simherd.run(MODEL)

    assert result.p__a.attrs == result.year.attrs == {}
    assert clock_names(made) == ["t"]


def test_a_batch_along_values_of_a_clock_runs():
    made = setup(a=0.0)
    flux = 10 - made.t
    made = update_vars(made, MODEL, {"p__a": flux.rename(t="p__a").assign_coords(p__a=flux.values)})

    assert made.simherd.run(MODEL, batch_dim="p__a").p__out.values[:, -1].tolist() == [20.0, 18.0]

"""Inputs that are neither numbers nor texts, through stores and files and back."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr

import simherd as sh
import simherd.compat.xsimlab as xs


def objects(*values):
    array = np.empty(len(values), object)
    array[:] = values
    return array


@sh.process
class Keeper:
    v = sh.variable(dims=[(), "x"])
    seen = sh.variable(intent="out")

    def initialize(self):
        self.seen = repr(self.v.tolist() if isinstance(self.v, np.ndarray) else self.v)


model = sh.Model({"p": Keeper})


def setup_of(value):
    return sh.create_setup(model, input_vars={"p__v": value}, output_vars={"p__seen": None})


@pytest.mark.parametrize("value", [None, {"a": [1, None]}, {"nan": float("nan")}])
def test_a_result_in_a_store_holds_the_objects_that_were_given(value, tmp_path):
    result = setup_of(value).simherd.run(model, store=tmp_path / "out.zarr")

    assert repr(result.p__v.item()) == repr(value)
    assert "__simherd_json__" not in result.p__v.attrs
    assert result.p__seen.item() == repr(value)


def test_a_stranger_reads_objects_as_text(tmp_path):
    setup_of({"a": None}).simherd.run(model, store=tmp_path / "out.zarr")

    assert xr.open_zarr(tmp_path / "out.zarr").p__v.item() == '{"a": null}'


def test_an_array_of_objects_is_kept_and_runs_again(tmp_path):
    value = ("x", objects(None, {"a": 1}, [2], "text"))
    result = setup_of(value).simherd.run(model, store=tmp_path / "out.zarr")

    again = xr.open_zarr(tmp_path / "out.zarr").simherd.run(model)

    assert result.p__v.values.tolist() == [None, {"a": 1}, [2], "text"]
    assert again.p__seen.item() == result.p__seen.item() == "[None, {'a': 1}, [2], 'text']"


def test_objects_differ_between_the_simulations_of_a_stored_batch(tmp_path):
    setup = setup_of(("member", objects(None, {"a": 1})))

    setup.simherd.run(model, batch_dim="member", store=tmp_path / "out.zarr")
    again = xr.open_zarr(tmp_path / "out.zarr").simherd.run(model, batch_dim="member")

    assert again.p__seen.values.tolist() == ["None", "{'a': 1}"]


@pytest.mark.parametrize("value", [{1, 2}, ("x", objects({1}, None))])
def test_what_a_store_cannot_hold_is_named_in_a_warning(value, tmp_path):
    with pytest.warns(UserWarning, match=r"Input p__v will be missing.*set.*Fix: give texts"):
        result = setup_of(value).simherd.run(model, store=tmp_path / "out.zarr")

    assert "p__v" not in result


@pytest.mark.parametrize("value", [{"a": (1, 2)}, {1: 2}])
def test_what_changes_in_a_store_is_named_in_a_warning(value, tmp_path):
    with pytest.warns(UserWarning, match=r"Input p__v will be read from the store as .*; given is"):
        setup_of(value).simherd.run(model, store=tmp_path / "out.zarr")


@pytest.mark.parametrize("suffix", [".zarr", ".nc"])
def test_none_stays_none_in_a_setup_that_was_saved(suffix, tmp_path):
    path, setup = tmp_path / f"setup{suffix}", setup_of(None)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        setup.to_zarr(path) if suffix == ".zarr" else setup.to_netcdf(path)
    with xr.open_dataset(path) as saved:
        result = saved.simherd.run(model)

    assert result.p__seen.item() == "None"
    assert result.p__v.item() is None


def test_a_value_set_in_place_of_a_none_counts(tmp_path):
    setup = setup_of(None)
    setup["p__v"] = setup.p__v.copy(data=np.array(2.0))

    assert setup.simherd.run(model).p__seen.item() == "2.0"


def test_texts_have_the_same_type_in_memory_and_in_a_store(tmp_path):
    given = ("x", ["a", "bcd"])
    setup = sh.create_setup(model, input_vars={"p__v": given}, output_vars={"p__seen": None})

    kept, stored = setup.simherd.run(model), setup.simherd.run(model, store=tmp_path / "out.zarr")

    assert stored.p__v.dtype == kept.p__v.dtype == "<U3"
    assert stored.p__seen.dtype == kept.p__seen.dtype == object


def test_a_process_gets_usual_texts_when_a_store_is_run_again(tmp_path):
    types = []

    @sh.process
    class Typed:
        v = sh.variable(dims="x")

        def initialize(self):
            types.append(self.v.dtype)

    typed = sh.Model({"p": Typed})
    for shape, batch in ((("x",), None), (("member", "x"), "member")):
        values = np.full((2,) * len(shape), "abc")
        path = tmp_path / f"{batch}.zarr"
        sh.create_setup(typed, input_vars={"p__v": (shape, values)}).simherd.run(
            typed, batch_dim=batch, store=path
        )
        xr.open_zarr(path).simherd.run(typed, batch_dim=batch)

    assert set(types) == {np.dtype("<U3")}


def test_results_for_xarray_simlab_carry_no_marks(tmp_path):
    @xs.process
    class Empty:
        v = xs.variable(default=None)

    empty = xs.Model({"p": Empty})
    setup = xs.create_setup(empty, clocks={"t": [0, 1]})

    for store in (None, str(tmp_path / "out.zarr")):
        result = setup.xsimlab.run(empty, store=store)

        assert result.p__v.item() is None
        assert result.p__v.attrs == {}

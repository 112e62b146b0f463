"""Runs that go on in a store: with a larger batch, with labels that the model sets, where one was cut off."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import simherd as sh


@sh.process
class Doubles:
    x = sh.variable()
    when = sh.variable(default=np.datetime64("2000-01-01", "ns"))
    pause = sh.variable(default=np.timedelta64(1, "D"))
    y = sh.variable(intent="out")

    def initialize(self):
        self.y = 2.0 * self.x


model = sh.Model({"p": Doubles})


def setup(size, **inputs):
    return sh.create_setup(
        model,
        {"t": [0, 1]},
        input_vars={"p__x": ("b", np.arange(float(size))), **inputs},
        output_vars={"p__y": None},
    )


def run(made, store, **options):
    return made.simherd.run(model, batch_dim="b", store=store, resume=True, **options).load()


def labelled(size, labels):
    made = setup(size)
    if isinstance(labels, pd.MultiIndex):
        return made.assign_coords(xr.Coordinates.from_pandas_multiindex(labels[:size], "b"))
    return made.assign_coords(b=("b", labels[:size]))


@pytest.mark.parametrize(
    "labels",
    [
        np.array([10, 11, 12, 13]),
        np.array([0.5, 1.5, 2.5, 3.5]),
        np.array(["a", "bb", "ccc", "dddd"]),
        np.array(["2020-01-01", "2020-01-02", "2020-01-03T05", "1960-01-01T00:00:00.000000001"], "M8[ns]"),
        pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["site", "year"]),
    ],
    ids=["integers", "floats", "texts", "dates", "levels"],
)
def test_a_longer_batch_has_all_its_labels(tmp_path, labels):
    run(labelled(2, labels), tmp_path / "out.zarr")

    longer = run(labelled(4, labels), tmp_path / "out.zarr")

    whole = run(labelled(4, labels), tmp_path / "whole.zarr")
    assert longer.simulation_status.values.tolist() == [1] * 4
    xr.testing.assert_identical(*(ds.drop_vars("simulation_seconds") for ds in (longer, whole)))
    np.testing.assert_array_equal(longer.b.values, np.asarray(labels))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("when", np.array(["2020-01-01", "2020-01-02", "1990-05-05T07:00:00.5"], "M8[ns]")),
        ("when", np.array(["2020-01-01", "NaT", "2020-01-01T00:00:00.000000001"], "M8[ns]")),
        ("when", np.array(["2020-01-01", "2020-01-02", "NaT"], "M8[ns]")),
        ("pause", np.array([1, 2, "NaT"], "m8[ns]")),
        ("when", np.array(["2020-01-01", "2020-01-02", "1990-05-05T07"], "M8[s]")),
        ("pause", np.array([86400_000_000_000, 0, 1], "m8[ns]")),
        ("pause", np.array([86400, 0, 1], "m8[s]")),
    ],
)
def test_a_longer_batch_has_all_its_dates_and_durations(tmp_path, name, values):
    run(setup(2, **{f"p__{name}": ("b", values[:2])}), tmp_path / "out.zarr")

    made = setup(3, **{f"p__{name}": ("b", values)})
    longer = run(made, tmp_path / "out.zarr")

    np.testing.assert_array_equal(longer[f"p__{name}"].values, values)
    assert longer[f"p__{name}"].dtype == ("M8[ns]" if name == "when" else values.dtype)


LABELS = {
    "dates": np.array(["2020-01-01", "2020-01-02"], "M8[ns]"),
    "durations": np.array([1, 2], "m8[h]"),
    "texts": np.array(["a", "bb"]),
    "objects": np.array(["a", "bb"], object),
    "integers": np.array([1, 2]),
}


@sh.process
class Labels:
    kind = sh.variable()
    x = sh.index(dims="x")
    y = sh.variable(dims="x", intent="out")

    def initialize(self):
        self.x = LABELS[self.kind]
        self.y = np.zeros(2)


@pytest.mark.parametrize("kind", LABELS)
def test_a_run_goes_on_with_the_labels_that_its_model_sets(tmp_path, kind):
    labels = sh.Model({"p": Labels})
    setups = [
        sh.create_setup(
            labels,
            {"t": [0, 1]},
            input_vars={"p__kind": ("b", [kind] * size)},
            output_vars={"p__y": None},
        )
        for size in (2, 3)
    ]

    for made in setups:
        out = made.simherd.run(labels, batch_dim="b", store=tmp_path / "out.zarr", resume=True)

    assert out.simulation_status.values.tolist() == [1, 1, 1]
    np.testing.assert_array_equal(out.x.values, LABELS[kind])

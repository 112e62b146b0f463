"""Runs that go on in a store: with a larger batch, with labels that the model sets, where one was cut off."""

from __future__ import annotations

import json
import os
import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import simherd as sh
from simherd.errors import StoreMismatchError
from simherd.store.batch_store import reopen_batch_store, set_pending
from simherd.store.leftovers import clean_up
from simherd.store.zarr_store import ZarrStore


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


def beside(size, x=(10, 20), crs="EPSG:1", lon=0.0):
    """Return a setup with coordinates across the batch and beside it."""
    place = {"x": list(x), "crs": crs, "lon": (("b", "x"), lon + np.arange(size * 2.0).reshape(size, 2))}
    return setup(size).assign_coords(place)


@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize("other", [{"x": (1, 2)}, {"crs": "EPSG:2"}, {"lon": 100.0}])
def test_other_coordinates_are_refused(tmp_path, size, other):
    run(beside(2), tmp_path / "out.zarr")

    with pytest.raises(StoreMismatchError, match=f"coordinate '{next(iter(other))}' has other values"):
        run(beside(size, **other), tmp_path / "out.zarr")

    with xr.open_zarr(tmp_path / "out.zarr") as ds:
        assert ds.lon.values.tolist() == [[0.0, 1.0], [2.0, 3.0]]


def test_longer_batch_has_all_its_coordinates(tmp_path):
    run(beside(2), tmp_path / "out.zarr")

    longer = run(beside(4), tmp_path / "out.zarr")

    whole = run(beside(4), tmp_path / "whole.zarr")
    xr.testing.assert_identical(*(ds.drop_vars("simulation_seconds") for ds in (longer, whole)))


def test_opened_store_goes_on_as_its_own_setup(tmp_path):
    made = run(beside(2), tmp_path / "out.zarr")

    for given in (made, xr.open_zarr(tmp_path / "out.zarr")):
        assert run(given, tmp_path / "out.zarr").crs == "EPSG:1"


@pytest.mark.parametrize("chunks", [None, 3])
def test_store_that_notes_no_coordinates_gets_new_rows_alone(tmp_path, chunks):
    def given(size, lon):
        made = beside(size, lon=lon)
        return made if chunks is None else made.assign(lon=made.lon.chunk({"b": chunks}))

    run(given(4, 0.0), tmp_path / "out.zarr")
    path = tmp_path / "out.zarr" / "fingerprint.json"
    noted = json.loads(path.read_text())
    del noted["coordinates"]
    path.write_text(json.dumps(noted))

    longer = run(given(9, 100.0), tmp_path / "out.zarr")

    assert longer.lon.values[:, 0].tolist() == [0.0, 2.0, 4.0, 6.0, 108.0, 110.0, 112.0, 114.0, 116.0]


def test_reader_finds_the_old_or_the_new_batch_at_every_moment(tmp_path, monkeypatch):
    run(setup(2), tmp_path / "out.zarr")
    seen, replace = [], os.replace

    def replaced(*paths, **folders):
        replace(*paths, **folders)
        with warnings.catch_warnings(), xr.open_zarr(tmp_path / "out.zarr") as ds:
            warnings.simplefilter("error")  # such as one about metadata that is not consolidated
            seen.append((len(ds.load().p__y), ds.p__x.values[:2].tolist(), ds.p__y.values[:2].tolist()))

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", replaced)
        run(setup(5), tmp_path / "out.zarr")

    sizes = [size for size, *_ in seen]
    assert sizes == sorted(sizes)
    assert set(sizes) == {2, 5}
    assert all((x, y) == ([0.0, 1.0], [0.0, 2.0]) for _, x, y in seen)


def test_what_is_cut_off_while_a_store_is_made_longer_is_done_again(tmp_path, monkeypatch):
    run(setup(2), tmp_path / "out.zarr")
    with monkeypatch.context() as patched:
        patched.setattr(ZarrStore, "consolidate", _cut_off)
        with pytest.raises(KeyboardInterrupt):
            run(setup(5), tmp_path / "out.zarr")

    longer = run(setup(5), tmp_path / "out.zarr")

    assert longer.p__y.values.tolist() == [0.0, 2.0, 4.0, 6.0, 8.0]
    assert longer.simulation_status.values.tolist() == [1] * 5


def test_a_store_that_was_to_become_longer_goes_on_as_it_was(tmp_path, monkeypatch):
    run(setup(2), tmp_path / "out.zarr")
    with monkeypatch.context() as patched:
        patched.setattr(ZarrStore, "consolidate", _cut_off)
        with pytest.raises(KeyboardInterrupt):
            run(setup(5), tmp_path / "out.zarr")

    assert run(setup(2), tmp_path / "out.zarr").p__y.values.tolist() == [0.0, 2.0]


def test_store_whose_inputs_alone_became_longer_goes_on_as_it_was(tmp_path, monkeypatch):
    run(setup(2), tmp_path / "out.zarr")
    with monkeypatch.context() as patched:
        patched.setattr(ZarrStore, "write_rows", _cut_off)
        with pytest.raises(KeyboardInterrupt):
            run(setup(5), tmp_path / "out.zarr")

    run(setup(2), tmp_path / "out.zarr")

    with xr.open_zarr(tmp_path / "out.zarr", consolidated=False) as ds:
        assert ds.p__y.values.tolist() == [0.0, 2.0]
        assert ds.p__x.values.tolist() == [0.0, 1.0]


def _cut_off(*_, ignore_errors=False):
    if not ignore_errors:
        raise KeyboardInterrupt


@sh.process
class MayFail:
    x = sh.variable()
    y = sh.variable(intent="out")
    several = sh.variable(dims="i", intent="out")
    text = sh.variable(intent="out")

    def initialize(self):
        if (flag := os.environ.get("SIMHERD_TEST_FAILS")) and self.x in map(float, flag.split()):
            raise ValueError("told to fail")
        self.y, self.several, self.text = 2.0 * self.x, np.arange(1.0 + self.x), "x"


@pytest.mark.parametrize("encoding", [{}, {"p__several": {"layout": "concatenated"}}])
@pytest.mark.parametrize("failing", ["0 1", "2", "1 2"])
def test_one_that_fails_when_all_run_again_has_no_values_of_before(tmp_path, monkeypatch, encoding, failing):
    may_fail = sh.Model({"p": MayFail})
    made = sh.create_setup(
        may_fail,
        {"t": [0, 1]},
        input_vars={"p__x": ("b", np.arange(6.0))},
        output_vars={"p__y": None, "p__several": None, "p__text": "t"},
    )
    common = {"batch_dim": "b", "block_size": 2, "on_error": "record", "encoding": encoding}
    made.simherd.run(may_fail, store=tmp_path / "out.zarr", **common)
    monkeypatch.setenv("SIMHERD_TEST_FAILS", failing)

    again = made.simherd.run(may_fail, store=tmp_path / "out.zarr", rerun="all", resume=True, **common)

    fresh = made.simherd.run(may_fail, store=tmp_path / "fresh.zarr", **common)
    several = "p__several__size" if encoding else "p__several"
    for name in ("simulation_status", "p__y", "p__text", several):
        np.testing.assert_array_equal(again[name], fresh[name])


def test_simulations_that_are_to_run_again_have_taken_no_time(tmp_path):
    run(setup(3), tmp_path / "out.zarr")
    store = reopen_batch_store(tmp_path / "out.zarr", setup(3), {"p__y": False})

    set_pending(store, np.array([0, 2]))

    assert np.isnan(store.arrays[-1][:]).tolist() == [True, False, True]


@pytest.mark.parametrize("name", ["Nout", "a[b]"])
def test_what_is_cleaned_up_is_of_that_store_only(tmp_path, name):
    own = tmp_path / f".{name}.77.partial"
    others = [tmp_path / f".{name}.zarr.77.partial", tmp_path / ".ab.77.partial"]
    for folder in (own, *others):
        folder.mkdir()

    clean_up(tmp_path / name)

    assert not own.exists()
    assert all(folder.exists() for folder in others)


def test_a_single_simulation_that_is_removed_is_whole_or_not_there(tmp_path, monkeypatch):
    made = sh.create_setup(model, {"t": [0, 1]}, input_vars={"p__x": 1.0}, output_vars={"p__y": None})
    again = {"store": tmp_path / "out.zarr", "resume": True, "rerun": "all"}
    made.simherd.run(model, store=tmp_path / "out.zarr")
    with monkeypatch.context() as patched:
        patched.setattr("simherd.store.single_store.shutil.rmtree", _cut_off)
        with pytest.raises(KeyboardInterrupt):
            made.simherd.run(model, **again)
    assert not (tmp_path / "out.zarr").exists()

    assert made.simherd.run(model, **again).p__y == 2.0
    assert [path.name for path in tmp_path.glob(".*")] == []

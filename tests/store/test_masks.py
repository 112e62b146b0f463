"""Integers of failed simulations, and masked ones, are missing where no other value changes by that."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import simherd as sh
from simherd.engine.values import fill_value_for
from simherd.store.layout import ArrayLayout
from simherd.store.masks import IntegerRange, Noted, mask_of

DONE = np.array([True, True, False])


def layout(dtype, fill_value=None):
    return ArrayLayout(
        name="p__n", dims=("m",), shape=(3,), chunks=(2,), dtype=np.dtype(dtype),
        fill_value=fill_value_for(np.dtype(dtype)) if fill_value is None else fill_value, attrs={},
    )  # fmt: skip


class Unread:
    """An array of which only some rows may be read: the others are noted."""

    def __init__(self, values, noted):
        self.values, self.noted = values, noted
        self.shape, self.chunks, self.dtype = values.shape, (1,), values.dtype

    def __getitem__(self, rows):
        assert rows.start >= self.noted
        return self.values[rows]


def masked(dtype, values, is_done, noted):
    """Return the mask of an output of which the first simulations are noted, one block each."""
    values = np.array(values, dtype)
    known = Noted(np.zeros(len(values), bool))
    for number in range(noted):
        known.add(range(number, number + 1), IntegerRange.of(values[number : number + 1][is_done[[number]]]))
    return mask_of(layout(dtype), Unread(values, noted), is_done, known)


@pytest.mark.parametrize("noted", [0, 1, 3])
@pytest.mark.parametrize(
    ("dtype", "values", "is_masked"),
    [
        ("u1", [0, 254], True),
        ("u1", [0, 255], False),
        ("i2", [-(2**15), 2**15 - 2], True),
        ("i4", [2**31 - 1, 0], False),
        ("i8", [-(2**53), 2**53], True),
        ("i8", [2**53 + 1, 0], False),
        ("i8", [-(2**63), 0], False),
        ("u8", [2**60, 0], False),
        ("f8", [1.0, 2.0], False),
        ("?", [True, False], False),
    ],
)
def test_integers_are_masked_where_that_changes_no_value(dtype, values, is_masked, noted):
    fill = fill_value_for(np.dtype(dtype))

    found = masked(dtype, [*values, fill], DONE, noted if np.dtype(dtype).kind in "iu" else 0)

    assert found == (int(fill) if is_masked else None)


@pytest.mark.parametrize("noted", [0, 2, 3])
@pytest.mark.parametrize(
    ("dtype", "values", "is_masked"),
    [
        ("i8", [-(2**53), None, 7], True),
        ("i8", [None, None, None], True),
        ("u8", [1, None, 7], True),
        ("i8", [2**53 + 1, None, 7], False),
        ("i8", [2**63 - 1, None, 7], False),
        ("i8", [1, 2, 7], False),
        ("i4", [1, None, 7], False),
        ("u1", [255, 1, 7], False),
    ],
)
def test_masked_integers_of_64_bits_are_missing_where_all_simulations_are_done(
    dtype, values, is_masked, noted
):
    fill = int(fill_value_for(np.dtype(dtype)))
    values = [fill if one is None else one for one in values]

    assert masked(dtype, values, np.ones(3, bool), noted) == (fill if is_masked else None)


@pytest.mark.parametrize(("dtype", "is_masked"), [("i8", True), ("i4", False)])
def test_what_is_missing_where_noted_values_are_short_counts(dtype, is_masked):
    noted, array = Noted(np.zeros(3, bool)), np.full((3, 2), fill_value_for(np.dtype(dtype)))
    noted.add(range(2), IntegerRange.of(np.ones((2, 2), dtype)))
    noted.add(range(2, 3), IntegerRange.of(np.ones((1, 1), dtype)))

    found = mask_of(layout(dtype), array, np.array([True, True, is_masked]), noted)

    assert found == (array[0, 0] if is_masked else None)


def test_a_fill_value_of_the_user_is_not_masked():
    assert mask_of(layout("i8", -1), np.array([1, 2, -1]), DONE) is None


@sh.process
class Counted:
    number = sh.variable()
    limit = sh.global_ref("limit")
    count = sh.variable(intent="out")
    label = sh.variable(intent="out", description="id of 60 bits")
    name = sh.variable(intent="out")

    def initialize(self):
        if self.number == self.limit:
            raise ValueError("too many")
        self.count, self.label, self.name = self.number, 2**60 + self.number, f"n{self.number}"


@sh.process
class Limits:
    limit = sh.variable(default=2, global_name="limit")
    map = sh.variable(dims=("y", "x"), default=np.zeros((2, 2)))


counted = sh.Model({"p": Counted, "limits": Limits})


def run(limit, store=None, **options):
    setup = sh.create_setup(
        counted,
        input_vars={"p__number": ("m", np.arange(5)), "limits__limit": limit, "limits__map": np.ones((2, 2))},
        output_vars={"p__count": None, "p__label": None, "p__name": None},
    )
    return setup.simherd.run(counted, "m", store=store, on_error="record", block_size=2, **options)


@pytest.fixture(params=["memory", "store"])
def store(request, tmp_path):
    return None if request.param == "memory" else tmp_path / "out.zarr"


def test_the_mean_of_integers_leaves_out_failed_simulations(store):
    result = run(2, store) if store is None else (run(2, store), xr.open_zarr(store))[1]

    np.testing.assert_array_equal(result.p__count, [0, 1, np.nan, 3, 4])
    assert result.p__count.mean() == 2
    assert result.p__label.values[[0, 1, 3, 4]].tolist() == [2**60 + n for n in (0, 1, 3, 4)]


def test_integers_are_integers_where_all_simulations_are_done(store):
    assert run(9, store).p__count.dtype == int


@sh.process
class Gauge:
    number = sh.variable()
    limit = sh.global_ref("limit")
    levels = sh.variable(dims="z", intent="out")
    small = sh.variable(dims="z", intent="out")

    def initialize(self):
        if self.number == self.limit:
            raise ValueError("too many")
        levels = np.array([self.number, -9999, 127])
        self.levels = np.ma.masked_less(levels, 0) if self.number % 2 else np.maximum(levels, 0)
        self.small = np.ma.masked_less(levels.astype("i2"), 0).astype("i1")


gauges = sh.Model({"p": Gauge, "limits": Limits})


@pytest.mark.parametrize("limit", [2, 9], ids=["failed", "done"])
def test_what_a_mask_of_integers_hides_is_missing(store, limit):
    setup = sh.create_setup(
        gauges,
        input_vars={"p__number": ("m", np.arange(3)), "limits__limit": limit},
        output_vars={"p__levels": None, "p__small": None},
    )

    result = setup.simherd.run(gauges, "m", store=store, on_error="record", block_size=2)
    result = result if store is None else xr.open_zarr(store)

    last = [2, 0, 127] if limit == 9 else [np.nan] * 3
    np.testing.assert_array_equal(result.p__levels, [[0, 0, 127], [1, np.nan, 127], last])
    assert result.p__small.dtype == np.int8
    assert result.p__small.values[:2].tolist() == [[0, 127, 127], [1, 127, 127]]


def test_what_is_masked_can_be_written_again(tmp_path):
    run(2, tmp_path / "out.zarr")

    xr.open_zarr(tmp_path / "out.zarr").to_zarr(tmp_path / "copy.zarr")

    np.testing.assert_array_equal(xr.open_zarr(tmp_path / "copy.zarr").p__count, [0, 1, np.nan, 3, 4])


def test_integers_are_masked_until_failed_simulations_have_run(tmp_path, monkeypatch):
    path, failing = tmp_path / "out.zarr", tmp_path / "failing"
    failing.touch()

    @sh.process
    class Recovering:
        number = sh.variable()
        count = sh.variable(intent="out")

        def initialize(self):
            if self.number == 1 and failing.exists():
                raise OSError("no space left")
            self.count = self.number

    model = sh.Model({"p": Recovering})
    setup = sh.create_setup(model, input_vars={"p__number": ("m", [0, 1, 2])}, output_vars={"p__count": None})

    setup.simherd.run(model, "m", store=path, on_error="record")
    before = xr.open_zarr(path).p__count.values
    failing.unlink()
    after = setup.simherd.run(model, "m", store=path, rerun="failed").p__count.values

    np.testing.assert_array_equal(before, [0, np.nan, 2])
    assert (after.tolist(), after.dtype) == ([0, 1, 2], int)


def test_simulations_that_are_done_are_chosen_along_the_batch(tmp_path):
    run(2, tmp_path / "out.zarr")
    ds = xr.open_zarr(tmp_path / "out.zarr")

    done = ds.isel(m=ds.simulation_status.values == 1)

    assert done.p__name.values.tolist() == ["n0", "n1", "n3", "n4"]
    assert done.p__count.values.tolist() == [0, 1, 3, 4]
    assert done.limits__map.dims == ("y", "x")


@pytest.mark.parametrize("where", [{}, {"parallel": True, "scheduler": "threads", "workers": 2}])
def test_integers_that_a_run_has_written_are_not_read_again(tmp_path, monkeypatch, where):
    read = []
    monkeypatch.setattr("simherd.store.masks._rows", lambda values, rows: read.append(values) or values[rows])

    ds = run(2, tmp_path / "out.zarr", **where)
    blocks = len(read)
    ds = run(2, tmp_path / "out.zarr", rerun="failed", **where)

    np.testing.assert_array_equal(ds.p__count, [0, 1, np.nan, 3, 4])
    assert blocks == 2 * 3  # outputs and blocks, as they were written
    assert len(read) > blocks  # of the earlier run

"""Inputs along the batch that are larger than memory: read where their block runs, never as a whole."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import warnings

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import simherd as sh
from simherd.ensemble.lazy import LazyInput
from simherd.setup import lazy
from simherd.store import inputs as store_inputs


@sh.process
class Mean:
    field = sh.variable(dims="x")
    mean = sh.variable(intent="out")

    def initialize(self):
        self.mean = float(np.mean(self.field))


@sh.process
class Driven:
    force = sh.variable(dims=[(), "x"])
    total = sh.variable(intent="out")

    def initialize(self):
        self.total = 0.0

    def run_step(self):
        self.total = self.total + float(np.sum(self.force))


@sh.process
class Added:
    field = sh.variable(dims=[(), "x"])
    more = sh.variable(dims=[(), "x"], intent="out")

    def initialize(self):
        self.more = self.field + 1


@sh.process
class Labelled:
    field = sh.variable(dims="x", keep_labels=True)
    at_two = sh.variable(intent="out")

    def initialize(self):
        self.at_two = float(self.field.sel(x=2.0)) + float(self.field.b)


@pytest.fixture
def small(monkeypatch):
    """Let every array that is not in memory count as large."""
    monkeypatch.setattr(lazy, "LOADED_BYTES", 0)


def no_client_reads(values):
    """Return an array of Dask that fails where it is computed by any scheduler but one thread."""
    return values.map_blocks(_only_in_a_task, dtype=values.dtype)


def _only_in_a_task(values):
    frame, names = sys._getframe(), set()
    while frame is not None:
        names.add(frame.f_code.co_name)
        frame = frame.f_back
    assert {"run_task", "find_schema"} & names, "computed outside of a task"
    return values


@given(
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=6),
    others=st.sampled_from([(), ((2, 1),), ((2,), (1, 3))]),
    data=st.data(),
)
def test_rows_are_those_of_the_array(sizes, others, data):
    shape = (sum(sizes), *map(sum, others))
    values = np.arange(np.prod(shape)).reshape(shape)
    taken = LazyInput(da.from_array(values, chunks=(tuple(sizes), *others)))
    start = data.draw(st.integers(0, shape[0] - 1))
    stop = data.draw(st.integers(start + 1, shape[0]))
    numbers = np.array(data.draw(st.lists(st.integers(0, shape[0] - 1), min_size=1, unique=True)))

    np.testing.assert_array_equal(taken[start:stop].load(), values[start:stop])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(taken[numbers])).load(), values[numbers])


def test_rows_travel_as_what_they_are_made_of():
    values = da.random.default_rng(0).random((100_000, 1000), chunks=(100, 1000)) + 1
    rows = LazyInput(values)[5000:5050]

    assert len(pickle.dumps(rows)) < 10_000
    assert len(rows.graph) <= 4


def test_values_that_the_client_holds_travel_as_values(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((3000, 1000)))
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")

    taken = LazyInput(da.from_array(mapped, chunks=(100, 1000)))[10:12]

    np.testing.assert_array_equal(taken, np.ones((2, 1000)))


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", ["sync", "threads", "processes"])
def test_large_inputs_are_computed_in_tasks_only(small, scheduler):
    values = np.random.default_rng(1).random((20, 6))
    field = no_client_reads(da.from_array(values, chunks=(3, 4)))
    setup = sh.create_setup(
        sh.Model({"m": Mean}), input_vars={"m__field": (("b", "x"), field)}, output_vars={"m__mean": None}
    )

    out = setup.simherd.run(
        model=sh.Model({"m": Mean}), batch_dim="b", parallel=True, scheduler=scheduler, workers=2
    )

    np.testing.assert_array_equal(out.m__mean, [row.mean() for row in values])
    assert out.m__field.chunks is not None


@pytest.mark.parametrize("shape", [(5, 3), (5, 3, 4)])
def test_large_inputs_that_vary_with_the_clock(small, shape):
    values = np.random.default_rng(2).random(shape)
    model = sh.Model({"d": Driven})
    inputs = {"d__force": (("b", "t", "x")[: len(shape)], da.from_array(values, chunks=2))}
    setup = sh.create_setup(model, clocks={"t": [0, 1, 2]}, input_vars=inputs, output_vars={"d__total": None})

    out = setup.simherd.run(model=model, batch_dim="b", block_size=2)

    np.testing.assert_allclose(out.d__total, values[:, :2].reshape(5, -1).sum(axis=1))


@pytest.mark.parametrize("shape", [(12,), (12, 3)])
def test_large_inputs_of_blocks_that_are_advanced_as_arrays(small, shape):
    values = np.random.default_rng(5).random(shape)
    model = sh.Model({"a": Added})
    setup = sh.create_setup(
        model,
        input_vars={"a__field": (("b", "x")[: len(shape)], da.from_array(values, chunks=5))},
        output_vars={"a__more": None},
    )

    out = setup.simherd.run(model=model, batch_dim="b", block_size=4, vectorize=True)

    np.testing.assert_array_equal(out.a__more, values + 1)


@pytest.mark.cluster
def test_large_inputs_are_read_by_the_workers_of_a_cluster(small, two_workers, tmp_path):
    values = np.random.default_rng(6).random((20, 6))
    field = no_client_reads(da.from_array(values, chunks=(3, 4)))
    model = sh.Model({"m": Mean})
    setup = sh.create_setup(
        model, input_vars={"m__field": (("b", "x"), field)}, output_vars={"m__mean": None}
    )

    out = setup.simherd.run(model=model, batch_dim="b", parallel=True, scheduler=two_workers)

    np.testing.assert_array_equal(out.m__mean, [row.mean() for row in values])


@pytest.mark.slow
def test_large_inputs_keep_their_labels(small):
    values = np.arange(12.0).reshape(4, 3)
    given = xr.DataArray(
        da.from_array(values, chunks=2), dims=("b", "x"), coords={"x": [1.0, 2.0, 3.0], "b": [10, 20, 30, 40]}
    )
    model = sh.Model({"l": Labelled})
    setup = sh.create_setup(model, input_vars={"l__field": given}, output_vars={"l__at_two": None})

    out = setup.simherd.run(model=model, batch_dim="b", block_size=3, parallel=True, scheduler="processes")

    np.testing.assert_array_equal(out.l__at_two, values[:, 1] + [10, 20, 30, 40])


@pytest.mark.slow
@pytest.mark.parametrize(("suffix", "chunks"), [("nc", None), ("nc", {"b": 7}), ("zarr", None), ("zarr", {})])
def test_opened_files_stay_files(small, tmp_path, suffix, chunks):
    values = np.random.default_rng(3).random((30, 5))
    stored = xr.Dataset({"f": (("b", "x"), values)})
    if suffix == "nc":
        stored.to_netcdf(tmp_path / "f.nc")
        opened = xr.open_dataset(tmp_path / "f.nc", chunks=chunks)
    else:
        stored.chunk({"b": 10}).to_zarr(tmp_path / "f.zarr", consolidated=False)
        opened = xr.open_zarr(tmp_path / "f.zarr", chunks=chunks, consolidated=False)
    model = sh.Model({"m": Mean})
    setup = sh.create_setup(model, input_vars={"m__field": opened.f}, output_vars={"m__mean": None})
    options = {"batch_dim": "b", "block_size": 4, "parallel": True, "scheduler": "processes", "workers": 1}

    out = setup.simherd.run(model=model, store=tmp_path / "out.zarr", **options)

    np.testing.assert_array_equal(out.m__mean, [row.mean() for row in values])
    np.testing.assert_array_equal(out.m__field, values)


def test_a_store_is_resumed_and_made_longer_with_large_inputs(small, tmp_path):
    values = np.random.default_rng(4).random((23, 5))
    model = sh.Model({"m": Mean})

    def run(size, **options):
        field = da.from_array(values, chunks=(4, 5), name="f")[:size]
        setup = sh.create_setup(
            model, input_vars={"m__field": (("b", "x"), field)}, output_vars={"m__mean": None}
        )
        return setup.simherd.run(
            model=model, batch_dim="b", block_size=3, store=tmp_path / "out.zarr", **options
        )

    run(10)
    out = run(23, resume=True)

    np.testing.assert_array_equal(out.m__mean, [row.mean() for row in values])
    np.testing.assert_array_equal(out.m__field, values)


def test_a_part_that_cannot_be_read_costs_its_simulations(small, tmp_path):
    def broken(values, block_info=None):
        if block_info and block_info[0]["chunk-location"][0] == 2:
            raise OSError("the disk is torn")
        return values

    field = da.ones((10, 3), chunks=(2, 3)).map_blocks(broken, dtype=float)
    model = sh.Model({"m": Mean})
    setup = sh.create_setup(
        model, input_vars={"m__field": (("b", "x"), field)}, output_vars={"m__mean": None}
    )
    setup_only = setup.drop_vars("m__field").assign(m__field=(("b", "x"), field))

    out = setup_only.simherd.run(model=model, batch_dim="b", block_size=2, on_error="record")

    np.testing.assert_array_equal(out.simulation_status, [1, 1, 1, 1, 2, 2, 1, 1, 1, 1])
    with pytest.raises(OSError, match="the disk is torn"):
        setup_only.simherd.run(model=model, batch_dim="b", block_size=2)


def test_inputs_that_are_huge_are_named_in_the_store(small, tmp_path, monkeypatch):
    monkeypatch.setattr(store_inputs, "COPIED_BYTES", 100)
    xr.Dataset({"f": (("b", "x"), np.ones((10, 5)))}).to_netcdf(tmp_path / "f.nc")
    opened = xr.open_dataset(tmp_path / "f.nc", chunks={"b": 2})
    model = sh.Model({"m": Mean})
    setup = sh.create_setup(model, input_vars={"m__field": opened.f}, output_vars={"m__mean": None})

    out = setup.simherd.run(model=model, batch_dim="b", store=tmp_path / "out.zarr")

    assert "m__field" not in out
    said = json.loads(out.attrs["inputs_elsewhere"])["m__field"]
    assert said == {
        "dims": ["b", "x"],
        "shape": [10, 5],
        "dtype": "float64",
        "source": str(tmp_path / "f.nc"),
    }


def test_chunks_that_are_read_many_times_are_advised_on():
    taken = LazyInput(da.zeros((100_000, 1000), chunks=(10_000, 1000)))

    assert "blocks of 10 read all: 1000 times what they need" in taken.advice(10)
    assert taken.advice(10_000) is None
    assert LazyInput(da.zeros((1000, 10), chunks=(100, 10))).advice(1) is None


def test_the_advice_is_a_warning(small):
    field = da.zeros((80, 500_000), chunks=(40, 500_000))
    model = sh.Model({"m": Mean})
    setup = sh.create_setup(
        model, input_vars={"m__field": (("b", "x"), field)}, output_vars={"m__mean": None}
    )

    with pytest.warns(
        UserWarning, match=r"m__field has chunks of up to 40 .* Fix: write it again in chunks of 5"
    ):
        setup.simherd.run(model=model, batch_dim="b", block_size=5)


def test_what_is_small_is_computed_once():
    field = da.ones((10, 3), chunks=(2, 3))
    model = sh.Model({"m": Mean})
    setup = sh.create_setup(
        model, input_vars={"m__field": (("b", "x"), field)}, output_vars={"m__mean": None}
    )

    with warnings.catch_warnings(), dask.config.set(scheduler="sync"):
        warnings.simplefilter("error")
        out = setup.simherd.run(model=model, batch_dim="b")

    np.testing.assert_array_equal(out.m__mean, np.ones(10))


MEMORY = """
import sys, threading, time
import numpy as np, psutil, xarray as xr, dask.array as da
import simherd as sh

@sh.process
class Mean:
    field = sh.variable(dims="x")
    mean = sh.variable(intent="out")

    def initialize(self):
        self.mean = float(np.mean(self.field))

kind, folder = sys.argv[1:]
if kind == "random":
    field = xr.Variable(("b", "x"), da.random.default_rng(0).random((512, 2**17), chunks=(16, 2**17)))
else:
    field = xr.open_dataset(folder + "/f.nc").f
model = sh.Model({"m": Mean})
setup = sh.create_setup(model, input_vars={"m__field": field}, output_vars={"m__mean": None})
store = None if kind == "random" else folder + "/out.zarr"
process, peak = psutil.Process(), [0]

def watch():
    while True:
        peak[0] = max(peak[0], process.memory_info().rss)
        time.sleep(0.005)

before = process.memory_info().rss
threading.Thread(target=watch, daemon=True).start()
where = {"parallel": True, "scheduler": "processes", "workers": 2}
out = setup.simherd.run(model=model, batch_dim="b", store=store, **where)
assert abs(float(out.m__mean.mean()) - 0.5) < 0.01
assert out.m__field.shape == field.shape
print((peak[0] - before) / 2**20)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["random", "file"])
def test_the_clients_memory_is_flat(tmp_path, kind):
    """512 MiB of random numbers; 200 MiB in a file, which are copied into the store."""
    if kind == "file":
        xr.Dataset({"f": (("b", "x"), np.random.default_rng(0).random((200, 2**17)))}).to_netcdf(
            tmp_path / "f.nc"
        )
    (tmp_path / "script.py").write_text(MEMORY)

    done = subprocess.run(
        [sys.executable, tmp_path / "script.py", kind, tmp_path], check=True, capture_output=True, text=True
    )

    assert float(done.stdout) < 150

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

import simherd as sh
from simherd.errors import SetupError, StoreError, StoreExistsError, UnknownNameError
from simherd.store.journal import read_journal
from simherd.store.leftovers import clean_up
from simherd.store.places import as_folder, check_writable, store_size

GAINS = np.array([1.0, 2.0, 0.0, 3.0, 0.5, 0.0, 1.5])


def run(walk, store, gains=GAINS, **options):
    return walk.setup(gains).simherd.run(walk.model, batch_dim="member", store=store, **options)


def opened(path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return xr.open_zarr(path)


def test_a_store_opens_with_names_coordinates_units_and_descriptions(walk, tmp_path):
    run(walk, tmp_path / "out.zarr", block_size=2)

    ds = opened(tmp_path / "out.zarr")

    assert ds.walk__height.dims == ("member", "time")
    assert ds.walk__profile.dims == ("member", "coarse", "x")
    assert ds.walk__count.dims == ("member",)
    assert set(ds.coords) >= {"time", "coarse", "x"}
    assert ds.walk__height.attrs == {"units": "m", "description": "height reached"}
    assert ds.x.attrs == {"units": "m", "description": "middle of the cell"}
    assert ds.walk__gain.attrs["units"] == "m"


def test_a_store_opens_lazily(walk, tmp_path):
    result = run(walk, tmp_path / "out.zarr", block_size=2)

    for ds in (result, opened(tmp_path / "out.zarr")):
        assert ds.walk__profile.chunks == ((2, 2, 2, 1), (2,), (4,))


def test_status_and_seconds_are_along_the_batch(walk, tmp_path):
    ds = run(walk, tmp_path / "out.zarr")

    assert ds.simulation_status.dims == ds.simulation_seconds.dims == ("member",)
    assert ds.simulation_status.attrs["flag_meanings"] == "pending done failed"
    assert list(ds.simulation_status.attrs["flag_values"]) == [0, 1, 2]
    assert (ds.simulation_status == 1).all()
    assert (ds.simulation_seconds > 0).all()


def test_files_grow_with_blocks_and_not_with_simulations(walk, tmp_path):
    def files(simulations, block_size):
        path = tmp_path / f"{simulations}-{block_size}.zarr"
        run(walk, path, np.ones(simulations), block_size=block_size)
        return store_size(path)[1]

    few, many, more_blocks = files(8, 4), files(80, 40), files(80, 20)

    assert few == many
    assert more_blocks == many + 2 * 5  # three outputs, status and seconds, two blocks more


def test_zeros_stay_zeros(walk, tmp_path):
    run(walk, tmp_path / "out.zarr", np.zeros(3))

    ds = opened(tmp_path / "out.zarr")

    assert (ds.walk__height == 0).all()
    assert (ds.walk__gain == 0).all()
    assert ds.walk__count.dtype.kind == "i"


def test_memory_and_store_give_the_same_dataset(walk, tmp_path):
    stored = run(walk, tmp_path / "out.zarr").load()
    kept = run(walk, None)

    xr.testing.assert_identical(stored.drop_vars("simulation_seconds"), kept.drop_vars("simulation_seconds"))


def test_chunks_along_the_batch_are_honoured_and_blocks_are_their_multiples(walk, tmp_path):
    encoding = {"walk__height": {"chunks": (2, 4)}, "walk__count": {"chunks": [3]}}

    run(walk, tmp_path / "out.zarr", block_size=1, encoding=encoding)

    group = zarr.open_group(tmp_path / "out.zarr", mode="r")
    assert group["walk__height"].chunks == (2, 4)
    assert group["walk__count"].chunks == (3,)
    assert group["simulation_status"].chunks[0] == 6


def test_chunks_that_a_variable_declares_are_honoured_as_well(tmp_path):
    @sh.process
    class Chunked:
        gain = sh.variable()
        twice = sh.variable(intent="out", encoding={"chunks": (3,)})

        def initialize(self):
            self.twice = 2.0 * self.gain

    setup = sh.create_setup(
        model := sh.Model({"p": Chunked}),
        input_vars={"p__gain": ("member", np.arange(8.0))},
        output_vars={"p__twice": None},
    )

    ds = setup.simherd.run(model, batch_dim="member", store=tmp_path / "out.zarr", block_size=2)

    group = zarr.open_group(tmp_path / "out.zarr", mode="r")
    assert group["p__twice"].chunks == (3,)
    assert group["simulation_status"].chunks == (3,)
    np.testing.assert_array_equal(ds.p__twice, 2 * np.arange(8))


def test_dtype_fill_value_and_compressors_are_honoured(walk, tmp_path):
    encoding = {
        "walk__height": {"dtype": "f4", "compressors": None},
        "walk__count": {"dtype": "i2", "fill_value": -1},
    }

    run(walk, tmp_path / "out.zarr", [1.0, -1.0], encoding=encoding, on_error="record")

    group = zarr.open_group(tmp_path / "out.zarr", mode="r")
    assert group["walk__height"].dtype == np.float32
    assert group["walk__height"].compressors == ()
    assert group["walk__count"].dtype == np.int16
    assert group["walk__count"][:].tolist() == [3, -1]


@pytest.mark.parametrize(
    ("encoding", "error"),
    [
        ({"walk__hight": {}}, UnknownNameError),
        ({"walk__height": {"dtpye": "f4"}}, SetupError),
        ({"walk__height": {"chunks": (2, 4, 1)}}, SetupError),
    ],
)
def test_a_wrong_encoding_is_an_error_before_anything_is_written(walk, tmp_path, encoding, error):
    with pytest.raises(error):
        run(walk, tmp_path / "out.zarr", encoding=encoding)

    assert not (tmp_path / "out.zarr").exists()


@sh.process
class Anything:
    flag = sh.variable(default=False)
    number = sh.variable(default=0)
    text = sh.variable(default="")
    nothing = sh.variable(default=None)
    date = sh.variable(default=np.datetime64("2000-01-01", "ns"))
    table = sh.variable(dims="row", default=np.array([0, 1, 0]))
    names = sh.variable(dims="row", default=np.array(["a", "", "c"]))
    options = sh.variable(default={"deep": [1, None]})
    seen = sh.variable(intent="out")

    def initialize(self):
        kinds = [self.flag, self.number, self.text, self.nothing, self.options]
        self.seen = repr([*kinds, self.table.tolist(), self.names.tolist(), str(self.date)[:10]])


EXPECTED = repr([False, 0, "", None, {"deep": [1, None]}, [0, 1, 0], ["a", "", "c"], "2000-01-01"])


def test_inputs_of_all_kinds_survive_and_a_saved_setup_runs_again(tmp_path):
    model = sh.Model({"any": Anything})
    setup = sh.create_setup(model, output_vars={"any__seen": None})

    first = setup.simherd.run(model, store=tmp_path / "first.zarr")
    again = opened(tmp_path / "first.zarr").simherd.run(model, store=tmp_path / "again.zarr")

    assert first.any__seen.item() == EXPECTED
    assert again.any__seen.item() == EXPECTED
    assert first.any__flag.dtype == bool
    assert first.any__number.dtype.kind == "i"


def test_a_result_runs_again_on_the_same_clocks(walk, tmp_path):
    first = run(walk, tmp_path / "first.zarr")

    again = opened(tmp_path / "first.zarr").simherd.run(
        walk.model, batch_dim="member", store=tmp_path / "again.zarr"
    )

    seconds = "simulation_seconds"
    xr.testing.assert_identical(first.drop_vars(seconds).load(), again.drop_vars(seconds).load())


def test_clocks_of_dates_survive(walk, tmp_path):
    days = np.array(["2000-01-01", "2000-01-02", "2000-01-03"], "M8[ns]")
    setup = sh.create_setup(
        walk.model, {"day": days}, input_vars={"walk__gain": 1.0}, output_vars={"walk__height": "day"}
    )

    setup.simherd.run(walk.model, store=tmp_path / "out.zarr")

    ds = opened(tmp_path / "out.zarr")
    np.testing.assert_array_equal(ds.day, days)
    assert opened(tmp_path / "out.zarr").simherd.nsteps == 2


@pytest.mark.parametrize("units", ["days", "years", "s", "seconds"])
def test_clocks_with_units_of_time_stay_numbers(walk, tmp_path, units):
    clock = (("time",), np.arange(3.0), {"units": units})
    setup = sh.create_setup(walk.model, {"time": clock}, output_vars={"walk__height": "time"})

    setup.simherd.run(walk.model, store=tmp_path / "out.zarr")

    ds = opened(tmp_path / "out.zarr")
    assert ds.time.values.tolist() == [0.0, 1.0, 2.0]
    assert ds.time.attrs["units"] == units


def test_outputs_of_texts_and_dates_are_stored(tmp_path):
    @sh.process
    class Says:
        number = sh.variable()
        word = sh.variable(intent="out")
        date = sh.variable(intent="out")

        def initialize(self):
            self.word = "word" * int(self.number)
            self.date = np.datetime64("2000-01-01", "ns") + np.timedelta64(int(self.number), "D")

    model = sh.Model({"says": Says})
    setup = sh.create_setup(
        model,
        input_vars={"says__number": ("member", [0, 1, 3])},
        output_vars={"says__word": None, "says__date": None},
    )

    setup.simherd.run(model, batch_dim="member", store=tmp_path / "out.zarr")

    ds = xr.open_zarr(tmp_path / "out.zarr")
    assert ds.says__word.values.tolist() == ["", "word", "wordwordword"]
    assert str(ds.says__date.values[2])[:10] == "2000-01-04"


def test_a_failed_simulation_leaves_fill_values_and_a_line_in_the_journal(walk, tmp_path):
    ds = run(walk, tmp_path / "out.zarr", [1.0, -1.0, 2.0, 3.0], block_size=2, on_error="record")

    assert ds.simulation_status.values.tolist() == [1, 2, 1, 1]
    assert np.isnan(ds.walk__height[1]).all()
    assert ds.walk__height[2].values.tolist() == [2.0, 4.0, 6.0, 6.0]
    (entry,) = read_journal(tmp_path / "out.zarr")
    assert entry["simulation"] == 1
    assert "ValueError" in entry["error"]
    assert "in run_step" in entry["traceback"]
    assert "In process 'walk', stage run_step" in entry["traceback"]


def test_a_group_in_memory_is_a_target(walk):
    group = zarr.create_group(zarr.storage.MemoryStore())

    ds = run(walk, group)

    assert ds.walk__height.chunks is not None
    np.testing.assert_array_equal(ds.walk__height[:, 0], GAINS)


def test_a_group_keeps_what_else_it_holds(walk, tmp_path):
    root = zarr.open_group(tmp_path / "out.zarr", mode="w")
    root.create_array("mine", shape=(2,), dtype="i4", dimension_names=["two"])[:] = [1, 2]
    inner = root.create_group("inner")

    run(walk, inner)
    run(walk, root)

    assert root["mine"][:].tolist() == [1, 2]
    assert "walk__height" in xr.open_zarr(tmp_path / "out.zarr", group="inner")


def test_existing_store_is_an_error_with_three_ways_on(walk, tmp_path):
    run(walk, tmp_path / "out.zarr")

    with pytest.raises(StoreExistsError, match=r"exists already.*resume=True.*overwrite=True") as caught:
        run(walk, tmp_path / "out.zarr")
    assert "--" not in str(caught.value)
    assert "(--resume), replace it (--overwrite)" in caught.value.for_cli()


def test_an_empty_folder_is_a_place_for_a_store(walk, tmp_path):
    run(walk, tmp_path)

    assert "walk__height" in opened(tmp_path)


def test_a_path_below_a_file_is_no_place_for_a_store(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(StoreError, match=r"in .*file' \(Not a directory\)"):
        check_writable(tmp_path / "file" / "out.zarr")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_no_place_for_a_store(tmp_path):
    tmp_path.chmod(0o500)

    with pytest.raises(StoreError, match="Permission denied"):
        check_writable(tmp_path / "out.zarr")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc")
def test_a_place_that_proves_unwritable_is_found_before_anything_runs(walk):
    calls = []
    hook = sh.runtime_hook("initialize")(lambda model, context, state: calls.append(state))

    with pytest.raises(StoreError, match=r"Cannot write the store .*no folder can be made in '/proc'"):
        run(walk, Path("/proc/simherd/out.zarr"), hooks=[hook])

    assert calls == []


def test_looking_for_a_place_leaves_nothing_behind(tmp_path):
    check_writable(tmp_path / "deep" / "out.zarr")

    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_writable_though_another_share_cleans_up(tmp_path, monkeypatch):
    make = Path.mkdir

    def make_and_clean_up(path, *args, **options):
        make(path, *args, **options)
        clean_up(tmp_path / "out.zarr")

    monkeypatch.setattr(Path, "mkdir", make_and_clean_up)

    check_writable(tmp_path / "out.zarr")


def test_addresses_are_refused(tmp_path):
    with pytest.raises(StoreError, match="a text is the path of a folder"):
        as_folder("s3://bucket/out.zarr")


def test_the_size_of_a_store_can_be_told_while_files_go(tmp_path, monkeypatch):
    (tmp_path / "kept").write_bytes(b"12345")
    (tmp_path / "gone").write_bytes(b"1")
    stat = os.stat

    def vanishing(path, **options):
        if str(path).endswith("gone"):
            raise FileNotFoundError(path)
        return stat(path, **options)

    monkeypatch.setattr("simherd.store.places.os.stat", vanishing)

    assert store_size(tmp_path) == (5, 1)


def test_a_store_that_is_not_complete_is_gone_on_with(walk, tmp_path):
    run(walk, tmp_path / "out.zarr")
    zarr.open_group(tmp_path / "out.zarr")["simulation_status"][2] = 0

    with pytest.raises(StoreExistsError, match=r"1 of its \d+ simulations have not run yet.*resume=True"):
        run(walk, tmp_path / "out.zarr")

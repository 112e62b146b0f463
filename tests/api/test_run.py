from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import dask
import numpy as np
import pytest
import xarray as xr

import simherd as sh
from simherd.errors import SetupError
from simherd.events import RunStarted
from simherd.executors.serial import SerialExecutor


def test_one_simulation_has_no_batch_in_its_result(walk):
    ds = walk.setup(2.0).simherd.run(walk.model)

    assert ds.walk__height.dims == ("time",)
    assert ds.walk__height.values.tolist() == [2.0, 4.0, 6.0, 6.0]
    assert ds.walk__count.item() == 3
    assert "simulation_status" not in ds


def test_run_is_a_function_and_a_method(walk):
    setup = walk.setup(2.0)

    xr.testing.assert_identical(sh.run(setup, walk.model), setup.simherd.run(walk.model))


def test_the_model_of_a_with_block_is_run(walk):
    with walk.model:
        assert walk.setup(2.0).simherd.run().walk__count == 3


def test_one_simulation_goes_into_a_store(walk, tmp_path):
    stored = walk.setup(2.0).simherd.run(walk.model, store=tmp_path / "out.zarr")

    xr.testing.assert_identical(stored.load(), walk.setup(2.0).simherd.run(walk.model))


def test_one_simulation_in_unsafe_mode_leaves_its_values_in_the_model(walk):
    walk.setup(2.0).simherd.run(walk.model, safe_mode=False)

    assert walk.model["walk"].height == 6.0


def test_order_and_duplicates_of_a_batch_are_kept(walk):
    gains = [3.0, 1.0, 3.0, 2.0]

    ds = walk.setup(gains).simherd.run(walk.model, batch_dim="member", block_size=1)

    assert ds.walk__height[:, 1].values.tolist() == [6.0, 2.0, 6.0, 4.0]


def test_a_batch_of_one_is_a_batch(walk):
    ds = walk.setup([2.0]).simherd.run(walk.model, batch_dim="member")

    assert ds.walk__height.dims == ("member", "time")


def test_labels_of_the_batch_are_kept(walk):
    setup = walk.setup([2.0, 3.0]).assign_coords(member=["a", "b"])

    ds = setup.simherd.run(walk.model, batch_dim="member")

    assert ds.walk__height.sel(member="b", time=0).item() == 3.0


def test_inputs_along_clock_and_batch_vary_in_both(walk):
    gains = (("member", "time"), np.array([[1.0, 2.0, 3.0, 9.0], [0.0, 0.0, 1.0, 9.0]]))
    setup = walk.setup([0.0, 0.0]).simherd.update_vars(walk.model, input_vars={"walk__gain": gains})

    ds = setup.simherd.run(walk.model, batch_dim="member")

    assert ds.walk__height.values.tolist() == [[1.0, 3.0, 6.0, 6.0], [0.0, 0.0, 1.0, 1.0]]


def test_decoding_is_passed_to_open_zarr(walk, tmp_path):
    ds = walk.setup([1.0]).simherd.run(
        walk.model, batch_dim="member", store=tmp_path / "o.zarr", decoding={"chunks": None}
    )

    assert ds.walk__height.chunks is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on_error": "ignore"}, "on_error='ignore'"),
        ({"block_size": 0}, "block_size=0 is not allowed"),
        ({"block_size": "big"}, "block_size='big' is not allowed"),
        ({"batch_dim": "menber"}, "Did you mean 'member'"),
        ({"parallel": True, "batch_dim": None}, "this is one simulation|has dimensions"),
        ({"parallel": True, "scheduler": "proceses"}, "Did you mean 'processes'"),
    ],
)
def test_wrong_options_are_setup_errors(walk, options, message):
    with pytest.raises(SetupError, match=message):
        walk.setup([1.0, 2.0]).simherd.run(walk.model, **{"batch_dim": "member", **options})


def test_what_is_no_model_is_a_setup_error(walk):
    with pytest.raises(SetupError, match="3 is not a Model"):
        walk.setup(1.0).simherd.run(3)


@pytest.mark.parametrize("implied", [{"scheduler": "threads"}, {"scheduler": "threads", "workers": 2}])
def test_scheduler_or_workers_imply_parallel(walk, implied):
    events = []

    walk.setup([1.0, 2.0]).simherd.run(walk.model, batch_dim="member", subscribers=[events.append], **implied)

    assert "thread" in next(event.where for event in events if isinstance(event, RunStarted))


@pytest.mark.parametrize("scheduler", ["sync", "Synchronous", "single-threaded", SerialExecutor(), None])
def test_serial_scheduler_agrees_with_parallel_false(walk, scheduler):
    events = []

    walk.setup([1.0, 2.0]).simherd.run(
        walk.model,
        batch_dim="member",
        parallel=False,
        scheduler=scheduler,
        workers=1,
        subscribers=[events.append],
    )

    started = next(event for event in events if isinstance(event, RunStarted))
    assert started.where == SerialExecutor.description


@pytest.mark.parametrize(
    "option", [{"scheduler": "threads"}, {"workers": 2}, {"scheduler": "sync", "workers": 2}]
)
def test_scheduler_with_parallel_false_is_an_error(walk, option):
    with pytest.raises(SetupError, match=r"parallel=False runs in this process, but .* is given"):
        walk.setup([1.0, 2.0]).simherd.run(walk.model, batch_dim="member", parallel=False, **option)


@pytest.mark.parametrize("scheduler", [None, "threads", "sync"])
def test_parallel_without_a_batch_runs_the_processes_of_one_simulation(walk, scheduler):
    serial = walk.setup(1.5).simherd.run(walk.model)

    result = walk.setup(1.5).simherd.run(walk.model, parallel=True, scheduler=scheduler)

    xr.testing.assert_identical(result, serial)


def test_an_executor_of_threads_may_be_given_for_one_simulation(walk):
    with ThreadPoolExecutor(2) as pool:
        result = walk.setup(1.5).simherd.run(walk.model, parallel=True, scheduler=pool)

        assert pool.submit(int).result() == 0
    assert result.walk__count == 3


def test_schedulers_of_other_processes_run_one_simulation_in_threads_with_a_warning(walk):
    with pytest.warns(UserWarning, match="run in threads here"):
        result = walk.setup(1.5).simherd.run(walk.model, parallel=True, scheduler="processes")

    assert result.walk__count == 3


def test_default_scheduler_of_other_processes_warns_too(walk):
    with dask.config.set(scheduler="processes"), pytest.warns(UserWarning, match="run in threads here"):
        result = walk.setup(1.5).simherd.run(walk.model, parallel=True)

    assert result.walk__count == 3


def test_unknown_scheduler_of_one_simulation_is_an_error(walk):
    with pytest.raises(SetupError, match="Did you mean 'threads'"):
        walk.setup(1.5).simherd.run(walk.model, scheduler="thread")


def test_batch_and_single_model_parallelism_together_are_not_available(walk):
    with pytest.raises(SetupError, match="parallel='both' is not available"):
        walk.setup([1.0, 2.0]).simherd.run(walk.model, batch_dim="member", parallel="both")


def test_the_accessor_tells_of_clocks_and_outputs(walk):
    accessor = walk.setup(1.0).simherd

    assert accessor.master_clock_dim == "time"
    assert accessor.nsteps == 3
    assert accessor.clock_sizes == {"time": 4, "coarse": 2}
    assert accessor.output_vars_by_clock == {
        "time": [("walk", "height")],
        "coarse": [("walk", "profile")],
        None: [("walk", "count")],
    }
    assert accessor.output_vars["walk", "height"] == "time"
    saves = accessor.get_output_save_steps()
    assert list(saves.coords) == ["time"]
    assert {name: saves[name].values.tolist() for name in saves.data_vars} == {
        "coarse": [True, False, False, True]
    }


def test_clocks_are_updated_by_position_and_none_leaves_all_as_it_is(walk):
    setup = walk.setup(1.0)

    updated = setup.simherd.update_clocks(walk.model, {"fine": [0.0, 1.0]}, "time")

    assert list(updated.simherd.clock_coords) == ["time", "coarse", "fine"]
    assert setup.simherd.update_clocks(walk.model, clocks={}).identical(setup)
    assert xr.Dataset().simherd.update_clocks(walk.model).sizes == {}


def test_a_dataset_without_clocks_has_none():
    accessor = xr.Dataset().simherd

    assert accessor.nsteps == 0
    assert accessor.master_clock_coord is None
    assert accessor.get_output_save_steps().sizes == {}


HEAVY = ("numpy", "xarray", "zarr", "dask", "distributed", "rich", "scipy", "matplotlib", "click")


def test_importing_simherd_loads_nothing_heavy():
    code = f"import sys, simherd; print([n for n in {HEAVY} if n in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("order", ["import simherd, xarray", "import xarray, simherd"])
def test_the_accessor_is_there_whatever_is_imported_first(order):
    code = f"{order}; print(type(xarray.Dataset().simherd).__name__)"

    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)

    assert done.stdout.strip() == "SimherdAccessor", done.stderr


def test_all_public_names_exist():
    assert all(getattr(sh, name) is not None for name in sh.__all__)
    assert set(sh.__all__) <= set(dir(sh))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        sh.nothing  # noqa: B018 (reading it is what fails)

import threading

import dask
import numcodecs
import numpy as np
import pytest
import xarray as xr

import simherd.compat.xsimlab as xs


@xs.process
class Grid:
    length = xs.variable(default=3, static=True)
    x = xs.index(dims="x")
    number = xs.index(dims="x")

    def initialize(self):
        self.x = np.arange(self.length) * 0.5
        self.number = np.arange(self.length)


@xs.process
class Field:
    x = xs.foreign(Grid, "x")
    rate = xs.variable(dims=[(), "x"])
    value = xs.variable(dims="x", intent="out", description="a field", attrs={"units": "K"})
    total = xs.on_demand()

    def initialize(self):
        self.value = np.zeros(len(self.x))

    @xs.runtime(args=("step_delta", "batch", "batch_size"))
    def run_step(self, dt, batch, batch_size):
        self.place = (batch, batch_size, threading.current_thread().name)
        self.value = self.value + dt * self.rate

    @total.compute
    def _total(self):
        return float(self.value.sum())


@pytest.fixture
def model():
    return xs.Model({"field": Field, "grid": Grid})


@pytest.fixture
def setup(model):
    return xs.create_setup(
        model,
        {"t": [0.0, 1.0, 3.0], "out": [0.0, 3.0]},
        "t",
        {"field__rate": 2.0},
        {"field__value": "out", "field__total": "t", "grid__length": None},
    )


@pytest.fixture
def batch(setup, model):
    rates = ("sample", [3.0, 1.0, 2.0], {"units": "K y-1"})
    return setup.xsimlab.update_vars(model, input_vars={"field__rate": rates})


def test_outputs_are_saved_on_their_clocks(setup, model):
    result = setup.xsimlab.run(model=model)

    assert result["field__total"].values.tolist() == [6.0, 18.0, 18.0]
    assert result["field__value"].dims == ("out", "x")
    assert result["field__value"].attrs == {"description": "a field", "units": "K"}
    assert int(result["grid__length"]) == 3


def test_a_result_carries_nothing_of_ours(batch, model, tmp_path):
    for store in (None, tmp_path / "out.zarr"):
        result = batch.xsimlab.run(model=model, batch_dim="sample", store=store)

        texts = [*result.attrs, *(key for v in result.variables.values() for key in v.attrs)]
        assert not [text for text in texts if "simherd" in text]
        assert set(result.variables) == {
            *("t", "out", "x", "number"),
            *("field__rate", "field__value", "field__total", "grid__length"),
        }


def test_a_result_asks_for_no_outputs_and_keeps_its_clocks(setup, model):
    result = setup.assign_attrs(author="me").xsimlab.run(model=model)

    assert result.xsimlab.output_vars == {}
    assert result.attrs == {"author": "me"}
    assert result.xsimlab.master_clock_dim == "t"


def test_an_index_is_a_coordinate_where_it_labels_a_dimension(setup, model):
    result = setup.xsimlab.run(model=model)

    assert "x" in result.coords
    assert "number" in result.data_vars


@pytest.mark.parametrize("options", [{}, {"parallel": True}, {"parallel": True, "scheduler": "sync"}])
def test_a_batch_keeps_its_order_on_every_scheduler(batch, model, options):
    result = batch.xsimlab.run(model=model, batch_dim="sample", **options)

    assert result["field__total"].dims == ("sample", "t")
    assert result["field__total"].isel(t=-1).values.tolist() == [27.0, 9.0, 18.0]


@pytest.fixture
def no_client(monkeypatch):
    """Hide the client that tests share."""
    monkeypatch.setattr("simherd.executors.choose.active_client", lambda: None)
    with dask.config.set(scheduler=None):
        yield


def test_threads_are_the_default_scheduler(batch, model, no_client):
    places = []

    @xs.runtime_hook("run_step")
    def note(model, context, state):
        places.append(model.field.place)

    batch.xsimlab.run(model=model, batch_dim="sample", parallel=True, hooks=[note])

    assert {batch for batch, _, _ in places if batch >= 0} == {0, 1, 2}
    assert {size for _, size, _ in places} == {3}
    assert "MainThread" not in {name for _, _, name in places}


def test_a_configured_scheduler_comes_before_threads(batch, model, no_client):
    names = set()

    @xs.runtime_hook("run_step")
    def note(model, context, state):
        names.add(threading.current_thread().name)

    with dask.config.set(scheduler="synchronous"):
        batch.xsimlab.run(model=model, batch_dim="sample", parallel=True, hooks=[note])

    assert names == {"MainThread"}


@pytest.mark.parametrize("options", [{}, {"parallel": False}])
def test_scheduler_without_parallel_has_no_effect_and_warns(batch, model, options):
    serial = batch.xsimlab.run(model=model, batch_dim="sample")

    with pytest.warns(UserWarning, match="no effect without parallel=True"):
        result = batch.xsimlab.run(model=model, batch_dim="sample", scheduler="threads", **options)

    assert result.identical(serial)


def test_parallel_without_a_batch_gives_the_same_result(setup, model):
    serial = setup.xsimlab.run(model=model)

    assert setup.xsimlab.run(model=model, parallel=True).identical(serial)
    assert setup.xsimlab.run(model=model, parallel=True, scheduler="processes").identical(serial)


def test_a_synchronizer_is_ignored_with_a_warning(batch, model):
    encoding = {"field__total": {"synchronizer": object(), "chunks": (2, 3)}, "not__an_output": {}}
    with pytest.warns(UserWarning, match="synchronizer is ignored"):
        result = batch.xsimlab.run(model=model, batch_dim="sample", parallel=True, encoding=encoding)

    assert result["field__total"].isel(t=-1).values.tolist() == [27.0, 9.0, 18.0]


@pytest.mark.parametrize(
    ("compressor", "codec"),
    [
        (numcodecs.Blosc("zstd", clevel=3), "BloscCodec"),
        (numcodecs.Zstd(level=2), "ZstdCodec"),
        (numcodecs.GZip(level=1), "GzipCodec"),
        (None, None),
    ],
)
def test_a_compressor_for_zarr_2_is_that_of_zarr_3(setup, model, tmp_path, compressor, codec):
    import zarr

    encoding = {"field__value": {"compressor": compressor}}
    setup.xsimlab.run(model=model, store=tmp_path / "out.zarr", encoding=encoding)

    found = zarr.open_group(tmp_path / "out.zarr")["field__value"].compressors
    assert [type(one).__name__ for one in found] == ([] if codec is None else [codec])


def test_a_compressor_that_zarr_3_lacks_is_ignored_with_a_warning(setup, model, tmp_path):
    encoding = {"field__value": {"compressor": numcodecs.BZ2()}}
    with pytest.warns(UserWarning, match="compressor .* is ignored"):
        setup.xsimlab.run(model=model, store=tmp_path / "out.zarr", encoding=encoding)


def test_a_mapping_or_a_store_of_zarr_holds_the_result(setup, model):
    import zarr

    expected = setup.xsimlab.run(model=model)
    in_mapping = setup.xsimlab.run(model=model, store={})
    in_store = setup.xsimlab.run(model=model, store=zarr.storage.MemoryStore())

    xr.testing.assert_equal(in_mapping.load(), expected)
    xr.testing.assert_equal(in_store.load(), expected)


def test_a_stored_result_is_known_by_its_clocks_when_opened_again(setup, model, tmp_path):
    setup.xsimlab.run(model=model, store=tmp_path / "out.zarr")
    opened = xr.open_zarr(tmp_path / "out.zarr")

    assert opened["t"].attrs["__xsimlab_master_clock__"] == 1
    assert opened.xsimlab.master_clock_dim == "t"
    assert set(opened.xsimlab.clock_coords) == {"t", "out"}


def test_a_stored_result_is_read_when_it_is_used_but_for_scalars(setup, model, tmp_path):
    result = setup.xsimlab.run(model=model, store=tmp_path / "out.zarr")

    assert result["field__value"].chunks is not None
    assert type(result["grid__length"].data) is np.ndarray


def test_hooks_read_the_context_as_a_mapping(setup, model):
    seen = []

    @xs.runtime_hook("run_step", "model", "pre")
    def note(model, context, state):
        assert "step" in context
        assert {"nsteps", "step_delta", "sim_start"} <= set(context)
        seen.append((context["step"], context["step_start"], context.get("no such label")))

    setup.xsimlab.run(model=model, hooks=[note])

    assert seen == [(0, 0.0, None), (1, 1.0, None)]


def test_a_hook_may_answer_with_the_number_of_a_signal(setup, model):
    @xs.runtime_hook("run_step")
    def stop(*given):
        return 3

    result = setup.xsimlab.run(model=model, hooks=[stop])

    assert result["field__total"].isel(t=1).isnull()


def test_a_hook_is_called_once_however_often_it_is_given(setup, model):
    steps = []

    @xs.runtime_hook("run_step")
    def note(model, context, state):
        steps.append(context["step"])

    hook = xs.RuntimeHook(note)
    hook.register()
    with hook:
        setup.xsimlab.run(model=model, hooks=[hook, hook])

    assert steps == [0, 1]
    assert hook not in xs.RuntimeHook.active


@pytest.mark.parametrize("scheduler", [dask.threaded.get, dask.local.get_sync, "single-threaded"])
def test_functions_of_dask_are_schedulers(batch, model, scheduler):
    result = batch.xsimlab.run(model=model, batch_dim="sample", parallel=True, scheduler=scheduler)

    xr.testing.assert_equal(result, batch.xsimlab.run(model=model, batch_dim="sample"))


@pytest.mark.cluster
def test_a_client_and_its_function_are_schedulers(batch, model):
    from distributed import Client

    with Client(n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        results = [
            batch.xsimlab.run(model=model, batch_dim="sample", parallel=True, scheduler=scheduler)
            for scheduler in (client, client.get)
        ]

    xr.testing.assert_equal(results[0], results[1])


@pytest.mark.parametrize("stored", [False, True])
def test_objects_as_inputs_leave_no_marks_of_ours(stored, tmp_path):
    @xs.process
    class Holder:
        nothing = xs.variable(default=None)
        options = xs.variable()
        seen = xs.variable(intent="out")

        def run_step(self):
            self.seen = f"{self.nothing} {self.options['a']}"

    model = xs.Model({"holder": Holder})
    made = xs.create_setup(model, {"t": [0, 1]}, None, {"holder__options": {"a": 1}}, {"holder__seen": None})
    result = made.xsimlab.run(model=model, store=tmp_path / "out.zarr" if stored else None)

    assert result["holder__seen"].item() == "None 1"
    assert [v.attrs for v in result.data_vars.values()] == [{}, {}, {}]


def test_a_hook_class_need_not_call_the_constructor_of_its_base(setup, model):
    class Counter(xs.RuntimeHook):
        def __init__(self):
            self.steps = 0

        @xs.runtime_hook("run_step")
        def count(self, model, context, state):
            self.steps += 1

    counter = Counter()
    with counter:
        setup.xsimlab.run(model=model)

    assert counter.steps == 2


def test_a_model_given_by_with_is_used(setup, model):
    with model:
        result = setup.xsimlab.run()

    assert result["field__total"].values.tolist() == [6.0, 18.0, 18.0]


def test_without_safe_mode_the_model_itself_runs(setup, model):
    setup.xsimlab.run(model=model, safe_mode=False)

    assert model.field.value.tolist() == [6.0, 6.0, 6.0]


def test_labels_that_differ_by_rounding_between_simulations_are_the_same():
    @xs.process
    class Solver:
        rate = xs.variable()
        time = xs.index(dims="time")
        value = xs.variable(dims="time", intent="out")

        def initialize(self):
            self.time = np.array([0.0, 1.0, 2.0]) * (1 + self.rate * 1e-16)
            self.value = self.rate * self.time

    model = xs.Model({"solver": Solver})
    inputs = {"solver__rate": ("b", [1.0, 20.0])}
    made = xs.create_setup(model, {"t": [0, 1]}, None, inputs, {"solver__value": None})

    assert made.xsimlab.run(model=model, batch_dim="b")["time"].values.tolist() == [0.0, 1.0, 2.0]


def test_a_transposed_input_has_its_own_order_of_dimensions_in_the_result():
    @xs.process
    class Plane:
        values = xs.variable(dims=("y", "x"), intent="inout")
        first = xs.variable(intent="out", dims="x")

        def run_step(self):
            self.values = self.values + 1
            self.first = self.values[0]

    model = xs.Model({"plane": Plane})
    inputs = {"plane__values": (("x", "y"), [[1, 2, 3], [4, 5, 6]])}
    outputs = {"plane__values": "t", "plane__first": None}
    made = xs.create_setup(model, {"t": [0, 1]}, None, inputs, outputs)
    with pytest.raises(ValueError, match="dimensions"):
        made.xsimlab.run(model=model)
    result = made.xsimlab.run(model=model, check_dims="transpose")

    assert result["plane__values"].dims == ("t", "x", "y")
    assert result["plane__values"].isel(t=-1).values.tolist() == [[2, 3, 4], [5, 6, 7]]
    assert result["plane__first"].values.tolist() == [2, 5]


@pytest.mark.parametrize("batch_dim", [None, "b"])
@pytest.mark.parametrize("stored", [False, True])
def test_texts_are_saved_at_the_end_and_on_clocks(batch_dim, stored, tmp_path):
    @xs.process
    class Speaker:
        word = xs.variable(default="a")
        text = xs.variable(intent="out")
        last = xs.variable(intent="out")

        @xs.runtime(args="step")
        def run_step(self, step):
            self.text = self.word * (step + 1)
            self.last = self.text

    model = xs.Model({"speaker": Speaker})
    words = "a" if batch_dim is None else ("b", ["a", "xy"])
    outputs = {"speaker__text": "t", "speaker__last": None}
    made = xs.create_setup(model, {"t": [0, 1, 2]}, None, {"speaker__word": words}, outputs)
    result = made.xsimlab.run(
        model=model, batch_dim=batch_dim, store=tmp_path / "out.zarr" if stored else None
    )

    text, last = result["speaker__text"].values.tolist(), result["speaker__last"].values.tolist()
    one, other = ["a", "aa", "aa"], ["xy", "xyxy", "xyxy"]
    assert text == (one if batch_dim is None else [one, other])
    assert last == ("aa" if batch_dim is None else ["aa", "xyxy"])


def test_outputs_grow_and_shrink_with_their_arrays():
    @xs.process
    class Front:
        grows = xs.variable(dims="x", intent="out")
        shrinks = xs.variable(dims="y", intent="out")

        @xs.runtime(args="step")
        def run_step(self, step):
            self.grows = np.arange(step + 1.0)
            self.shrinks = np.arange(2.0 - step)

    model = xs.Model({"front": Front})
    outputs = {"front__grows": "t", "front__shrinks": "t"}
    result = xs.create_setup(model, {"t": [0, 1, 2]}, None, {}, outputs).xsimlab.run(model=model)

    nan = np.nan
    np.testing.assert_array_equal(result["front__grows"], [[0, nan], [0, 1], [0, 1]])
    np.testing.assert_array_equal(result["front__shrinks"], [[0, 1], [0, nan], [0, nan]])

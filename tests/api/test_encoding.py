"""How results are stored and read: encodings in all forms, fill values, decoding."""

from __future__ import annotations

import numcodecs
import numpy as np
import pytest
import xarray as xr
import zarr
import zarr.codecs

import simherd as sh
from simherd.errors import OutputError, SetupError, UnknownNameError


@sh.process
class Counter:
    limit = sh.variable(default=2)
    x = sh.index(dims="x", encoding={"dtype": "f4"})
    count = sh.variable(intent="out", encoding={"fill_value": -9})
    level = sh.variable(intent="out", dims="x")
    day = sh.variable(intent="out", attrs={"units": "days since 2000-01-01"})

    def initialize(self):
        self.x = np.arange(2)
        self.count, self.day = 0, 1
        self.level = np.zeros(2)

    def run_step(self):
        if self.limit < 0:
            raise ValueError("negative")
        self.count += 1
        self.level = self.level + 1.0


model = sh.Model({"p": Counter})


@sh.runtime_hook("run_step", trigger="pre")
def break_at_two(model, context, state):
    is_enough = context["step"] == state["p", "limit"]
    return sh.RuntimeSignal.BREAK if is_enough else sh.RuntimeSignal.NONE


@pytest.fixture(params=["memory", "store"])
def store(request, tmp_path):
    return None if request.param == "memory" else tmp_path / "out.zarr"


def run(store=None, limit=2, outputs=None, **options):
    setup = sh.create_setup(
        model,
        clocks={"t": np.arange(5)},
        input_vars={"p__limit": limit},
        output_vars=outputs or {"p__count": "t", "p__level": "t"},
    )
    return setup.simherd.run(model, store=store, hooks=[break_at_two], **options)


def test_a_declared_fill_value_stands_where_nothing_was_saved(store):
    assert run(store).p__count.values.tolist() == [1, 2, 2, -9, -9]


def test_the_fill_value_of_a_run_stands_where_nothing_was_saved(store):
    result = run(store, encoding={"p__level": {"fill_value": -1.0}, "p__count": {"fill_value": 0}})

    assert result.p__level.values[:, 0].tolist() == [1.0, 2.0, 2.0, -1.0, -1.0]
    assert result.p__count.values.tolist() == [1, 2, 2, 0, 0]


@pytest.mark.parametrize("block_size", [1, 3])
def test_fill_values_stand_in_for_failed_simulations(store, block_size):
    result = run(
        store, ("member", [2, -1, 9]), batch_dim="member", on_error="record", block_size=block_size,
        encoding={"p__level": {"fill_value": -1.0}},
    )  # fmt: skip

    assert result.p__count.values.tolist() == [[1, 2, 2, -9, -9], [-9] * 5, [1, 2, 3, 4, 4]]
    assert (result.p__level[1] == -1.0).all()


def test_a_streamed_output_has_its_fill_value(tmp_path):
    result = run(tmp_path / "out.zarr", memory_limit=16, encoding={"p__level": {"fill_value": -1.0}})

    assert result.p__level.values[:, 1].tolist() == [1.0, 2.0, 2.0, -1.0, -1.0]


def test_a_fill_value_that_the_type_does_not_have_is_an_error():
    with pytest.raises(SetupError, match="fill_value -1 is not a value of type uint8"):
        run(encoding={"p__count": {"dtype": "u1", "fill_value": -1}})
    with pytest.raises(OutputError, match=r"'p__count': fill_value 0\.5 is not a value of type int64"):
        run(encoding={"p__count": {"fill_value": 0.5}})


def test_a_later_simulation_of_a_wider_type_says_which_encoding_helps():
    @sh.process
    class Half:
        whole = sh.variable()
        v = sh.variable(intent="out")

        def initialize(self):
            self.v = self.whole // 2 if self.whole % 2 == 0 else self.whole / 2

    halves = sh.Model({"p": Half})
    setup = sh.create_setup(halves, input_vars={"p__whole": ("m", [4, 3])}, output_vars={"p__v": None})

    with pytest.raises(OutputError, match=r"'p__v' .* float64.* int64 .*Fix: .*'dtype': 'float64'"):
        setup.simherd.run(halves, batch_dim="m")
    helped = setup.simherd.run(halves, batch_dim="m", encoding={"p__v": {"dtype": "float64"}})

    assert helped.p__v.values.tolist() == [2.0, 1.5]


@pytest.mark.parametrize("name", ["p__level", ("p", "level")])
def test_an_encoding_is_found_by_both_names(name):
    assert run(encoding={name: {"dtype": "f4"}}).p__level.dtype == np.float32


def test_encodings_may_be_nested_by_process():
    assert run(encoding={"p": {"level": {"dtype": "f4"}}}).p__level.dtype == np.float32


def test_an_unknown_name_in_an_encoding_comes_with_close_matches():
    with pytest.raises(UnknownNameError, match=r"encoding: 'p__levl' .* Did you mean 'p__level'"):
        run(encoding={"p": {"levl": {}}})
    with pytest.raises(UnknownNameError, match="encoding: 'p__limit' is not an output"):
        run(encoding={"p__limit": {}})


def test_an_index_is_saved_in_its_declared_type(store):
    assert run(store).x.dtype == np.float32
    if store is None:
        assert run(encoding={"p__x": {"dtype": "i2"}}).x.dtype == np.int16


@pytest.mark.parametrize(
    "decoding", [None, {"decode_times": False}, {"drop_variables": ["p__count"]}, {"decode_cf": False}]
)
def test_a_result_in_memory_is_decoded_like_that_of_a_store(decoding, tmp_path):
    outputs = {"p__count": "t", "p__day": None}
    kept = run(outputs=outputs, decoding=decoding)
    stored = run(tmp_path / "out.zarr", outputs=outputs, decoding=decoding)

    xr.testing.assert_identical(kept, stored.load())
    assert kept.p__day.dtype.kind == ("i" if decoding and "drop_variables" not in decoding else "M")


def test_units_that_only_look_like_dates_cost_no_result():
    @sh.process
    class Odd:
        v = sh.variable(intent="out", attrs={"units": "mm since the start"})

        def initialize(self):
            self.v = 1.0

    odd = sh.Model({"p": Odd})

    with pytest.warns(UserWarning, match="The result is not decoded"):
        result = sh.create_setup(odd, output_vars={"p__v": None}).simherd.run(odd)

    assert result.p__v.item() == 1.0


@pytest.mark.parametrize(
    ("values", "in_memory", "in_a_store"),
    [
        ([None, 1.5], ["", 1.5], ["", "1.5"]),
        (["a", 1, None], ["a", 1, ""], ["a", "1", ""]),
        ([[1, "a", None, 2.5]], [[1, "a", "", 2.5]], [["1", "a", "", "2.5"]]),
    ],
)
def test_outputs_that_are_no_numbers_are_texts_in_a_store(values, in_memory, in_a_store, store):
    @sh.process
    class Odd:
        k = sh.variable()
        v = sh.variable(dims=[(), "x"], intent="out")

        def initialize(self):
            value = values[int(self.k)]
            self.v = np.array(value, object) if isinstance(value, list) else value

    odd = sh.Model({"p": Odd})
    setup = sh.create_setup(
        odd, input_vars={"p__k": ("m", np.arange(len(values)))}, output_vars={"p__v": None}
    )

    result = setup.simherd.run(odd, "m", store=store)

    assert result.p__v.values.tolist() == (in_memory if store is None else in_a_store)


def test_a_misspelt_argument_of_decoding_is_an_error():
    with pytest.raises(SetupError, match=r"decoding: 'decode_time' .* 'decode_times'"):
        run(decoding={"decode_time": False})


@pytest.mark.parametrize(
    "compressor",
    [
        numcodecs.Zstd(level=3),
        [zarr.codecs.ZstdCodec(level=3)],
        zarr.codecs.ZstdCodec(level=3),
        {"name": "zstd", "configuration": {"level": 3}},
    ],
)
@pytest.mark.parametrize("key", ["compressor", "compressors"])
def test_a_compressor_has_many_forms(key, compressor, tmp_path):
    run(tmp_path / "out.zarr", encoding={"p__level": {key: compressor}})

    (found,) = zarr.open_group(tmp_path / "out.zarr")["p__level"].compressors
    assert found == zarr.codecs.ZstdCodec(level=3)


@pytest.mark.parametrize("compressor", ["zstd", 3, {"name": "zstdd"}, {"zstd": 3}])
def test_an_unknown_compressor_is_an_error_before_anything_runs(compressor):
    with pytest.raises(SetupError, match=r"'p__level': compressors .* is not known"):
        run(encoding={"p__level": {"compressors": compressor}})


@pytest.mark.parametrize(
    ("encoding", "message"),
    [
        ({"compressor": numcodecs.BZ2()}, "compressor BZ2.* is ignored"),
        ({"order": "F"}, "order is ignored: Zarr 3 arrays have none"),
        ({"synchronizer": object()}, "synchronizer is ignored"),
    ],
)
def test_what_zarr_3_lacks_is_ignored_with_a_warning(encoding, message):
    with pytest.warns(UserWarning, match=message):
        run(encoding={"p__level": encoding})

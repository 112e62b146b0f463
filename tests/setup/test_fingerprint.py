from __future__ import annotations

import json
import time
import warnings
from dataclasses import replace

import dask.array
import numpy as np
import pytest
import xarray as xr
import zarr
from numcodecs import Blosc
from zarr.codecs import ZstdCodec

import simherd as sh
from simherd.setup.fingerprint import differences, fingerprint, model_differences
from simherd.setup.planning import make_setup

GAINS = np.arange(5.0)


def of(walk, gains=GAINS, *, simulations=None, batch_dim="member", model=None, setup=None, **options):
    """Return the fingerprint of a run of the tiny model, with some of it replaced."""
    dataset = walk.setup(gains, options.pop("outputs", None), **options.pop("inputs", {}))
    dataset = setup(dataset) if setup is not None else dataset
    made = make_setup(dataset, model or walk.model, batch_dim=batch_dim)
    given = {"encoding": {}, "seed": 1, "vectorize": False, **options}
    return fingerprint(made, simulations=simulations, **given)


def test_a_run_fits_its_own_store(walk, tmp_path):
    group = zarr.open_group(tmp_path / "out.zarr")
    group.attrs["fingerprint"] = of(walk, encoding={"walk__height": {"dtype": "f4"}})

    stored = zarr.open_group(tmp_path / "out.zarr").attrs["fingerprint"]
    now = of(walk, encoding={"walk__height": {"dtype": np.float32}})

    assert differences(stored, now) == []
    assert stored == json.loads(json.dumps(now))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"inputs": {"walk__pause": 0.5}}, ["input walk__pause has another value"]),
        ({"gains": GAINS + 1}, ["input walk__gain differs along the batch"]),
        ({"gains": GAINS.astype(int)}, ["input walk__gain differs along the batch"]),
        ({"inputs": {"walk__pause": ("member", GAINS)}}, ["input walk__pause is now one per simulation"]),
        ({"gains": GAINS[:3]}, ["the batch has 3 simulations, the store 5"]),
        (
            {"gains": 1.0, "batch_dim": None},
            [
                "the batch dimension is None, was 'member'",
                "the batch has 1 simulations, the store 5",
                "input walk__gain is now the same in all simulations",
            ],
        ),
        (
            {"setup": lambda ds: ds.assign_coords(member=list("abcde"))},
            ["coordinate 'member' is new"],
        ),
        (
            {"outputs": {"walk__height": "coarse", "walk__count": None, "grid__x": None}},
            [
                "output walk__height is saved on clock 'coarse', was on clock 'time'",
                "output grid__x is new",
                "output walk__profile is gone",
            ],
        ),
        (
            {"setup": lambda ds: ds.simherd.update_clocks(clocks={"coarse": [0.0, 2.0]})},
            [
                "clock 'coarse' has other labels",
                "output walk__profile is saved at other steps of clock 'coarse'",
            ],
        ),
        (
            {"encoding": {"walk__count": {"dtype": "i2"}}},
            ["encoding of walk__count is dtype=int16, was the default"],
        ),
        ({"seed": 2}, ["seed is 2, was 1"]),
        ({"seed": None}, ["seed is None, was 1"]),
        ({"vectorize": True}, ["vectorize is True, was False"]),
    ],
)
def test_each_difference_is_named(walk, change, expected):
    assert differences(of(walk), of(walk, simulations=5, **change)) == expected


def test_a_longer_batch_that_begins_the_same_goes_on(walk):
    stored = of(walk)

    assert differences(stored, of(walk, np.arange(9.0), simulations=5)) == []
    assert of(walk, np.arange(9.0), simulations=5)["simulations"] == 9
    assert differences(stored, of(walk, np.arange(9.0)[::-1], simulations=5)) == [
        "input walk__gain differs along the batch"
    ]


def test_labels_of_a_longer_batch_count_as_far_as_both_go(walk):
    def named(names):
        return lambda dataset: dataset.assign_coords(member=names)

    stored = of(walk, GAINS[:2], setup=named(["a", "b"]))

    longer = of(walk, GAINS[:3], simulations=2, setup=named(["a", "b", "long"]))
    other = of(walk, GAINS[:3], simulations=2, setup=named(["b", "a", "long"]))
    assert differences(stored, longer) == []
    assert differences(stored, other) == ["coordinate 'member' has other labels"]


def test_another_class_of_a_process_is_named(walk):
    stored = of(walk)
    now = stored | {"processes": {"grid": stored["processes"]["grid"] | {"x": "another"}, "snow": {}}}

    assert model_differences(stored, now) == [
        "process 'grid' has changed (x)",
        "process 'snow' is new",
        "process 'walk' is gone",
    ]


def test_parts_that_cannot_be_compared_warn_once():
    class Handle:
        def __reduce_ex__(self, protocol):
            raise TypeError

    handle = Handle()

    @sh.process
    class Holder:
        y = sh.variable(intent="out")

        def initialize(self):
            self.y = id(handle)

    model = sh.Model({"holder": Holder})
    made = make_setup(sh.create_setup(model), model)

    with pytest.warns(RuntimeWarning, match=r"Holder.initialize' .* type .*Handle, which does not"):
        fingerprint(made, encoding={}, seed=None, vectorize=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fingerprint(made, encoding={}, seed=None, vectorize=False)


def test_another_order_of_processes_is_named(walk):
    stored = of(walk)

    assert model_differences(stored, stored | {"order": ["walk", "grid"]}) == [
        "processes run in the order walk, grid; it was grid, walk"
    ]


def test_another_main_clock_is_named(walk):
    stored = of(walk)

    assert differences(stored, stored | {"main_clock": "day"}) == ["the main clock is 'day', was 'time'"]


def test_a_store_of_another_format_is_not_compared(walk):
    now = of(walk)

    assert differences({}, now) == differences(now | {"format": 0}, now) != []
    assert model_differences({}, now) == []


def test_a_store_of_the_first_format_is_one_change_of_the_model(walk):
    now = of(walk)
    first = now | {"format": 1, "processes": {"grid": "a digest", "walk": "another"}}
    del first["code"], first["packages"], first["python"]

    assert differences(first, now) == []
    (change,) = model_differences(first, now)
    assert change.startswith("the store is of an earlier version of simherd")


def test_what_the_code_of_a_model_refers_to_is_named(walk):
    stored = of(walk) | {
        "code": {"walk:rate": "function 0", "walk:TABLE": "constant 0", "flow:Grid.area": "method 0"},
        "packages": {"numpy": "1.26"},
    }

    now = stored | {"code": stored["code"] | {"walk:rate": "function 1", "flow:new": "function 0"}}
    assert model_differences(stored, now) == ["function 'rate' of module 'walk' has changed"]
    now = stored | {"code": {"walk:rate": "function 0", "walk:TABLE": "constant 1"}}
    assert model_differences(stored, now) == ["constant 'TABLE' of module 'walk' has changed"]
    now = stored | {"code": stored["code"] | {"flow:new": "function 0"}, "packages": {"numpy": "2.0"}}
    assert model_differences(stored, now) == [
        "function 'new' of module 'flow' is new",
        "package 'numpy' has version 2.0, had 1.26",
    ]
    assert model_differences(stored, stored | {"python": "cpython 3.99", "code": {}}) == [
        f"code is compiled by cpython 3.99, was by {stored['python']}"
    ]


@pytest.mark.parametrize(
    ("option", "same", "other"),
    [
        ("dtype", ["f8", float, np.float64, "float64"], "f4"),
        ("chunks", [(2, 3), [2, 3], np.array([2, 3]).tolist()], (2, 4)),
        ("fill_value", [0.0, np.float64(0.0)], -1.0),
        ("compressors", [ZstdCodec(level=1), ZstdCodec(level=1)], ZstdCodec(level=2)),
        ("compressors", [[Blosc(clevel=1)], (Blosc(clevel=1),)], [Blosc(clevel=2)]),
        ("compressors", [None], "default"),
    ],
)
def test_encodings_that_say_the_same_are_the_same(walk, option, same, other):
    stored = of(walk, encoding={"walk__height": {option: same[0]}})

    for value in same:
        assert differences(stored, of(walk, encoding={"walk__height": {option: value}})) == []
    assert len(differences(stored, of(walk, encoding={"walk__height": {option: other}}))) == 1


def test_an_input_that_varies_with_the_clock_is_not_one_that_does_not(walk):
    made = make_setup(walk.setup(GAINS), walk.model, batch_dim="member")
    varying = replace(made, plan=replace(made.plan, varying=frozenset({("walk", "gain")})))
    options = {"encoding": {}, "seed": None, "vectorize": False}

    found = differences(fingerprint(made, **options), fingerprint(varying, **options))

    assert found == ["input walk__gain differs along the batch"]


class TestLazyInputs:
    """Arrays that are larger than memory are never loaded."""

    @staticmethod
    def of(walk, values, simulations=None):
        made = make_setup(walk.setup(np.zeros(len(values))), walk.model, batch_dim="member")
        lazy = replace(made, batch_inputs={("walk", "gain"): values})
        return fingerprint(lazy, encoding={}, seed=1, vectorize=False, simulations=simulations)

    @staticmethod
    def make(size, source="file"):
        def load(block_id=None):
            raise AssertionError("loaded")

        values = dask.array.map_blocks(load, chunks=((size,),), dtype=float, meta=np.empty(0), name=source)
        return values * 2.0

    def test_they_count_by_where_they_come_from(self, walk):
        stored = self.of(walk, self.make(4))

        assert differences(stored, self.of(walk, self.make(4), 4)) == []
        assert differences(stored, self.of(walk, self.make(4, "other"), 4)) == [
            "input walk__gain differs along the batch"
        ]

    def test_a_longer_one_may_be_the_same(self, walk):
        stored = self.of(walk, self.make(4))

        assert differences(stored, self.of(walk, self.make(6, "other"), 4)) == []
        assert differences(stored, self.of(walk, self.make(6).astype(int), 4)) != []

    def test_an_array_without_lasting_name_may_be_the_same(self, walk):
        class Slices:
            shape, dtype = (4,), np.dtype(float)

            def __len__(self):
                return 4

            def __reduce__(self):
                raise TypeError

        assert differences(self.of(walk, Slices()), self.of(walk, Slices(), 4)) == []

    def test_one_that_is_loaded_now_is_another(self, walk):
        assert differences(self.of(walk, self.make(4)), self.of(walk, np.zeros(4), 4)) == [
            "input walk__gain differs along the batch"
        ]

    def test_shared_ones_are_not_loaded_either(self, walk):
        made = make_setup(walk.setup(1.0), walk.model)
        lazy = replace(made, plan=replace(made.plan, shared={("walk", "gain"): self.make(4)}))

        assert fingerprint(lazy, encoding={}, seed=1, vectorize=False)["inputs"]["walk__gain"] != ""


def test_labelled_inputs_count_with_their_labels():
    @sh.process
    class Taker:
        value = sh.variable(dims="x", keep_labels=True)

        def initialize(self):
            self.seen = self.value

    model = sh.Model({"taker": Taker})

    def of_labels(labels):
        value = xr.DataArray([1.0, 2.0], {"x": labels})
        dataset = sh.create_setup(model, {"time": [0, 1]}, input_vars={"taker__value": value})
        return fingerprint(make_setup(dataset, model), encoding={}, seed=None, vectorize=False)

    assert differences(of_labels([0, 1]), of_labels([0, 1])) == []
    assert differences(of_labels([0, 1]), of_labels([0, 2])) == [
        "coordinate 'x' has other values",
        "input taker__value has another value",
    ]


def test_a_million_simulations_take_little_time(walk):
    made = make_setup(walk.setup(np.arange(1e6)), walk.model, batch_dim="member")

    def seconds():
        started = time.process_time()
        fingerprint(made, encoding={}, seed=1, vectorize=False)
        return time.process_time() - started

    assert min(seconds() for _ in range(3)) < 0.5

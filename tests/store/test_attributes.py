"""Attributes in a store: NumPy's values as JSON has them, and one error for what JSON cannot say."""

from __future__ import annotations

import datetime
import enum
import math
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import simherd as sh
from simherd.errors import SetupError
from simherd.store.attributes import json_attrs

Kind = enum.Enum("Kind", "A")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.True_, True),
        (np.float32(1.5), 1.5),
        (np.uint8(3), 3),
        (np.array([[0, 1]], "i1"), [[0, 1]]),
        ((0, np.float32(0.5)), [0, 0.5]),
        ({1: np.arange(2)}, {"1": [0, 1]}),
        (None, None),
    ],
)
def test_values_of_numpy_are_stored_as_plain_ones(value, expected):
    (found,) = json_attrs("v", {"a": value}).values()

    assert found == expected
    assert type(found) is type(expected)


def test_nan_stays():
    assert math.isnan(json_attrs("v", {"a": np.float64("nan")})["a"])


@pytest.mark.parametrize(
    "value",
    [datetime.date(2001, 1, 1), np.datetime64("2001"), Path("x"), Kind.A, 1j, {1}, b"x", [np.complex64(1)]],
)
def test_what_json_cannot_say_is_an_error(value):
    with pytest.raises(SetupError, match=r"Attribute 'a' of v cannot be stored: .* of type"):
        json_attrs("v", {"a": value})


FLAGS = {"flag_values": np.array([0, 1], "u1"), "valid_range": (np.float32(0), np.float32(1))}


@pytest.mark.parametrize("is_streamed", [True, False])
@pytest.mark.parametrize("dim", [None, "m"])
def test_outputs_and_inputs_keep_attributes_of_numpy(dim, is_streamed, tmp_path):
    @sh.process
    class P:
        k = sh.variable(default=1.0, attrs=FLAGS)
        x = sh.index(dims="x", attrs=FLAGS)
        o = sh.variable(intent="out", attrs=FLAGS)

        def initialize(self):
            self.o, self.x = 1.0, np.arange(2)

        def run_step(self):
            pass

    model = sh.Model({"p": P})
    setup = sh.create_setup(
        model,
        clocks={"t": xr.DataArray([0, 1, 2], dims="t", attrs=FLAGS)},
        input_vars={} if dim is None else {"p__k": (dim, [1.0, 2.0])},
        output_vars={"p__o": "t"},
    )

    options = {"memory_limit": 8} if is_streamed else {}
    setup.simherd.run(model, dim, store=tmp_path / "o.zarr", **options)
    stored = xr.open_zarr(tmp_path / "o.zarr")

    for name in ("p__o", "p__k", "t", "x"):
        found = {key: stored[name].attrs[key] for key in FLAGS}
        assert found == {"flag_values": [0, 1], "valid_range": [0.0, 1.0]}


@pytest.mark.parametrize("where", ["p__o", "p__k", "t", "the setup"])
def test_an_attribute_without_a_place_is_found_before_anything_runs(where, tmp_path):
    @sh.process
    class P:
        k = sh.variable(default=1.0)
        o = sh.variable(intent="out", attrs={"when": datetime.date(2001, 1, 1)} if where == "p__o" else {})

        def initialize(self):
            raise RuntimeError("it ran")

        def run_step(self):
            pass

    model = sh.Model({"p": P})
    setup = sh.create_setup(
        model, clocks={"t": [0, 1]}, input_vars={"p__k": ("m", [1.0, 2.0])}, output_vars={"p__o": "t"}
    )
    if where != "p__o":
        (setup if where == "the setup" else setup[where]).attrs["when"] = datetime.date(2001, 1, 1)

    with pytest.raises(SetupError, match=f"Attribute 'when' of {where} cannot be stored"):
        setup.simherd.run(model, "m", store=tmp_path / "o.zarr")

    assert not (tmp_path / "o.zarr").exists()

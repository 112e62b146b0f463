from __future__ import annotations

import abc
import contextvars
import functools
import math
import os
import re
import subprocess
import sys
import threading
import time
import types
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from simherd.setup.digests import digest_of


@dataclass
class Soil:
    depth: float = 1.0
    names: set[str] = field(default_factory=lambda: {"clay", "sand", "silt"})


DIFFERENT = [
    None,
    False,
    0,
    0.0,
    -0.0,
    math.nan,
    "",
    "0",
    b"0",
    np.float64(0),
    np.float32(0),
    np.datetime64("2000-01-01"),
    np.datetime64("2000-01-02"),
    np.timedelta64(1, "s"),
    np.zeros(0),
    np.zeros(2),
    np.zeros((2, 1)),
    np.zeros((1, 2)),
    np.zeros(2, int),
    np.array(["a", "b"]),
    np.array(["a", "bc"]),
    np.array(["ab", "c"]),
    np.array(["a", "b"], object),
    np.array([["a"], ["b"]], object),
    np.array([(1, 2.0)], [("a", int), ("b", float)]),
    np.array([(1, 2.0)], [("c", int), ("b", float)]),
    np.ma.masked_array([1.0, 2.0], [True, False]),
    np.ma.masked_array([1.0, 2.0], [False, False]),
    [],
    (),
    [1, 2],
    [[1], 2],
    [1, [2]],
    ["a", "b"],
    ["ab", ""],
    {},
    {"a": 1},
    {"a": {"b": 1}},
    {"b": 1},
    set(),
    {1},
    Soil(),
    Soil(depth=2.0),
    Soil,
    math.sin,
    math.cos,
    np.sin,
    lambda x: x + 1,
    lambda x: x + 2,
    functools.partial(max, 1),
    functools.partial(max, 2),
    re.compile("a"),
    re.compile("b"),
    np.frompyfunc(lambda x: x + 1, 1, 1),
    np.frompyfunc(lambda x: x + 2, 1, 1),
    types.MappingProxyType({"a": 1}),
    types.MappingProxyType({"a": 2}),
    memoryview(b"a"),
    memoryview(b"b"),
    memoryview(b"a").cast("b"),
    contextvars.ContextVar("one"),
    contextvars.ContextVar("one", default=1),
    contextvars.ContextVar("one", default=2),
    xr.DataArray([1.0, 2.0], dims="x"),
    xr.DataArray([1.0, 2.0], dims="y"),
    xr.DataArray([1.0, 2.0], {"x": [0, 1]}),
    xr.DataArray([1.0, 2.0], {"x": [0, 2]}),
    xr.DataArray([1.0, 2.0], dims="x", attrs={"units": "m"}),
    pd.Timestamp("2000-01-01"),
    pd.Timestamp("2000-01-02"),
]


def test_values_that_differ_have_different_digests():
    digests = [digest_of(value) for value in DIFFERENT]

    assert len(set(digests)) == len(digests)


@pytest.mark.parametrize(
    ("value", "other"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (np.arange(6.0).reshape(2, 3)[:, ::2], np.array([[0.0, 2.0], [3.0, 5.0]])),
        (np.array(["a", "bcd"])[:1], np.array(["a"])),
        (np.array(["bb", "a"], "U9"), np.array(["bb", "a"])),
        (Soil(), Soil()),
        (threading.Lock(), threading.Lock()),
        ([1.0, math.nan], [1.0, math.nan]),
    ],
)
def test_equal_values_have_equal_digests(value, other):
    assert digest_of(value) == digest_of(other)


def test_locks_files_and_abstract_classes_are_no_values(tmp_path):
    class Abstract(abc.ABC):
        @abc.abstractmethod
        def grow(self): ...

    missed = []
    with open(tmp_path / "log", "w") as file:
        held = [threading.Lock(), threading.Event(), threading.local(), file, dict(vars(Abstract))]
        digest_of(held, np.sin, re.compile("a"), miss=missed.append)
    assert missed == []
    digest_of(iter_of := (x for x in "ab"), miss=missed.append)
    assert missed == [iter_of]


def test_what_tells_of_this_process_is_the_same_in_others(monkeypatch):
    held = {"environment": os.environ, "arguments": sys.argv}
    before = digest_of(held)
    monkeypatch.setenv("SOME_VARIABLE", "1")
    monkeypatch.setattr(sys, "argv", ["another", "command"])

    assert digest_of({**held, "arguments": sys.argv}) == before


def test_values_that_hold_themselves_have_a_digest():
    value = [1]
    value.append(value)

    assert digest_of(value) == digest_of(value)


@pytest.mark.slow
def test_digests_are_the_same_in_another_process():
    code = """
        from simherd.setup.digests import digest_of
        class Thing:
            def __init__(self):
                self.names = {str(i) for i in range(50)}
        print(digest_of(Thing(), {"x": frozenset("abcdef")}, 1.5, lambda x: x))
    """
    code = "\n".join(line.strip("\n")[8:] for line in code.splitlines())

    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }

    assert len(outputs) == 1


def test_hundred_megabytes_are_hashed_quickly():
    values = np.zeros(100 * 2**20 // 8)

    def seconds():
        started = time.process_time()
        digest_of(values)
        return time.process_time() - started

    assert min(seconds() for _ in range(3)) < 1.0

"""Rules of the samplers."""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from simherd.errors import SetupError
from simherd.setup.parameters import Parameter
from simherd.setup.samplers import METHODS, batch_size, part_of_rows, read_table, sample

DRAWN = ["random", "latin_hypercube", "sobol"]
A = Parameter(name="a", values=(1, 2, 3))
B = Parameter(name="b", values=("x", "y"))
RANGE = Parameter(name="r", low=1e-3, high=1e-1, scale="log")


@st.composite
def ranges(draw, name="p"):
    scale = draw(st.sampled_from(["linear", "log"]))
    integer = draw(st.booleans())
    smallest = 1e-9 if scale == "log" else -1e9
    bound = st.floats(smallest, 1e9)
    if integer:
        bound = st.integers(1 if scale == "log" else -(10**6), 10**6)
    low, high = sorted(draw(st.lists(bound, min_size=2, max_size=2, unique=True)))
    return Parameter(name=name, low=low, high=high, scale=scale, integer=integer)


@settings(deadline=None)
@given(st.sampled_from(DRAWN), ranges(), st.integers(1, 70), st.integers(0, 2**32))
def test_drawn_values_stay_within_the_range_and_repeat_with_the_seed(method, parameter, n, seed):
    values = sample(method, [parameter, RANGE], n, seed)["p"]

    assert values.shape == (n,)
    assert np.all((parameter.low <= values) & (values <= parameter.high))
    assert values.dtype == (np.int64 if parameter.integer else np.float64)
    np.testing.assert_array_equal(values, sample(method, [parameter, RANGE], n, seed)["p"])


@given(ranges(), st.integers(1, 20))
def test_a_grid_of_a_range_goes_from_its_low_to_its_high(parameter, num):
    if parameter.integer:
        num = 2
    parameter = Parameter(
        name="p",
        low=parameter.low,
        high=parameter.high,
        scale=parameter.scale,
        num=num,
        integer=parameter.integer,
    )

    values = sample("grid", [parameter])["p"]

    assert len(values) == num
    assert values[0] == parameter.low
    assert num == 1 or values[-1] == parameter.high
    assert np.all(np.diff(values) >= 0)


def test_a_grid_is_row_major_in_the_order_given():
    values = sample("grid", [A, B])

    assert values["a"].tolist() == [1, 1, 2, 2, 3, 3]
    assert values["b"].tolist() == ["x", "y"] * 3


def test_zip_takes_the_ith_values_together():
    values = sample("zip", [A, Parameter(name="c", low=0, high=1, num=3)])

    assert values["a"].tolist() == [1, 2, 3]
    assert values["c"].tolist() == [0, 0.5, 1]


@pytest.mark.parametrize("method", ["grid", "zip"])
@pytest.mark.parametrize("size", [1, 2, 4])
def test_a_part_of_listed_values_is_spread_from_the_first_to_the_last(method, size):
    parameters = [Parameter(name="a", values=tuple(range(5))), Parameter(name="c", low=0, high=1, num=5)]

    whole, part = sample(method, parameters), sample(method, parameters, size)

    assert batch_size(method, parameters, size) == size
    chosen = part_of_rows(len(whole["a"]), size)
    assert chosen[0] == 0
    assert chosen[-1] == (len(whole["a"]) - 1 if size > 1 else 0)
    for name, values in part.items():
        assert values.tolist() == whole[name][chosen].tolist()


@given(st.integers(1, 10**15), st.integers(1, 50))
def test_a_part_of_rows_has_each_row_once_and_equal_gaps(rows, size):
    numbers = part_of_rows(rows, min(size, rows))

    gaps = np.diff(numbers)
    assert np.all(gaps >= 1)
    assert np.ptp(gaps) <= 1 if len(gaps) else True
    assert 0 <= numbers[0] <= numbers[-1] < rows


def test_a_log_grid_has_equal_ratios():
    values = sample("grid", [Parameter(name="p", low=1, high=100, scale="log", num=3)])["p"]

    np.testing.assert_allclose(values, [1, 10, 100])


@pytest.mark.parametrize("method", DRAWN)
def test_integers_take_both_ends_about_equally_often(method):
    values = sample(method, [Parameter(name="p", low=0, high=3, integer=True)], 4000, 1)["p"]

    assert np.all(np.abs(np.bincount(values) - 1000) < 120)


@pytest.mark.parametrize("method", DRAWN)
def test_drawn_methods_choose_among_listed_values(method):
    assert set(sample(method, [B], 50, 1)["b"]) == {"x", "y"}


@pytest.mark.parametrize("method", DRAWN)
def test_another_seed_gives_other_values(method):
    first, second = (sample(method, [RANGE], 9, seed)["r"] for seed in (1, 2))

    assert not np.array_equal(first, second)


@pytest.mark.parametrize("method", DRAWN)
def test_a_batch_without_parameters_has_its_size_only(method):
    assert sample(method, [], 4, 1) == {}
    assert batch_size(method, [], 4) == 4


def test_a_latin_hypercube_has_one_value_in_each_stratum():
    values = sample("latin_hypercube", [Parameter(name="p", low=0, high=10)], 10, 3)["p"]

    assert sorted(np.floor(values)) == list(range(10))


def test_a_sobol_batch_starts_like_a_longer_one():
    short, long = (sample("sobol", [RANGE], n, 5)["r"] for n in (5, 64))

    np.testing.assert_array_equal(short, long[:5])


@pytest.mark.parametrize("n", [1, 2, 3, 1000])
def test_a_sobol_batch_of_any_size_gives_no_warning(n):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(sample("sobol", [RANGE, Parameter(name="p", low=0, high=1)], n, 1)["p"]) == n


@pytest.mark.parametrize(
    ("method", "parameters", "size", "n"),
    [
        ("grid", [A, B], None, 6),
        ("grid", [A, B], 6, 6),
        ("grid", [Parameter(name="p", low=0, high=1, num=10**9), A], None, 3 * 10**9),
        ("zip", [A], None, 3),
        ("sobol", [RANGE], 10**9, 10**9),
    ],
)
def test_the_batch_size_is_told_without_sampling(method, parameters, size, n):
    assert batch_size(method, parameters, size) == n


def test_scipy_is_imported_for_sobol_only():
    code = (
        "import sys; from simherd.setup.samplers import *\n"
        "p = [Parameter(name='p', low=0, high=1)]\n"
        "batch_size('sobol', p, 4); sample('random', p, 4); sample('latin_hypercube', p, 4)\n"
        "sys.exit('scipy.stats' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("method", "parameters", "size", "part"),
    [
        ("sobl", [A], None, "Did you mean 'sobol'"),
        ("monte_carlo", [], 3, "Unknown sampling"),
        ("grid", [], None, "needs one parameter"),
        ("zip", [A, B], None, "found 'a': 3, 'b': 2"),
        ("grid", [A], 4, "Size is 4"),
        ("grid", [RANGE], None, "needs 'num'"),
        ("random", [RANGE], None, "needs 'size'"),
        ("sobol", [RANGE], 0, "needs 1 or more"),
        ("random", [Parameter(name="p", low=0, high=1, num=3)], 4, "'num' has no use"),
    ],
)
def test_what_does_not_fit_the_method_is_an_error(method, parameters, size, part):
    for function in (batch_size, sample):
        with pytest.raises(SetupError, match=part):
            function(method, parameters, size)


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({}, "both 'low' and 'high'"),
        ({"low": 1}, "found low 1, high None"),
        ({"values": ()}, "no values"),
        ({"values": (1, "a")}, "not of one type"),
        ({"values": ([1], [2])}, "not of one type"),
        ({"values": (1,), "low": 0}, "both values and a range"),
        ({"low": 1, "high": 1}, "not below"),
        ({"low": 2, "high": 1}, "low 2 is not below high 1"),
        ({"low": 0, "high": float("inf")}, "not finite"),
        ({"low": float("nan"), "high": 1}, "not finite"),
        ({"low": -1e308, "high": 1e308}, "not finite"),
        ({"low": 0, "high": 1, "scale": "log"}, "not above 0"),
        ({"low": 0, "high": 1, "scale": "cubic"}, "'linear' and 'log'"),
        ({"low": 0, "high": 1, "num": 0}, "num is 0"),
        ({"low": 0.5, "high": 3, "integer": True}, "whole 'low' and 'high'"),
        ({"low": 0, "high": 2**60, "integer": True}, "2\\*\\*53"),
        ({"low": 0, "high": 3, "integer": True, "num": 5}, "less than 5 whole numbers"),
    ],
)
def test_a_wrong_parameter_is_an_error(given, part):
    with pytest.raises(SetupError, match=part):
        Parameter(name="p", **given)


def test_a_log_grid_of_integers_must_have_different_values():
    parameter = Parameter(name="p", low=1, high=20, scale="log", num=19, integer=True)

    with pytest.raises(SetupError, match="different whole numbers"):
        sample("grid", [parameter])


def test_every_method_is_tested_here():
    assert set(METHODS) == {"grid", "zip", *DRAWN}


@pytest.fixture
def table():
    return {"a": np.array([1, 2, 3]), "b": np.array([0.5, 1.5, 2.5])}


@pytest.fixture(params=[".csv", ".nc", ".zarr"])
def table_path(request, table, tmp_path):
    path = tmp_path / f"table{request.param}"
    dataset = xr.Dataset({name: ("row", values) for name, values in table.items()})
    if request.param == ".csv":
        path.write_text("a, b\n# a comment\n1, 0.5\n2, 1.5\n\n3, 2.5\n")
    elif request.param == ".nc":
        dataset.to_netcdf(path)
    else:
        dataset.to_zarr(path)
    return path


def test_a_table_gives_its_columns(table_path, table):
    read = read_table(table_path)

    assert list(read) == ["a", "b"]
    for name, values in table.items():
        np.testing.assert_array_equal(read[name], values)
        assert read[name].dtype == values.dtype


def test_columns_are_renamed_to_parameters(table_path):
    np.testing.assert_array_equal(read_table(table_path, {"p": "b"})["p"], [0.5, 1.5, 2.5])


def test_a_missing_column_comes_with_close_matches(table_path):
    with pytest.raises(SetupError, match=r"no variable 'aa'. Did you mean 'a'"):
        read_table(table_path, {"p": "aa"})


def test_columns_of_a_table_have_one_length_and_one_dimension(tmp_path):
    xr.Dataset({"a": ("x", [1, 2]), "b": (("x", "y"), [[1], [2]])}).to_netcdf(tmp_path / "t.nc")

    with pytest.raises(SetupError, match=r"'b': \(2, 1\)"):
        read_table(tmp_path / "t.nc")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "must name each column"),
        ("a,a\n1,2\n", "each name once"),
        ("a,b\n1,2\n3\n", "line 3: found 1 values, needs 2"),
        ("a,b\n1,\n", "line 2: found 1 values"),
        ("a,b\n", "1 or more"),
        ('a\n"b\n', "Cannot read"),
    ],
)
def test_a_bad_csv_table_is_an_error(tmp_path, text, part):
    (tmp_path / "t.csv").write_text(text)

    with pytest.raises(SetupError, match=part):
        read_table(tmp_path / "t.csv")


def test_a_missing_table_comes_with_close_matches(tmp_path):
    (tmp_path / "table.csv").write_text("a\n1\n")

    with pytest.raises(SetupError, match=r"Did you mean 'table\.csv'"):
        read_table(tmp_path / "tabel.csv")


@pytest.mark.parametrize("suffix", [".nc", ".npz", ".npy"])
def test_a_file_that_is_not_what_its_name_says_is_an_error(tmp_path, suffix):
    path = tmp_path / f"t{suffix}"
    path.write_text("nothing of the kind")

    with pytest.raises(SetupError, match="Cannot read"):
        read_table(path)

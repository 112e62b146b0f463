"""Rules of a column: types widen, zeros stay, shapes are kept."""

from __future__ import annotations

import datetime
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simherd.engine.columns import Column
from simherd.engine.values import fill_value_for
from simherd.errors import OutputError


def fill(values, saves=None, **options):
    column = Column("p__x", 1, saves or len(values), **options)
    for position, value in enumerate(values):
        column.put(0, position, value)
    return column.values[0]


@pytest.mark.parametrize(
    ("values", "expected", "dtype"),
    [
        ([5, 1.7], [5.0, 1.7], float),
        ([1.5, 2], [1.5, 2.0], float),
        ([False, True, 3], [0, 1, 3], int),
        ([np.int8(1), 300], [1, 300], int),
        ([np.float32(0.5), 0.1], [0.5, 0.1], float),
        ([np.uint8(255), -1], [255, -1], int),
        ([1, 2j], [1, 2j], complex),
        (["a", "long text"], ["a", "long text"], object),
        ([1, np.uint64(2**63 + 1)], [1, 2**63 + 1], np.uint64),
    ],
)
def test_a_wider_value_widens_the_column(values, expected, dtype):
    found = fill(values)

    assert found.tolist() == expected
    assert found.dtype == dtype


@pytest.mark.parametrize("zeros", [[0, 0], [0.0, 0.0], [False, False], ["", ""]])
def test_zeros_stay_zeros(zeros):
    assert fill([*zeros], saves=3).tolist()[:2] == zeros


@given(st.lists(st.booleans() | st.integers(-(2**40), 2**40) | st.floats(-1e9, 1e9), min_size=1))
def test_numbers_of_any_types_are_kept_in_any_order(values):
    assert fill(values).tolist() == values


def test_what_was_not_saved_stays_missing_when_a_column_widens():
    column = Column("p__x", 2, 2)
    column.put(0, 0, False)
    column.put(1, 0, 2)

    assert column.values.tolist() == [[0, 2**63 - 1024], [2, 2**63 - 1024]]


@pytest.mark.parametrize(
    ("dtype", "value"),
    [("i2", 32767), ("u1", 255), ("i8", 2**63 - 1024), ("u8", 2**64 - 2048), ("?", False), ("O", "")],
)
def test_what_stands_for_a_missing_value_is_the_largest_integer_false_or_an_empty_text(dtype, value):
    assert fill_value_for(np.dtype(dtype)) == value


@pytest.mark.parametrize("dtype", ["f4", "f8", "c16", "M8[ns]", "m8[s]"])
def test_what_stands_for_a_missing_number_or_date_is_unequal_to_itself(dtype):
    missing = fill_value_for(np.dtype(dtype))

    assert missing.dtype == dtype
    assert missing != missing


@pytest.mark.parametrize("values", [[np.zeros(2), 1.0], [1.0, np.zeros(2)], [np.zeros(2), np.zeros((2, 1))]])
def test_another_number_of_dimensions_is_an_error(values):
    with pytest.raises(OutputError, match=r"'p__x' has a value of shape .* expected is"):
        fill(values)


@pytest.mark.parametrize("values", [[np.zeros(2)], [np.zeros(3), np.zeros(4)]])
def test_the_size_of_a_known_dimension_is_kept(values):
    with pytest.raises(OutputError, match=r"has a value of shape \(\d,\), expected is .*\(3,\)"):
        fill(values, sizes=[(), (3,)])


def test_values_that_grow_and_shrink_are_filled_up():
    found = fill([np.array([1.0]), np.array([2.0, 3.0, 4.0]), np.array([5.0, 6.0])])

    np.testing.assert_array_equal(found, [[1, np.nan, np.nan], [2, 3, 4], [5, 6, np.nan]])


def test_growing_keeps_zeros_and_what_other_simulations_saved():
    column = Column("p__x", 2, 2)

    column.put(0, 0, np.array([0, 7]))
    column.put(1, 0, np.array([1, 2, 3]))

    missing = 2**63 - 1024
    assert column.values.tolist() == [
        [[0, 7, missing], [missing] * 3],
        [[1, 2, 3], [missing] * 3],
    ]


@pytest.mark.parametrize(("dtype", "value"), [("f4", 0.5), ("f4", 3), ("i4", True), ("f8", np.float32(0.5))])
def test_a_declared_type_is_kept(dtype, value):
    found = fill([value, value], dtype=dtype)

    assert found.dtype == dtype
    assert found.tolist() == [value, value]


@pytest.mark.parametrize(("dtype", "value"), [("i4", 1.7), ("i1", 300), ("u1", -1), ("f8", 1j), ("f8", "a")])
def test_a_value_that_does_not_fit_its_declared_type_is_an_error(dtype, value):
    with pytest.raises(OutputError, match="does not fit its type"):
        fill([value], dtype=dtype)


@pytest.mark.parametrize("dtype", [str, "U3", object])
def test_texts_of_any_length_fit_a_declared_text(dtype):
    assert fill(["a", "longer"], dtype=dtype).tolist() == ["a", "longer"]


NS = np.datetime64("2000-01-01T00:00:00.000000001")


@pytest.mark.parametrize(
    "values",
    [
        [1.5, np.datetime64("2000-01-01")],
        [5, np.timedelta64(1, "s")],
        [0.5, 2**60 + 1],
        [2**60 + 1, 0.5],
        [2**63 - 1, 0.5],
        [-1, np.uint64(2**63 + 1)],
        [NS, np.datetime64("3000-01-01")],
        [np.timedelta64(1, "M"), np.timedelta64(90, "s")],
    ],
)
def test_values_that_no_type_holds_together_are_an_error(values):
    with pytest.raises(OutputError, match=f"has the value .*{str(values[1])[:10]}.* after values of type"):
        fill(values)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (["2001-01-01", "2001-01-01T00:07"], "M8[s]"),
        (["2001-01-01T00:00:01", "2001-01-01T00:00:01.5"], "M8[ms]"),
        (["2001-01-01T00:00:00.000000000", "3000-01-01"], "M8[us]"),
        (["2001-01-01T00:00:00.000000001", "2001-01-01"], "M8[ns]"),
        (["2001", "2001-02"], "M8[s]"),
        (["NaT", "2001-01-01T05"], "M8[us]"),
        (["NaT", "+300000000-01-01"], "M8[s]"),
    ],
)
@pytest.mark.parametrize("make", [np.asarray, lambda date: np.asarray([date])])
def test_dates_of_different_units_are_exact(values, dtype, make):
    dates = list(map(np.datetime64, values))

    found = fill([make(date) for date in dates])

    assert found.dtype == dtype
    assert [
        one == date or (np.isnat(one) and np.isnat(date)) for one, date in zip(found, dates, strict=True)
    ] == [True] * 2


@pytest.mark.parametrize(
    ("first", "later", "dtype"),
    [
        (np.timedelta64(1, "h"), np.timedelta64(90, "s"), "m8[s]"),
        (np.timedelta64(0), np.timedelta64(90, "m"), "m8[us]"),
        (np.timedelta64("NaT"), np.timedelta64(1, "ns"), "m8[ns]"),
        (np.timedelta64(1, "Y"), np.timedelta64(5, "M"), "m8[M]"),
        (np.timedelta64(2, "W"), datetime.timedelta(microseconds=1), "m8[us]"),
    ],
)
def test_durations_of_different_units_are_exact(first, later, dtype):
    found = fill([first, later])

    assert found.dtype == dtype
    assert np.isnat(found[0]) if np.isnat(first) else found[0] == first
    assert found[1] == later


def test_dates_of_python_are_dates():
    found = fill([datetime.date(2001, 1, 1), datetime.datetime(2001, 1, 1, 0, 0, 0, 1)])

    assert found.tolist() == [datetime.datetime(2001, 1, 1), datetime.datetime(2001, 1, 1, 0, 0, 0, 1)]
    assert found.dtype == "M8[us]"


@pytest.mark.parametrize(
    ("dtype", "value", "helps"),
    [
        ("M8[s]", np.datetime64("2001-01-01T00:00:00.5"), "datetime64[ms]"),
        ("m8[s]", np.timedelta64(1, "ms"), "timedelta64[ms]"),
        ("M8[ns]", np.datetime64("3000-01-01"), "datetime64[us]"),
        ("f4", 1 / 3, "float64"),
        ("f4", 1e300, "float64"),
        ("f4", 2**24 + 1, "float64"),
        ("f8", 2**60 + 1, "int64"),
        ("c8", 0.1, "complex128"),
        ("i1", 300, "int64"),
        ("u1", -1, "int64"),
        ("i8", np.uint64(2**63), "uint64"),
        ("i8", np.nan, "float64"),
        ("f8", "a", "str"),
    ],
)
@pytest.mark.parametrize("make", [np.asarray, lambda value: np.asarray([value])])
def test_a_type_that_was_found_changes_no_value(dtype, value, helps, make):
    with pytest.raises(
        OutputError, match=rf"has the value .* \(taken from its first values.*'dtype': '{re.escape(helps)}'"
    ):
        fill([make(value)], dtype=dtype, rounds=False)


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("f4", 0.5),
        ("f4", np.inf),
        ("f4", np.nan),
        ("M8[s]", np.datetime64("NaT")),
        ("i1", np.int64(7)),
        ("f8", 2**53),
    ],
)
def test_a_type_that_was_found_takes_values_that_it_holds(dtype, value):
    found = fill([value], dtype=dtype, rounds=False)

    assert found.dtype == dtype
    assert found[0] == value or value != value


@pytest.mark.parametrize("dtype", ["f2", "f4", "c8"])
def test_a_declared_float_rounds_and_does_not_overflow(dtype):
    assert fill([0.1, 2049], dtype=dtype).tolist() == np.array([0.1, 2049], dtype).tolist()
    for value in (1e300, np.array([1.0, -1e300])):
        with pytest.raises(OutputError, match=r"1e\+300 of type float64, which does not fit .* \(declared\)"):
            fill([value], dtype=dtype)
    assert fill([-np.inf], dtype=dtype)[0] == -np.inf


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (2**70, "the value 1180591620717411303424, an integer beyond 64 bits"),
        (np.array([1, 2**70], object), "the value 1180591620717411303424"),
        (np.zeros((), [("a", "i4"), ("b", "f8")]), "a value of type .*'a'.*, which no store holds"),
        (np.timedelta64(5), "a duration without a unit"),
        ([[1], [1, 2]], "a value that is no array"),
        pytest.param(
            np.longdouble(1),
            "a value of type float128, which no store holds",
            marks=pytest.mark.skipif(np.longdouble is np.float64, reason="long doubles are doubles here"),
        ),
    ],
)
@pytest.mark.parametrize("before", [[], [1]])
def test_a_value_of_a_type_without_a_place_is_an_error(before, value, message):
    with pytest.raises(OutputError, match=f"Output 'p__x' has {message}"):
        fill([*before, value], saves=2)


def test_integers_of_python_that_grow_beyond_64_bits_are_an_error():
    with pytest.raises(OutputError, match="beyond 64 bits"):
        fill([1, 1, 2**70])


# Missing values


MASK = [False, True, False]


@pytest.mark.parametrize(
    ("values", "missing"),
    [
        (np.array([1.0, -9999.0, 3.0], "f4"), np.nan),
        (np.array([1, 2, 3], "M8[s]"), np.datetime64("NaT")),
        (np.array([1, 2, 3], "m8[s]"), np.timedelta64("NaT")),
        (np.array([1, -9999, 3], "i2"), 32767),
        (np.array(["a", "b", "c"]), ""),
    ],
)
def test_masked_values_are_missing(values, missing):
    (found,) = fill([np.ma.MaskedArray(values, MASK)])

    assert found.dtype.kind == values.dtype.kind or values.dtype.kind == "U"
    assert found[1] == missing or (found[1] != found[1] and missing != missing)
    assert found[[0, 2]].tolist() == values[[0, 2]].tolist()


def test_masked_integers_have_the_fill_value_of_the_output():
    masked = np.ma.MaskedArray([1, 9999, 3], MASK)

    assert fill([masked], fill_value=-1).tolist() == [[1, -1, 3]]
    assert fill([masked], dtype="i1").tolist() == [[1, 127, 3]]


def test_what_is_masked_is_missing_in_a_wider_type_too():
    found = fill([np.ma.MaskedArray(7, True), 5, 0.5])

    np.testing.assert_array_equal(found, [np.nan, 5, 0.5])


@pytest.mark.parametrize(
    ("before", "missing"), [([], np.nan), ([1.5], np.nan), ([3], 2**63 - 1024), (["a"], "")]
)
def test_the_mean_of_nothing_is_missing(before, missing):
    found = fill([*before, np.ma.masked])

    np.testing.assert_equal(found[-1], missing)


@pytest.mark.parametrize("missing", [None, np.nan, np.float32("nan"), np.datetime64("NaT"), pd.NA, pd.NaT])
@pytest.mark.parametrize("dtype", [None, str])
def test_missing_texts_have_the_fill_value_of_the_output(missing, dtype):
    texts = np.array(["a", missing], object)
    given = {"dtype": dtype, "fill_value": "n/a"}

    assert fill([texts, texts[::-1]], dtype=dtype).tolist() == [["a", ""], ["", "a"]]
    assert fill([texts, texts[::-1]], **given).tolist() == [["a", "n/a"], ["n/a", "a"]]
    if dtype is str:
        assert fill([missing, "b", missing], **given).tolist() == ["n/a", "b", "n/a"]


@pytest.mark.parametrize("before", [[None], [np.nan]])
def test_a_missing_value_before_the_first_text_is_a_missing_text(before):
    assert fill([*before, "b", *before, np.ma.masked]).tolist() == ["", "b", "", ""]


def test_missing_texts_of_simulations_that_are_advanced_together():
    column = Column("p__x", 2, 2)
    for position, values in enumerate([["a", "b"], [None, "d"]]):
        column.put_rows(0, position, np.array(values, object))

    assert column.values.tolist() == [["a", ""], ["b", "d"]]


def test_missing_texts_are_kept_in_a_checkpoint():
    column, again = (Column("p__x", 1, 2, fill_value="n/a") for _ in range(2))
    column.put(0, 0, np.array([None, "a"], object))

    again.put_back(0, column.kept(0))

    assert again.values[0, 0].tolist() == ["n/a", "a"]


def test_masked_booleans_are_an_error():
    with pytest.raises(OutputError, match=r"masked values of type bool.*'dtype': 'float32'"):
        fill([np.ma.MaskedArray([True, False, True], MASK)])


def test_masked_values_are_kept_in_a_checkpoint():
    column, again = Column("p__x", 1, 3), Column("p__x", 1, 3)
    column.put(0, 0, np.ma.masked_equal(np.int8([1, 2]), 2))

    again.put_back(0, column.kept(0))
    again.put(0, 1, np.array([0.5, 0.5]))

    np.testing.assert_array_equal(again.values[0, :2], [[1, np.nan], [0.5, 0.5]])


def test_the_first_value_may_be_a_scalar_of_numpy():
    column = Column("p__x", 1, 1, shape=())

    column.put(0, 0, np.float64(0.5))

    assert column.values.tolist() == [[0.5]]


def test_arrays_are_copied():
    array = np.zeros(2)
    column = Column("p__x", 1, 2)
    column.put(0, 0, array)
    array += 1
    column.put(0, 1, array)

    assert column.values[0].tolist() == [[0, 0], [1, 1]]


def test_a_cleared_row_is_missing_again():
    column = Column("p__x", 2, 2)
    for row in (0, 1):
        column.put(row, 0, 7)
    column.clear(0)
    column.put(1, 1, 0.5)

    np.testing.assert_array_equal(column.values, [[np.nan, np.nan], [7, 0.5]])
    assert column.filled == [0, 2]


def test_a_text_is_kept_as_a_text_and_not_as_an_array_of_one():
    column = Column("out", 1, 2)
    column.put(0, 0, "a")
    column.put(0, 1, "longer")

    assert column.values.tolist() == [["a", "longer"]]
    assert [type(value) for value in column.values[0]] == [str, str]


def test_what_fills_up_shorter_values_is_missing_in_a_wider_type_too():
    column = Column("a", 1, 3, sizes=((None,),))

    column.put(0, 0, np.array([1, 2]))
    column.put(0, 1, np.array([1, 2, 3]))
    column.put(0, 2, np.array([1.5]))

    nan = np.nan
    np.testing.assert_array_equal(column.values[0], [[1, 2, nan], [1, 2, 3], [1.5, nan, nan]])

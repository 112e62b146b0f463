"""Rules of a column: types widen, zeros stay, shapes are kept."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simherd.engine import Column, fill_value_for
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
        ([np.iinfo(int).max, 0.5], [float(np.iinfo(int).max), 0.5], float),
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

    assert column.values.tolist() == [[0, np.iinfo(int).max], [2, np.iinfo(int).max]]


@pytest.mark.parametrize(
    ("dtype", "value"),
    [("i2", 32767), ("u1", 255), ("?", False), ("O", "")],
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

    missing = np.iinfo(np.int64).max
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
    with pytest.raises(OutputError, match="do not fit its type"):
        fill([value], dtype=dtype)


@pytest.mark.parametrize("dtype", [str, "U3", object])
def test_texts_of_any_length_fit_a_declared_text(dtype):
    assert fill(["a", "longer"], dtype=dtype).tolist() == ["a", "longer"]


def test_values_that_no_type_holds_together_are_an_error():
    with pytest.raises(OutputError, match="after values of type"):
        fill([1.5, np.datetime64("2000-01-01")])


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

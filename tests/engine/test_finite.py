from __future__ import annotations

import numpy as np
import pytest

from simherd.engine.finite import FiniteColumn
from simherd.errors import OutputError


@pytest.fixture
def column():
    made = FiniteColumn("p__x", 3, 2)
    made.when = lambda position: f"at position {position}"
    return made


def test_rows_that_are_saved_together_are_looked_at_too(column):
    column.put_rows(0, 0, np.array([1.0, 2.0]))

    with pytest.raises(OutputError, match="2 of 3 values that are not finite at position 1"):
        column.put_rows(0, 1, np.array([1.0, np.nan, -np.inf]))
    assert column.values[:, 0].tolist()[:2] == [1.0, 2.0]


@pytest.mark.parametrize("value", [1, 1.5, True, 1j, np.arange(3), np.datetime64("2000-01-01")])
def test_numbers_and_dates_of_all_kinds_are_fine(column, value):
    column.put(0, 0, value)

    assert np.array_equal(column.values[0, 0], value)


@pytest.mark.parametrize("value", [np.nan, -np.inf, complex(0, np.nan), np.datetime64("NaT")])
def test_what_is_not_finite_is_refused(column, value):
    with pytest.raises(OutputError, match="'p__x' has 1 of 1 values"):
        column.put(0, 0, value)


def test_what_is_filled_up_is_no_value(column):
    column.put(0, 0, np.ones(2))
    column.put(1, 0, np.ones(3))

    assert np.isnan(column.values[0, 0, 2])
    column.put_back(2, column.kept(0))
    assert column.values[2, 0].tolist()[:2] == [1, 1]

"""Results that stay in memory."""

from __future__ import annotations

import numpy as np
import pytest

from simherd.engine.columns import Column
from simherd.store.layout import ArrayLayout
from simherd.store.memory import values_of


def layout(shape, dtype=float, fill_value=np.nan):
    return ArrayLayout(
        name="p__v", dims=("t", "x")[: len(shape)], shape=shape, chunks=shape or (1,), dtype=np.dtype(dtype),
        fill_value=fill_value, attrs={},
    )  # fmt: skip


def column(*values):
    made = Column("p__v", 1, len(values))
    for position, value in enumerate(values):
        made.put(0, position, value)
    return made


@pytest.mark.parametrize(
    ("shape", "values"), [((2, 3), [np.ones(3), np.zeros(3)]), ((2,), [1.0, 2.0]), ((), [1.5])]
)
def test_the_values_of_one_simulation_are_not_copied(shape, values):
    saved = column(*values)

    array = values_of(layout(shape), saved)

    assert array.shape == shape
    assert np.shares_memory(array, saved.values)


def test_values_of_another_type_or_shape_are_fitted_in():
    array = values_of(layout((2, 4), fill_value=-1.0), column(np.array([1, 2]), np.array([3, 4])))

    assert array.tolist() == [[1.0, 2.0, -1.0, -1.0], [3.0, 4.0, -1.0, -1.0]]

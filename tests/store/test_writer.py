from __future__ import annotations

import numpy as np
import pytest

from simherd.engine.block import BlockResult
from simherd.errors import StoreError
from simherd.store.writer import ArrayWriter


def result(numbers, values=None):
    size = len(numbers)
    return BlockResult(
        numbers=numbers,
        values=[values],
        status=np.ones(size, "u1"),
        seconds=np.full(size, 0.5),
        failures=(),
    )


def writer(total=10, chunk=4):
    return ArrayWriter(
        [np.full(total, np.nan)], [False], np.zeros(total, "u1"), np.full(total, np.nan), chunk
    )


@pytest.mark.parametrize("numbers", [range(4), range(8, 10), range(1, 3), np.array([0, 5, 9])])
def test_the_rows_of_simulations_are_written(numbers):
    made = writer()

    made.write(result(numbers, np.asarray(numbers, float).reshape(-1, 1)))

    written = np.isfinite(made.outputs[0])
    np.testing.assert_array_equal(np.flatnonzero(written), np.asarray(numbers))
    np.testing.assert_array_equal(made.outputs[0][written], np.asarray(numbers))
    assert made.status.sum() == len(numbers)


@pytest.mark.parametrize("numbers", [range(4), range(4, 8), range(8, 10), range(10), range(4, 10)])
def test_whole_chunks_belong_to_who_runs_them(numbers):
    assert writer().owns(numbers)


@pytest.mark.parametrize(
    "numbers", [range(1, 5), range(3), range(4, 6), range(8, 9), range(1, 8), np.array([0, 1, 3])]
)
def test_parts_of_chunks_do_not(numbers):
    assert not writer().owns(numbers)


def test_simulations_beyond_the_store_are_refused():
    with pytest.raises(StoreError, match="Simulation 10 is beyond the store, which has 10"):
        writer().write(result(range(8, 11), np.zeros((3, 1))))


def test_nothing_that_ran_is_nothing_to_write():
    made = writer()

    made.write(result(range(4, 4)))

    assert not made.status.any()


def test_outputs_without_a_value_keep_their_fill_values():
    made = writer()

    made.write(result(range(4)))

    assert np.isnan(made.outputs[0]).all()
    assert made.status[:4].tolist() == [1] * 4


def test_the_status_is_written_last():
    class Refusing:
        dtype = np.dtype(float)

        def __setitem__(self, where, values):
            raise OSError("disk full")

    made = writer()
    broken = ArrayWriter([Refusing()], [True], made.status, made.seconds, 4)

    with pytest.raises(StoreError, match="simulations 0 to 3 of the store: disk full"):
        broken.write(result(range(4), np.zeros((4, 1))))
    assert not made.status.any()

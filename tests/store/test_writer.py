from __future__ import annotations

import numpy as np
import pytest

from simherd.engine.block import BlockResult
from simherd.errors import StoreError
from simherd.store.writer import ArrayWriter


def result(start, size, values=None):
    return BlockResult(
        start=start,
        values=[values],
        status=np.ones(size, "u1"),
        seconds=np.full(size, 0.5),
        failures=(),
    )


def writer(total=10, block_size=4):
    return ArrayWriter(
        [np.full(total, np.nan)], [False], np.zeros(total, "u1"), np.full(total, np.nan), block_size
    )


@pytest.mark.parametrize(("start", "size"), [(0, 4), (4, 4), (8, 2), (0, 10), (4, 6)])
def test_whole_blocks_are_written(start, size):
    made = writer()

    made.write(result(start, size, np.arange(float(size)).reshape(size, 1)))

    np.testing.assert_array_equal(made.outputs[0][start : start + size], np.arange(size))
    assert made.status.sum() == size


@pytest.mark.parametrize(("start", "size"), [(1, 4), (0, 3), (4, 2), (8, 4), (8, 1)])
def test_what_is_no_whole_block_is_refused(start, size):
    with pytest.raises(StoreError, match="not whole blocks of 4 out of 10"):
        writer().write(result(start, size, np.zeros((size, 1))))


def test_outputs_without_a_value_keep_their_fill_values():
    made = writer()

    made.write(result(0, 4, None))

    assert np.isnan(made.outputs[0]).all()
    assert made.status[:4].tolist() == [1] * 4


def test_the_status_is_written_last():
    class Refusing:
        dtype = np.dtype(float)

        def __setitem__(self, where, values):
            raise OSError("disk full")

    made = writer()
    broken = ArrayWriter([Refusing()], [True], made.status, made.seconds, 4)

    with pytest.raises(OSError, match="disk full"):
        broken.write(result(0, 4, np.zeros((4, 1))))
    assert not made.status.any()

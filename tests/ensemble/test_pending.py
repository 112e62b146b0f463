"""Blocks: which simulations a task runs, and how those of a worker that ended are split."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simherd.ensemble.pending import Pending, count_blocks, split

numbers = st.sets(st.integers(0, 200), min_size=1).map(sorted).map(np.array)


def take_all(pending, chunks):
    blocks = []
    while len(pending):
        blocks.append(pending.take(chunks))
    return blocks


@given(simulations=st.integers(1, 300), chunk=st.integers(1, 400), chunks=st.integers(1, 5))
def test_blocks_of_a_whole_batch_are_whole_chunks(simulations, chunk, chunks):
    values = np.arange(simulations)

    blocks = take_all(Pending(range(simulations), chunk, {("p", "v"): values}), chunks)

    assert all(block.numbers.start % (chunk * chunks) == 0 for block in blocks)
    assert len(blocks) == count_blocks(simulations, chunk * chunks)
    np.testing.assert_array_equal(np.concatenate([b.inputs["p", "v"] for b in blocks]), values)


@given(numbers=numbers, chunk=st.integers(1, 50), chunks=st.integers(1, 5))
def test_each_simulation_that_is_left_stands_in_one_block(numbers, chunk, chunks):
    values = np.arange(201)

    blocks = take_all(Pending(numbers, chunk, {("p", "v"): values}), chunks)

    np.testing.assert_array_equal(np.concatenate([np.asarray(b.numbers) for b in blocks]), numbers)
    np.testing.assert_array_equal(np.concatenate([b.inputs["p", "v"] for b in blocks]), numbers)
    assert all(0 < block.size <= chunk * chunks for block in blocks)


def test_blocks_end_where_chunks_do():
    pending = Pending(np.array([1, 2, 3, 4, 5, 6, 7, 9, 10, 11]), 4, {})

    blocks = take_all(pending, 1)

    assert [block.numbers for block in blocks[:2]] == [range(1, 4), range(4, 8)]
    assert blocks[2].numbers == range(9, 12)


def test_simulations_that_are_put_back_come_first_and_as_they_are():
    pending = Pending(range(8), 4, {})
    pending.take(1)

    pending.put_back([range(1), np.array([2, 3])])

    assert len(pending) == 7
    assert [block.numbers for block in take_all(pending, 2)] == [range(1), range(2, 4), range(4, 8)]


@given(numbers=numbers, data=st.data())
def test_the_suspect_stands_alone(numbers, data):
    suspect = data.draw(st.sampled_from(numbers.tolist()))

    parts = split(numbers, suspect)

    assert [suspect] in [np.asarray(part).tolist() for part in parts]
    np.testing.assert_array_equal(np.concatenate(parts), numbers)


@given(numbers=numbers)
def test_without_a_suspect_parts_get_smaller_until_they_are_single(numbers):
    rounds, parts = 0, [numbers]
    while any(len(part) > 1 for part in parts):
        parts = [smaller for part in parts for smaller in split(part, None)]
        rounds += 1

    np.testing.assert_array_equal(np.concatenate(parts), numbers)
    assert rounds <= 3  # 8 * 8 * 8 > 201

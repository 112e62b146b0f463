from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simherd.errors import SetupError
from simherd.store.layout import check_encoding, chunk_along, chunk_size_for, required_multiple

sizes = st.integers(1, 10**6)


@given(
    simulations=sizes,
    nbytes=st.integers(0, 10**9),
    workers=st.integers(1, 1000),
    multiple=st.integers(1, 100),
)
def test_a_block_is_a_positive_multiple_and_no_longer_than_the_batch_needs(
    simulations, nbytes, workers, multiple
):
    size = chunk_size_for(simulations, nbytes, workers, None, None, multiple)

    assert size >= 1
    assert size % multiple == 0
    assert size < simulations + multiple


@given(simulations=sizes, requested=sizes)
def test_a_requested_block_size_holds_up_to_the_size_of_the_batch(simulations, requested):
    assert chunk_size_for(simulations, 8, 2, None, requested) == min(requested, simulations)


def test_each_worker_gets_about_four_blocks():
    assert chunk_size_for(64, 8, workers=2) == 8


@pytest.mark.parametrize(("seconds", "size"), [(1e-5, 250), (0.01, 63), (0.004, 125), (1.0, 60), (3600.0, 1)])
def test_chunks_are_half_a_second_of_work_where_that_is_enough_for_all(seconds, size):
    assert chunk_size_for(2000, 8, 2, seconds) == size


def test_large_simulations_make_small_blocks():
    assert chunk_size_for(10**6, 2**20, workers=2) == 4
    assert chunk_size_for(10**6, 2**30, workers=2) == 1


def test_blocks_are_whole_chunks_of_every_output():
    encoding = {"a": {"chunks": (4, 1)}, "b": {"chunks": [6]}, "c": {}, "d": {"chunks": None}}

    assert required_multiple(encoding, 1000) == 12


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ((2, 3), (2, 3)),
        ([2, -1], (2, 7)),
        ((None, 3), (5, 3)),
        ((2,), (2, 7)),
        (3, (3, 3)),
        (-1, (5, 7)),
        ((np.int64(2), 9), (2, 7)),
    ],
)
def test_what_is_not_said_of_chunks_is_one_along_the_axis(chunks, expected):
    check_encoding("a", {"chunks": chunks})

    assert tuple(chunk_along(chunks, axis, size) for axis, size in enumerate((5, 7))) == expected


def test_a_chunk_of_the_whole_batch_is_one_block():
    assert required_multiple({"a": {"chunks": (-1, 2)}}, 7) == 7


@pytest.mark.parametrize("chunks", [0, [0], [-2, 2], "auto", [2.5], {"member": 2}, True])
def test_chunks_are_whole_numbers(chunks):
    with pytest.raises(SetupError, match=r"chunks .* are not allowed"):
        check_encoding("a", {"chunks": chunks})


def test_an_unknown_encoding_comes_with_the_close_match():
    with pytest.raises(SetupError, match="Did you mean 'dtype'"):
        check_encoding("a", {"dtpye": "f4"})

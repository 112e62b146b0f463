from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simherd.errors import SetupError, StoreLockedError
from simherd.store.lock import Lock, is_locked, locked
from simherd.store.shares import Share, claimed_share, parse_share


@given(size=st.integers(1, 5000), chunk=st.integers(1, 700), count=st.integers(1, 40))
def test_shares_are_whole_chunks_that_cover_the_batch_once(size, chunk, count):
    parts = [Share(number, count).simulations(size, chunk) for number in range(1, count + 1)]

    assert [number for part in parts for number in part] == list(range(size))
    assert all(part.start % chunk == 0 for part in parts if len(part))


@given(numbers=st.sets(st.integers(0, 199), min_size=1), chunk=st.integers(1, 60), count=st.integers(1, 7))
def test_what_is_left_to_run_is_given_to_one_share_each(numbers, chunk, count):
    left = np.array(sorted(numbers))
    parts = [Share(number, count).part_of(left, 200, chunk) for number in range(1, count + 1)]

    assert np.concatenate(parts).tolist() == left.tolist()


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0", "-1/2"])
def test_a_share_that_is_none_is_refused(text):
    with pytest.raises(SetupError, match="is not known"):
        parse_share(text)


def test_the_first_share_is_alone_until_it_lets_others_in(tmp_path):
    store = tmp_path / "out.zarr"
    came = threading.Event()

    def second():
        with claimed_share(store, Share(2, 2)) as claim:
            assert not claim.is_alone
            came.set()

    with claimed_share(store, Share(1, 2)) as claim:
        assert claim.is_alone
        other = threading.Thread(target=second)
        other.start()
        assert not came.wait(0.5)
        store.mkdir()
        (store / "zarr.json").touch()
        claim.let_others_in()

        assert came.wait(10)
    other.join()


def test_only_the_last_share_is_alone_at_the_end_and_the_lock_goes_with_it(tmp_path):
    store = tmp_path / "out.zarr"
    store.mkdir()
    (store / "zarr.json").touch()
    with claimed_share(store, Share(1, 2)) as last:
        last.let_others_in()
        with claimed_share(store, Share(2, 2)) as first:
            assert not first.be_last()
            assert is_locked(store)
        assert last.be_last()

    assert not is_locked(store)
    assert [path.name for path in tmp_path.iterdir()] == ["out.zarr"]


def test_a_share_that_runs_is_refused(tmp_path):
    store = tmp_path / "out.zarr"
    with claimed_share(store, Share(1, 2)), pytest.raises(StoreLockedError, match="share 1 of 2, process"):
        claimed_share(store, Share(1, 2)).__enter__()


def test_shares_of_another_number_are_refused(tmp_path):
    store = tmp_path / "out.zarr"
    with claimed_share(store, Share(1, 2)), pytest.raises(StoreLockedError, match="shares of 2, process"):
        claimed_share(store, Share(3, 3)).__enter__()


def test_a_share_and_a_whole_run_do_not_write_at_once(tmp_path):
    store = tmp_path / "out.zarr"
    with locked(store), pytest.raises(StoreLockedError):
        claimed_share(store, Share(1, 2)).__enter__()
    with claimed_share(store, Share(1, 2)) as claim:
        claim.let_others_in()
        with pytest.raises(StoreLockedError):
            Lock(store).acquire()

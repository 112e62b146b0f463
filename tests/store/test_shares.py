from __future__ import annotations

import errno
import fcntl
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simherd.errors import SetupError, StoreError, StoreLockedError
from simherd.store.lock import Lock, locked
from simherd.store.lock_state import is_locked
from simherd.store.marks import FOLDER, Marks
from simherd.store.shares import Share, claimed_share, metadata_lock, parse_share


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


def shared(tmp_path):
    """Return a store that is made already."""
    store = tmp_path / "out.zarr"
    store.mkdir()
    (store / "zarr.json").touch()
    return store


def joined(stack, store, count):
    """Return the claims of all shares of a store, which they write at the same time."""
    claims = []
    for number in range(1, count + 1):
        claims.append(stack.enter_context(claimed_share(store, Share(number, count))))
        claims[-1].let_others_in()
    return claims


def test_of_shares_that_end_together_the_one_that_tries_last_is_the_last(tmp_path):
    with ExitStack() as stack:
        claims = joined(stack, shared(tmp_path), 3)

        assert [claim.be_last() for claim in claims] == [False, False, True]
    assert [path.name for path in tmp_path.iterdir()] == ["out.zarr"]


@pytest.mark.slow
def test_one_of_shares_that_end_at_the_same_time_is_the_last(tmp_path):
    store, alone, most = shared(tmp_path), [], []

    def end(claim):
        together.wait(10)
        if claim.be_last():
            most.append(is_locked(store))
            alone.append(claim)

    for _ in range(20):
        together = threading.Barrier(4)
        with ExitStack() as stack, ThreadPoolExecutor(4) as pool:
            claims = joined(stack, store, 4)
            list(pool.map(end, claims))
            assert len(alone) == 1
            assert most == [True]
            alone.clear(), most.clear()


def test_a_share_is_the_last_even_if_one_that_failed_has_removed_the_lock(tmp_path, monkeypatch):
    store = shared(tmp_path)
    with ExitStack() as stack:
        first, second = joined(stack, store, 2)
        leave = Lock.leave

        def left(lock):
            leave(lock)
            second._lock.release()

        monkeypatch.setattr(Lock, "leave", left)

        assert first.be_last()
        assert is_locked(store)


def test_a_share_that_begins_while_others_end_takes_over(tmp_path):
    store = shared(tmp_path)
    with ExitStack() as stack:
        claims = [stack.enter_context(claimed_share(store, Share(1, 3)))]
        claims[0].let_others_in()
        claims.append(stack.enter_context(claimed_share(store, Share(2, 3))))
        assert not claims[0].be_last()
        claims.append(stack.enter_context(claimed_share(store, Share(3, 3))))

        assert [claim.be_last() for claim in claims] == [False, False, True]


@pytest.fixture
def no_locks(monkeypatch):
    """Let files be on a file system that cannot lock them."""

    def refuse(descriptor, mode):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)


def test_shares_are_refused_where_files_cannot_be_locked(tmp_path, no_locks):
    with pytest.raises(StoreError, match=r"cannot be locked there, .* Fix: run the batch as one job"):
        claimed_share(tmp_path / "out.zarr", Share(1, 2)).__enter__()


def test_no_share_changes_sizes_where_the_lock_for_it_cannot_be_had(tmp_path, monkeypatch, request):
    store = shared(tmp_path)
    with claimed_share(store, Share(1, 2)):
        request.getfixturevalue("no_locks")
        with pytest.raises(StoreError, match="cannot be locked"):
            metadata_lock(store).__enter__()
        monkeypatch.undo()


def test_the_sign_of_a_share_that_begins_outlives_the_end_of_another(tmp_path):
    ending, beginning = Marks(tmp_path), Marks(tmp_path)
    ending.prepare()
    beginning.prepare()
    ending.remove()

    assert beginning.is_running
    beginning.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_share_begins_even_if_another_that_ends_has_just_removed_the_folder(tmp_path, monkeypatch):
    marks, mkdir = Marks(tmp_path), Path.mkdir
    vanishing = iter([True])

    def made(path, *args, **kwargs):
        mkdir(path, *args, **kwargs)
        if next(vanishing, False):
            path.rmdir()

    monkeypatch.setattr(Path, "mkdir", made)
    marks.prepare()

    assert marks.is_running


def test_what_shares_left_in_the_folder_of_the_marks_is_not_removed_under_others(tmp_path):
    """A share may begin, with its sign, at any moment at which another one ends."""
    ending = Marks(tmp_path)
    ending.prepare()
    ending.begin(range(4)).move(2)
    ending.remove()

    assert (tmp_path / FOLDER).is_dir()


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

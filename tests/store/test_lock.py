"""Who may write a store, and what a lock file may do."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from simherd.errors import StoreError, StoreLockedError
from simherd.store.holder import Holder, read_holder
from simherd.store.lock import Lock, locked
from simherd.store.lock_state import LockState, doubt_about, lock_state, refuse_if_locked


@pytest.fixture
def store(tmp_path):
    return tmp_path / "out.zarr"


@pytest.fixture
def lock_file(store):
    return store.with_name(".out.zarr.lock")


@pytest.fixture(params=[errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK], ids=errno.errorcode.get)
def no_locks(request, monkeypatch):
    """Let files be on a file system that cannot lock them."""

    def refuse(descriptor, mode):
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "flock", refuse)


def ended_process():
    """Return a process of this machine that has ended, as a lock file names it."""
    code = "from simherd.store.holder import Holder; print(Holder.this_process().to_bytes().decode())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    return done.stdout


def test_lock_is_held_by_one_and_leaves_no_file(store, lock_file, no_locks):
    with locked(store):
        assert lock_state(store) is LockState.HELD
        with pytest.raises(StoreLockedError, match=rf"process {os.getpid()} on \S+ is writing it"):
            Lock(store).acquire()

    assert lock_state(store) is LockState.FREE
    assert not lock_file.exists()


def test_lock_of_ended_process_is_taken_over_without_flock(store, lock_file, no_locks):
    lock_file.write_bytes(ended_process())
    assert lock_state(store) is LockState.FREE
    refuse_if_locked(store)

    with locked(store):
        assert read_holder(lock_file) == Holder.this_process()
    assert list(lock_file.parent.iterdir()) == []


def test_only_one_takes_the_lock_of_an_ended_process_over(store, lock_file, no_locks):
    lock_file.write_bytes(ended_process())
    claim = lock_file.with_name(f"{lock_file.name}.taken")
    claim.touch()

    with pytest.raises(StoreLockedError):
        Lock(store).acquire()

    claim.unlink()
    Lock(store).acquire()


@pytest.mark.parametrize("change", [{"host": "elsewhere"}, {"namespace": "pid:[1]"}])
def test_holder_that_nobody_can_judge_is_refused_with_the_way_out(store, lock_file, no_locks, change):
    lock_file.write_bytes(replace(Holder.this_process(), **change).to_bytes())

    assert lock_state(store) is LockState.IN_DOUBT
    assert str(lock_file) in doubt_about(store)
    for attempt in (Lock(store).acquire, lambda: refuse_if_locked(store)):
        with pytest.raises(StoreLockedError, match=rf"nobody can tell .*remove its lock file '{lock_file}'"):
            attempt()
    lock_file.unlink()
    with locked(store):
        pass


def test_lock_file_without_words_is_refused_without_flock(store, lock_file, no_locks):
    lock_file.touch()

    with pytest.raises(StoreLockedError, match="another run was writing it"):
        Lock(store).acquire()


def test_lock_file_of_another_machine_is_free_with_flock(store, lock_file):
    lock_file.write_bytes(replace(Holder.this_process(), host="elsewhere").to_bytes())

    assert (lock_state(store), doubt_about(store)) == (LockState.FREE, "")
    with locked(store):
        pass


def test_process_of_an_earlier_boot_has_ended():
    here = Holder.this_process()

    assert replace(here, mark=f"0000-0000 {here.mark.split()[1]}", namespace="pid:[1]").has_ended
    assert here.has_ended is False
    assert replace(here, host=socket.gethostname() + "-2").has_ended is None


@pytest.mark.parametrize("target", ["victim", "new"])
def test_planted_link_is_replaced_by_a_lock(tmp_path, store, lock_file, target):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    lock_file.symlink_to(tmp_path / target)

    with locked(store):
        assert read_holder(lock_file) == Holder.this_process()

    assert victim.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [victim]


def _second_name(path: Path, victim: Path) -> None:
    os.link(victim, path)


def _pipe(path: Path, victim: Path) -> None:
    os.mkfifo(path)


def _folder(path: Path, victim: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("plant", [_second_name, _pipe, _folder])
def test_planted_lock_file_is_refused_by_name(tmp_path, store, lock_file, plant):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    plant(lock_file, victim)

    with pytest.raises(StoreError, match=rf"{lock_file}.*Fix: "):
        Lock(store).acquire()

    assert victim.read_text() == "precious"


def test_error_of_the_system_names_the_store(store, monkeypatch):
    def refuse(*args):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(store))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(StoreError, match=r"Cannot lock the store .*Too many open files.*ulimit -n"):
        Lock(store).acquire()

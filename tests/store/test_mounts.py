"""Which file systems lock files on one machine only."""

from __future__ import annotations

import os

import pytest

from simherd.store import mounts
from simherd.store.lock import Lock, locked
from simherd.store.lock_state import LockState, lock_state

LINE = "36 35 {device} / /scratch rw,relatime shared:1 - {kind} server:/export rw,{options}\n"


@pytest.fixture
def mounted(tmp_path, monkeypatch):
    """Return a function that lets the folder of the test be on a file system, by kind and options."""

    def mount(kind, options):
        device = os.stat(tmp_path).st_dev
        table = tmp_path / "mountinfo"
        other = LINE.format(device="0:1", kind="nfs", options="nolock")
        number = f"{os.major(device)}:{os.minor(device)}"
        table.write_text(other + LINE.format(device=number, kind=kind, options=options))
        monkeypatch.setattr(mounts, "MOUNTS", table)
        mounts.are_locks_local.cache_clear()
        return mounts.are_locks_local(device)

    yield mount
    mounts.are_locks_local.cache_clear()


@pytest.mark.parametrize(
    ("kind", "options", "is_local"),
    [
        ("nfs", "vers=3,nolock,proto=tcp", True),
        ("nfs4", "vers=4.2,local_lock=flock", True),
        ("nfs4", "vers=4.2,local_lock=posix", False),
        ("nfs4", "vers=4.2,local_lock=none", False),
        ("lustre", "localflock,lazystatfs", True),
        ("lustre", "flock,lazystatfs", False),
        ("ext4", "nolock", False),
    ],
)
def test_options_of_a_mount_say_where_locks_hold(mounted, kind, options, is_local):
    assert mounted(kind, options) is is_local


def test_lock_that_holds_on_one_machine_only_is_a_file(tmp_path, mounted):
    mounted("lustre", "localflock")
    store = tmp_path / "out.zarr"

    with locked(store):
        text = (tmp_path / ".out.zarr.lock").read_text()
    (tmp_path / ".out.zarr.lock").write_text(text.replace(os.uname().nodename, "elsewhere"))

    assert lock_state(store) is LockState.IN_DOUBT
    assert not Lock(store).try_acquire()

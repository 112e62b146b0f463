"""Files are whole, on the disk before they get their names, and never written through a planted link."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

from simherd.engine.failures import as_failure
from simherd.errors import StoreError
from simherd.store.batch_store import create_batch_store
from simherd.store.checkpoints import CheckpointFolder
from simherd.store.durable import append_lines, make_folders, replace_file
from simherd.store.durable_store import as_durable, open_durable
from simherd.store.journal import read_journal, record_failures
from simherd.store.layout import ArrayLayout
from simherd.store.leftovers import clean_up
from simherd.store.marks import Marks
from simherd.store.run_note import NoteKeeper
from simherd.store.writer import SECONDS, STATUS


class Calls:
    """The calls that make files durable, in order, by the name of what they concern."""

    def __init__(self, monkeypatch):
        self.names = []
        for name, path in (("fsync", None), ("replace", 0), ("rename", 1)):
            monkeypatch.setattr(os, name, self._noting(name, getattr(os, name), path))

    def _noting(self, name, call, position):
        def noted(*arguments, **options):
            path = os.readlink(f"/proc/self/fd/{arguments[0]}") if position is None else arguments[position]
            self.names.append((name, Path(path).name.partition(".0")[0]))
            return call(*arguments, **options)

        return noted


def entry(number=0):
    return as_failure(number, ValueError("too steep"))


def test_file_is_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    calls = Calls(monkeypatch)

    replace_file(tmp_path / "zarr.json", b"{}")

    assert [name for name, _ in calls.names] == ["fsync", "replace"]
    assert calls.names[0][1] == calls.names[1][1]
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("zarr.json", b"{}")]


def test_chunk_is_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    zarr.create_array(tmp_path / "a.zarr", name="x", shape=(4,), dtype="f8", chunks=(2,))
    group_array = open_durable(tmp_path / "a.zarr")["x"]
    calls = Calls(monkeypatch)

    group_array[:2] = 1.0

    assert [name for name, _ in calls.names] == ["fsync", "replace"]


def test_store_that_was_removed_is_not_made_again(tmp_path):
    zarr.create_array(tmp_path / "a.zarr", name="x", shape=(4,), dtype="f8")
    array = open_durable(tmp_path / "a.zarr")["x"]
    (tmp_path / "a.zarr").rename(tmp_path / "b.zarr")

    with pytest.raises(FileNotFoundError):
        array[:] = 1.0

    assert not (tmp_path / "a.zarr").exists()


def test_old_file_stays_where_the_new_one_does_not_fit(tmp_path, monkeypatch):
    path = tmp_path / "fingerprint.json"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", _full)

    with pytest.raises(OSError, match="No space"):
        replace_file(path, b"new")

    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("fingerprint.json", "old")]


def _full(*args):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_names_of_new_folders_are_on_the_disk(tmp_path, monkeypatch):
    calls = Calls(monkeypatch)

    make_folders(tmp_path / "a" / "b")

    assert {name for _, name in calls.names} == {tmp_path.name, "a"}


def test_new_store_is_on_the_disk_under_its_own_name(tmp_path, monkeypatch):
    calls = Calls(monkeypatch)

    born(tmp_path / "out.zarr")

    last = calls.names.index(("rename", "out.zarr"))
    assert ("fsync", tmp_path.name) in calls.names[last:]


def born(path, name="b"):
    common = {"dims": (name,), "shape": (4,), "chunks": (2,), "attrs": {}, "has_clock": False}
    layouts = [
        ArrayLayout(name=STATUS, dtype=np.dtype("u1"), fill_value=0, **common),
        ArrayLayout(name=SECONDS, dtype=np.dtype("f8"), fill_value=np.nan, **common),
    ]
    return create_batch_store(path, xr.Dataset(), layouts, {"simulations": 4})


# Short writes


def test_bytes_that_the_system_takes_later_are_written(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:7]))

    record_failures(tmp_path, [entry(0), entry(1)])
    replace_file(tmp_path / "f", b"12345678901234567890")

    assert [found["simulation"] for found in read_journal(tmp_path)] == [0, 1]
    assert (tmp_path / "f").read_bytes() == b"12345678901234567890"


def test_lines_that_are_cut_short_are_an_error_and_taken_back(tmp_path, monkeypatch):
    record_failures(tmp_path, [entry(0)])
    write, calls = os.write, iter([True])

    def cut(descriptor, data):
        if next(calls, None) is None:
            _full()
        return write(descriptor, data[:9])

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", cut)
        with pytest.raises(OSError, match="No space"):
            record_failures(tmp_path, [entry(1)])
    record_failures(tmp_path, [entry(2)])

    assert [found["simulation"] for found in read_journal(tmp_path)] == [0, 2]


def test_lines_begin_anew_behind_one_that_was_not_finished(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"simulation": 1, "ti')

    append_lines(path, b"whole\n")

    assert path.read_text().splitlines()[1:] == ["whole"]


# Planted links


def _journal(store):
    record_failures(store, [entry()])


def _sign(store):
    Marks(store, token="t").prepare()


def _mark(store):
    Marks(store).begin(range(3))


@pytest.mark.parametrize(
    ("write", "name"),
    [(_journal, "journal/{host}-{pid}.jsonl"), (_sign, ".running/run.t"), (_mark, ".running/0-2")],
)
def test_no_file_of_a_run_is_written_through_a_link(tmp_path, write, name):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    store, name = tmp_path / "out.zarr", name.format(host=os.uname().nodename, pid=os.getpid())
    (store / name).parent.mkdir(parents=True)
    (store / name).symlink_to(victim)

    with pytest.raises((OSError, StoreError), match="symbolic link"):
        write(store)

    assert victim.read_text() == "precious"


def _checkpoint_of(store):
    with pytest.warns(RuntimeWarning, match="symbolic link"):
        CheckpointFolder(store, b"key").save(3, b"state")
    CheckpointFolder(store, b"key").remove([3])


def _chunk(store):
    open_durable(store)["x"][:] = 1


@pytest.mark.parametrize(
    ("act", "folder", "name"),
    [
        (_journal, "journal", ""),
        (_sign, ".running", "run.t"),
        (lambda store: Marks(store).take(range(3)), ".running", "0-2"),
        (_checkpoint_of, "checkpoints", "3.pkl"),
        (_chunk, "x", "c.0"),
    ],
    ids=["journal", "sign", "mark", "checkpoint", "chunk"],
)
def test_nothing_is_written_or_removed_in_a_folder_that_is_a_link(tmp_path, act, folder, name):
    victim, store = tmp_path / "victim", tmp_path / "out.zarr"
    flat = {"name": "default", "separator": "."}
    zarr.create_array(store, name="x", shape=(3,), dtype="f8", chunk_key_encoding=flat)
    (store / "x").rename(victim)
    (victim / (name or "other")).write_bytes(b"precious")
    before = {path.name: path.read_bytes() for path in victim.iterdir() if path.is_file()}
    for link in {folder, "x"}:
        (store / link).symlink_to(victim)

    with pytest.raises((OSError, StoreError), match=f"symbolic link.*{folder}'"):
        act(store)

    assert {path.name: path.read_bytes() for path in victim.iterdir() if path.is_file()} == before


def test_array_is_written_through_a_link_of_the_user_to_its_store(tmp_path):
    zarr.create_array(tmp_path / "a.zarr", name="x", shape=(3,), dtype="f8")
    (tmp_path / "link.zarr").symlink_to("a.zarr")

    as_durable(zarr.open_group(tmp_path / "link.zarr"))["x"][:] = 1
    as_durable(zarr.open_group(tmp_path / "link.zarr")).attrs["a"] = 1

    assert dict(zarr.open_group(tmp_path / "a.zarr").attrs) == {"a": 1}


def test_file_that_replaces_a_link_leaves_its_target(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    keeper = NoteKeeper(tmp_path)
    (tmp_path / ".running").mkdir()
    (tmp_path / ".running" / "note.json").symlink_to(victim)

    keeper._write()

    assert victim.read_text() == "precious"


# What a power cut leaves


def _status(path):
    zarr.open_group(path, mode="r+")[STATUS][:2] = 1


def _checkpoint(path):
    (path / "checkpoints").mkdir()


@pytest.mark.parametrize("result", [_status, _checkpoint])
def test_store_under_the_name_it_was_made_under_gets_its_own_again(tmp_path, result):
    born(tmp_path / "out.zarr")
    result(tmp_path / "out.zarr")
    (tmp_path / "out.zarr").rename(tmp_path / ".out.zarr.77-0123abcd.partial")

    clean_up(tmp_path / "out.zarr")

    assert [path.name for path in tmp_path.iterdir()] == ["out.zarr"]


def test_folder_with_results_beside_another_store_is_kept(tmp_path):
    born(tmp_path / "out.zarr")
    _status(tmp_path / "out.zarr")
    (tmp_path / "out.zarr").rename(tmp_path / ".out.zarr.77-0123abcd.partial")
    born(tmp_path / "out.zarr")

    with pytest.warns(UserWarning, match="holds results of an earlier run and is kept"):
        clean_up(tmp_path / "out.zarr")

    assert len(list(tmp_path.iterdir())) == 2


def test_folder_without_results_is_removed(tmp_path):
    born(tmp_path / "out.zarr")
    (tmp_path / "out.zarr" / STATUS / "c.0.0123.partial").touch()
    (tmp_path / "out.zarr").rename(tmp_path / ".out.zarr.77-0123abcd.partial")
    (tmp_path / ".out.zarr.5.partial").mkdir()
    (tmp_path / ".out.zarr.5-89abcdef.removed" / STATUS).mkdir(parents=True)
    (tmp_path / ".out.zarr.sizes.lock").touch()

    clean_up(tmp_path / "out.zarr")

    assert list(tmp_path.iterdir()) == []

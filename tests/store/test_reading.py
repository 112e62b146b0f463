"""What a store says of its run, while it goes on, after it, and after it was killed."""

from __future__ import annotations

import fcntl
import time

import numpy as np
import pytest
import xarray as xr
import zarr

from simherd.api.stored import claimed
from simherd.engine.block import Status
from simherd.engine.failures import Failure
from simherd.errors import RunInterruptedError, StoreError
from simherd.events import BlockFinished, RunFinished, RunStarted
from simherd.store import run_note
from simherd.store.failures import group_errors, read_failures
from simherd.store.journal import record_failures
from simherd.store.lock import locked
from simherd.store.marks import Marks, read_marks
from simherd.store.reading import read_state
from simherd.store.run_note import NoteKeeper, read_note


def run(walk, gains, path, **options):
    return walk.setup(gains).simherd.run(walk.model, batch_dim="member", store=path, **options)


def set_status(path, values):
    zarr.open_group(path, mode="r+")["simulation_status"][:] = values


@pytest.fixture
def store(walk, tmp_path):
    """Return the folder of a store in which two of six simulations failed."""
    run(walk, [1.0, -1.0, 2.0, 3.0, -2.5, 4.0], tmp_path / "out.zarr", on_error="record", block_size=2)
    return tmp_path / "out.zarr"


def test_a_finished_store_is_counted_and_measured(store):
    state = read_state(store)

    assert (state.simulations, state.done, state.failed, state.pending) == (6, 4, 2, 0)
    assert not state.is_running
    assert state.note is None
    assert state.at_work == ()
    assert 0 < state.durations.median_s <= state.durations.longest_s <= state.durations.total_s
    assert time.time() - 60 < state.last_write <= time.time() + 1
    files = [path for path in store.rglob("*") if path.is_file()]
    assert (state.files, state.nbytes) == (len(files), sum(path.stat().st_size for path in files))


def test_a_store_can_be_the_folder_where_one_is(store, monkeypatch):
    monkeypatch.chdir(store)

    assert read_state(".").simulations == 6


def test_looking_changes_nothing(store):
    before = {path: path.stat().st_mtime_ns for path in [store.parent, *store.parent.rglob("*")]}

    read_state(store)
    read_failures(store)

    assert {path: path.stat().st_mtime_ns for path in [store.parent, *store.parent.rglob("*")]} == before


def test_a_store_can_be_looked_at_while_it_is_written(walk, tmp_path):
    path, seen = tmp_path / "out.zarr", []

    def look(event):
        if isinstance(event, BlockFinished):
            seen.append(read_state(path))

    run(walk, np.ones(6), path, block_size=2, subscribers=[look])

    assert [state.done for state in seen] == [2, 4, 6]
    assert all(state.is_running and state.note.simulations == 6 for state in seen)
    assert [state.settled_in_run for state in seen] == [2, 4, 6]
    assert seen[1].seconds_left == pytest.approx(2 / seen[1].note.rate_per_s)
    assert seen[-1].note.where == "this process, one after another"
    assert not read_state(path).is_running


def test_only_what_a_run_does_itself_is_its_own(walk, store):
    seen = []
    set_status(store, [1, 0, 1, 1, 2, 1])

    def look(event):
        if isinstance(event, RunStarted | BlockFinished):
            seen.append(read_state(store).settled_in_run)

    gains = [1.0, -1.0, 2.0, 3.0, -2.5, 4.0]
    run(walk, gains, store, on_error="record", block_size=2, rerun="failed", subscribers=[look])

    assert seen == [0, 2]


def test_simulations_at_which_workers_are_can_be_read(tmp_path):
    marks = Marks(tmp_path)
    marks.prepare()
    for first, at in [(8, 9), (0, 3)]:
        marks.begin(range(first, first + 4)).move(at)
    marks.begin(range(12, 16))

    assert read_marks(tmp_path) == [3, 9]
    assert read_marks(tmp_path) == [3, 9]


def test_a_store_that_is_being_prepared_has_no_simulations_yet(tmp_path):
    with locked(tmp_path / "out.zarr"):
        state = read_state(tmp_path / "out.zarr")

    assert state.is_running
    assert state.simulations == state.pending == 0


def test_who_only_looks_keeps_no_run_from_writing(tmp_path, monkeypatch):
    lock = tmp_path / ".out.zarr.lock"
    lock.touch()

    with lock.open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        monkeypatch.setattr("time.sleep", lambda _: fcntl.flock(looking, fcntl.LOCK_UN))
        with locked(tmp_path / "out.zarr"):
            pass


@pytest.mark.parametrize("kind", ["nothing", "file", "folder", "other group"])
def test_what_is_no_store_is_an_error(tmp_path, kind):
    path = tmp_path / "out.zarr"
    if kind == "file":
        path.write_text("")
    elif kind == "folder":
        path.mkdir()
    elif kind == "other group":
        xr.Dataset({"a": 1}).to_zarr(path)

    with pytest.raises(StoreError, match=r"Cannot read the store .*Fix: give the folder that a run wrote"):
        read_state(path)


def test_a_single_simulation_is_done_when_all_of_it_is_written(walk, tmp_path):
    walk.setup(1.0).simherd.run(walk.model, store=tmp_path / "out.zarr")

    state = read_state(tmp_path / "out.zarr")

    assert (state.simulations, state.done, state.pending) == (1, 1, 0)
    assert "simulation_status" not in xr.open_zarr(tmp_path / "out.zarr").attrs


def test_a_single_simulation_that_broke_off_is_pending(walk, tmp_path):
    setup = walk.setup(1.0, walk__pause=0.0, outputs={"walk__profile": "time"})
    seen = []

    def look(model, context, state):
        if context.step == 2:
            seen.append(read_state(tmp_path / "out.zarr"))
            raise RuntimeError("broken")

    import simherd as sh

    with pytest.raises(RuntimeError, match="broken"):
        setup.simherd.run(
            walk.model,
            store=tmp_path / "out.zarr",
            memory_limit=1,
            hooks=[sh.runtime_hook("run_step", "model", "pre")(look)],
        )

    assert (seen[0].is_running, seen[0].pending) == (True, 1)
    state = read_state(tmp_path / "out.zarr")
    assert (state.is_running, state.done, state.pending) == (False, 0, 1)


def test_failures_are_those_whose_status_says_so(store):
    assert [one.number for one in read_failures(store)] == [1, 4]

    set_status(store, [1, 1, 1, 1, 2, 0])

    (left,) = read_failures(store)
    assert (left.number, left.error) == (4, "ValueError('gain -2.5 is negative')")
    assert (left.process, left.stage, left.step) == ("walk", "run_step", 0)
    assert "Traceback" in left.traceback


def test_a_failure_without_a_journal_is_still_one(store):
    for path in (store / "journal").iterdir():
        path.unlink()

    assert [(one.number, one.error) for one in read_failures(store)] == [
        (1, "not recorded"),
        (4, "not recorded"),
    ]


def test_the_newest_entry_of_a_simulation_counts(store):
    record_failures(store, [Failure(number=4, error=KeyError("later"), traceback="T")])

    assert read_failures(store)[1].error == "KeyError('later')"


def test_errors_that_differ_in_numbers_are_the_same(store):
    record_failures(store, [Failure(number=n, error=KeyError("other"), traceback="") for n in (0, 2, 3)])
    set_status(store, [Status.FAILED] * 5 + [Status.DONE])

    groups = group_errors(read_failures(store))

    assert [group.numbers for group in groups] == [(0, 2, 3), (1, 4)]
    assert [group.first.number for group in groups] == [0, 1]


def test_a_note_says_how_far_a_run_is(tmp_path, monkeypatch):
    monkeypatch.setattr(run_note, "INTERVAL_S", 0.0)
    Marks(tmp_path).prepare()
    keep = NoteKeeper(tmp_path)

    keep(RunStarted(simulations=30, blocks=3, workers=1, where="2 threads"))
    assert read_note(tmp_path).rate_per_s is None
    keep(BlockFinished(start=0, done=9, failed=1, seconds=1.0, worker="1"))

    note = read_note(tmp_path)
    assert (note.simulations, note.workers, note.where) == (30, 1, "2 threads")
    assert note.rate_per_s > 0
    assert [path.suffix for path in (tmp_path / ".running").glob("*json*")] == [".json"]


def test_what_a_killed_run_said_of_itself_is_gone_when_another_begins(walk, store):
    marks = Marks(store)
    marks.prepare()
    NoteKeeper(store)(RunStarted(simulations=30, blocks=3, workers=1, where="2 threads"))
    marks.begin(range(4)).move(2)

    with claimed(store):
        state = read_state(store)

    assert state.is_running
    assert (state.note, state.at_work) == (None, ())


def test_a_note_that_cannot_be_written_costs_nothing(tmp_path):
    keep = NoteKeeper(tmp_path / "nowhere")

    keep(RunStarted(simulations=30, blocks=3, workers=1, where="2 threads"))
    keep(RunFinished(done=0, failed=0, seconds=0.0))

    assert read_note(tmp_path / "nowhere") is None


@pytest.mark.parametrize("rerun", ["failed", "all"])
def test_simulations_that_run_again_are_pending_until_they_have(walk, tmp_path, store, rerun):
    seen = []

    def stop(event):
        if isinstance(event, RunStarted):
            seen.append(xr.open_zarr(store).simulation_status.values.tolist())
            raise KeyboardInterrupt

    gains = [1.0, -1.0, 2.0, 3.0, -2.5, 4.0]
    with pytest.raises((KeyboardInterrupt, RunInterruptedError)):
        run(walk, gains, store, on_error="record", block_size=2, rerun=rerun, subscribers=[stop])

    assert seen == [[1, 0, 1, 1, 0, 1] if rerun == "failed" else [0] * 6]
    run(walk, gains, store, on_error="record", block_size=2, resume=True)
    assert xr.open_zarr(store).simulation_status.values.tolist() == [1, 2, 1, 1, 2, 1]

"""``simherd status``: how far a store is, in words, as JSON and as an exit code."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import zarr

from simherd.store.lock import locked
from simherd.store.marks import read_marks

SIMHERD = [sys.executable, "-m", "simherd"]
SLOW = {"sampling": "grid", "parameters": {"walk__gain": {"values": [float(n) for n in range(12)]}}}


def set_status(store, values):
    zarr.open_group(store, mode="r+")["simulation_status"][:] = values


@pytest.fixture
def store(simherd, experiment, tmp_path):
    """Return a store of four simulations that are done."""
    assert simherd("run", experiment()).code == 0
    return tmp_path / "out.zarr"


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        ([1, 1, 1, 1], 0, "4 of 4 simulations done\n"),
        ([1, 2, 1, 2], 3, "2 of 4 simulations done, 2 failed\n"),
        ([1, 2, 0, 1], 4, "2 of 4 simulations done, 1 failed, 1 pending\n"),
        ([0, 0, 0, 0], 4, "0 of 4 simulations done, 4 pending\n"),
    ],
)
def test_the_exit_code_tells_the_state(simherd, store, status, code, words):
    set_status(store, status)

    shown = simherd("status", store)

    assert shown.code == code
    assert shown.out.splitlines(keepends=True)[0].endswith(words)
    assert ("See errors  simherd failures " in shown.out) == (2 in status)
    again = f"Go on with  {shlex.join(['simherd', 'run', 'EXPERIMENT', '--store', str(store), '--resume'])}\n"
    assert (again in shown.out) == (0 in status)


def test_times_size_and_last_write_are_shown(simherd, store):
    shown = simherd("status", store)

    assert re.search(
        r"^Each took   [\d.]+ ms \(median\), [\d.]+ ms \(longest\), 0\.\d s in all$", shown.out, re.M
    )
    assert re.search(r"^Last write  20\d\d-\d\d-\d\d \d\d:\d\d:\d\d, \d+\.\d s ago$", shown.out, re.M)
    assert re.search(r"^Size        [\d.]+ KiB in \d+ files$", shown.out, re.M)
    assert "Running" not in shown.out


def test_a_run_of_the_library_is_resumed_in_python(simherd, walk, tmp_path):
    walk.setup([1.0]).simherd.run(walk.model, batch_dim="member", store=tmp_path / "out.zarr")
    set_status(tmp_path / "out.zarr", [0])

    assert "Go on with  run(..., resume=True)" in simherd("status", tmp_path / "out.zarr").out


def test_a_single_simulation_is_one(simherd, experiment, tmp_path):
    simherd("run", experiment(batch=None, inputs={"walk__gain": 2.0}))

    shown = simherd("status", tmp_path / "out.zarr")

    assert shown.code == 0
    assert "1 of 1 simulation done\n" in shown.out


def test_json_has_all_of_it(simherd, store):
    set_status(store, [1, 2, 0, 1])

    shown = simherd("status", store, "--json")

    found = json.loads(shown.out)
    assert shown.code == 4
    assert found["store"] == str(store)
    assert [found[key] for key in ("simulations", "done", "failed", "pending")] == [4, 2, 1, 1]
    assert found["is_running"] is False
    assert found["rate_per_s"] is found["seconds_left"] is None
    assert found["bytes"] > 0
    assert found["files"] > 0


@pytest.mark.parametrize("name", ["nothing.zarr", "walk.py"])
def test_what_is_no_store_is_exit_code_1(simherd, store, name):
    shown = simherd("status", store.parent / name)

    assert shown.code == 1
    assert re.fullmatch(
        r"Error: Cannot read the store .*Fix: give the folder that a run wrote.*\n", shown.err
    )


def test_a_store_that_is_being_prepared_is_incomplete(simherd, tmp_path):
    with locked(tmp_path / "out.zarr"):
        shown = simherd("status", tmp_path / "out.zarr")

    assert shown.code == 4
    assert "a run is preparing the store" in shown.out


class Gated:
    """A run of twelve simulations in two processes, the last six of which wait for the gate to be opened."""

    def __init__(self, path: Path) -> None:
        self.gate = path.parent / "gate"
        self.store = path.parent / "out.zarr"
        model = path.parent / "walk.py"
        waiting = (
            f"while self.gain > 5 and not __import__('os').path.exists({str(self.gate)!r}): time.sleep(0.02)"
        )
        model.write_text(model.read_text().replace("time.sleep(self.pause)", waiting))
        self.process = subprocess.Popen(
            [*SIMHERD, "run", str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True
        )

    def wait_for_half(self) -> None:
        deadline = time.monotonic() + 60
        while not (len(list(self.store.glob("simulation_status/c*"))) == 6 and read_marks(self.store)):
            assert self.process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def open_gate(self) -> None:
        self.gate.touch()


@pytest.fixture
def running(experiment):
    """Return a run that stands still when six of its twelve simulations are done."""
    path = experiment(
        batch=SLOW,
        run={"store": "out.zarr", "block_size": 1, "scheduler": "processes"},
        cluster={"workers": 2},
    )
    run = Gated(path)
    run.wait_for_half()
    yield run
    run.open_gate()
    assert run.process.wait(60) == 0


def watch(running: Gated, *options: str, **streams: Any) -> subprocess.Popen[str]:
    command = [*SIMHERD, "status", str(running.store), "--watch", *options]
    return subprocess.Popen(command, text=True, **streams)


@pytest.mark.slow
def test_a_run_is_seen_while_it_writes(simherd, running):
    shown = simherd("status", running.store)
    found = json.loads(simherd("status", running.store, "--json").out)

    assert shown.code == 4
    assert "6 of 12 simulations done, 6 pending\n" in shown.out
    assert re.search(r"^Running     since 20.* on 2 worker processes$", shown.out, re.M)
    assert re.search(r"^            \d of 12 in this run, [\d.]+ per s, .* left$", shown.out, re.M)
    assert re.search(r"^Now at      \d", shown.out, re.M)
    assert "Go on with" not in shown.out
    assert found["is_running"]
    assert set(found["running"]) <= set(range(6, 12))
    assert found["running"]
    assert found["rate_per_s"] > 0
    assert found["seconds_left"] is not None


@pytest.mark.slow
def test_watch_shows_lines_until_the_run_ends(running):
    watching = watch(running, "--json", stdout=subprocess.PIPE)
    first = json.loads(watching.stdout.readline())
    running.open_gate()
    rest, _ = watching.communicate(timeout=60)

    last = json.loads(rest.splitlines()[-1])
    assert watching.returncode == 0
    assert (first["is_running"], first["done"]) == (True, 6)
    assert (last["is_running"], last["done"]) == (False, 12)


@pytest.mark.slow
def test_watch_ends_on_ctrl_c_with_the_code_of_the_state(running):
    watching = watch(running, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    first = watching.stdout.readline()
    watching.send_signal(signal.SIGINT)
    out, err = watching.communicate(timeout=60)

    assert watching.returncode == 4
    assert re.search(r"6 of 12 simulations done, 6 pending; \d of 12 in this run", first)
    assert "Last write" in out
    assert err == ""


@pytest.mark.slow
def test_watch_on_a_terminal_is_a_bar_that_ends_with_the_run(running):
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"}
    watching = watch(running, stdout=theirs, env=environment)
    os.close(theirs)
    text = b""
    while chunk := _read(ours):
        text += chunk
        if b"Now at" in text:
            running.open_gate()

    assert watching.wait(60) == 0
    assert "━" in text.decode()
    assert re.search(r"12\s+of\s+12\s+simulations\s+done", text.decode())


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # what Linux says at the end
        return b""


def test_watch_of_a_store_that_nobody_writes_shows_it_once(simherd, store):
    shown = simherd("status", store, "--watch")

    assert shown.code == 0
    assert shown.out.count("4 of 4 simulations done") == 1


def test_check_reads_every_chunk(simherd, store, monkeypatch):
    monkeypatch.chdir(store.parent)
    whole = simherd("status", "out.zarr", "--check")
    (store / "walk__height" / "c.0.0").unlink()
    (store / "walk__gain" / "c.0").write_bytes(b"")

    shown = simherd("status", "out.zarr", "--check")
    data = json.loads(simherd("status", "out.zarr", "--check", "--json").out)

    assert whole.code == 0
    assert whole.out.endswith("Result      10 chunks, none is damaged\n")
    assert shown.code == 4
    assert shown.out.endswith(
        """\
            out.zarr/walk__gain/c.0: it is empty
Checked     walk__pause: 1 chunk, all can be read
Checked     walk__shape: 1 chunk, all can be read
Checked     walk__start: 1 chunk, all can be read
Result      2 of 10 chunks damaged, with 1 finished simulation
Remove      the unreadable files, then resume the run: it writes missing chunks again
Go on with  simherd run EXPERIMENT --store out.zarr --resume
"""
    )
    assert data["damaged"][0] == {
        "file": str(store / "walk__height" / "c.0.0"),
        "problem": "it is missing",
        "is_missing": True,
        "simulations": [0],
    }
    assert data["checked_chunks"] == 10


def test_lost_simulations_are_left_to_run(simherd, experiment, store):
    (store / "walk__height" / "c.1.0").unlink()

    planned = simherd("run", experiment(), "--resume", "--dry-run")
    run = simherd("run", experiment(), "--resume")

    assert "1 of 4" in planned.out
    assert "Nothing is left to run" not in run.err
    assert (run.code, simherd("status", store, "--check").code) == (0, 0)

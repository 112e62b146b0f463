"""Runs of `victims.py` as processes of their own, and what must hold after whatever ended them."""

from __future__ import annotations

import json
import os
import subprocess
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import xarray as xr
from simherd_forks import Fork, Forks

VICTIMS = Path(__file__).with_name("victims.py")
MARK = "SIMHERD_TABLE_OF_FAILURES"
FOLDER = "SIMHERD_VICTIMS"
PENDING, DONE, FAILED = 0, 1, 2
LIMIT_S = 60
"""Time after which a run counts as hanging."""
DEAR_LOOK_S = 0.1
"""Pause between two looks at a whole store, or at all processes."""
OUTPUTS = ("victim__height", "victim__profile", "victim__count")


def until(condition: Callable[[], Any], what: str, limit_s: float = LIMIT_S, pause_s: float = 0.005) -> Any:
    """Wait until something holds, looking after each pause, and return it; fail if it takes too long."""
    deadline = time.monotonic() + limit_s
    while not (found := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"{what}: not within {limit_s} s")
        time.sleep(pause_s)
    return found


def expected_outputs(simulations: int, cells: int) -> dict[str, np.ndarray]:
    """Return what a batch of victims gives, by a bare loop."""
    heights, profiles = [], []
    x = np.arange(cells) / 3
    for number in np.arange(float(simulations)).tolist():
        states = [(number / 10, x * 0.7 + number)]
        for count in (1, 2, 3):
            height = states[-1][0] * 1.5 + 1 / (count + number)
            states.append((height, states[-1][1] * 1.1 + height / (x + 1)))
        saved = [*states[1:], states[-1]]  # in each step, and at the end
        heights.append([height for height, _ in saved])
        profiles.append([saved[0][1], saved[-1][1]])
    values = np.array(heights), np.array(profiles), np.full(simulations, 3)
    return dict(zip(OUTPUTS, values, strict=True))


@dataclass
class Run:
    """A batch that runs in a process of its own."""

    popen: subprocess.Popen[bytes] | Fork
    report: Path
    """Where it tells what became of it."""

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def told(self) -> dict[str, Any]:
        """What became of it: ``status``; or ``error``, ``kinds`` and ``message``."""
        return json.loads(self.report.read_text()) if self.report.exists() else {}

    @property
    def is_running(self) -> bool:
        return self.popen.poll() is None

    @property
    def output(self) -> str:
        return self.report.with_suffix(".out").read_text()

    def wait(self, limit_s: float = LIMIT_S) -> int:
        """Return its exit code; negative where a signal ended it."""
        try:
            return self.popen.wait(limit_s)
        except subprocess.TimeoutExpired:
            pytest.fail(f"The run did not end within {limit_s} s. It said:\n{self.output}")

    def ends(self, code: int, limit_s: float = LIMIT_S) -> dict[str, Any]:
        """Wait, check the exit code and return what it told."""
        found = self.wait(limit_s)
        assert found == code, f"exit code {found}, not {code}: {self.told}\n{self.output[-6000:]}"
        return self.told

    def kill(self) -> None:
        """End it like ``kill -9``, it alone."""
        self.popen.kill()
        self.popen.wait(LIMIT_S)

    def signal(self, number: int, to_group: bool = False) -> None:
        """Send a signal to it, or to all processes of its session as a terminal does."""
        (os.killpg if to_group else os.kill)(self.pid, number)


@dataclass
class Table:
    """A store, the runs that write it, one after another or at once, and what must hold afterwards."""

    folder: Path
    forks: Forks
    simulations: int = 12
    block_size: int = 4
    cells: int = 8
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    """In the environment of all processes of these runs."""

    def __post_init__(self) -> None:
        self.tmp, self.cwd = self.folder / "tmp", self.folder / "cwd"
        self.place = self.folder / "results"
        for path in (self.tmp, self.cwd, self.place):
            path.mkdir(parents=True)
        self.runs = 0
        self.sessions: set[int] = set()
        """Sessions of the batches: what is forked has the mark of its server."""
        self.order()

    @property
    def store(self) -> Path:
        return self.place / "out.zarr"

    @property
    def has_store(self) -> bool:
        """Whether there is something that calls itself a store."""
        return (self.store / "zarr.json").exists()

    # What runs -------------------------------------------------------------------------------------

    @property
    def environment(self) -> dict[str, str]:
        mine = {MARK: self.mark, FOLDER: str(self.folder), "TMPDIR": str(self.tmp)}
        return {**os.environ, **mine, "PYTHONWARNINGS": "error::FutureWarning:simherd"}

    def order(self, pause: float = 0.0, harm: dict[int, str] | None = None) -> None:
        """Tell simulations how long a step takes, in s, and which of them do what; until the next order."""
        new = self.folder / "orders.new"
        new.write_text(json.dumps({"pause": pause, "harm": harm or {}}))
        new.replace(self.folder / "orders.json")

    def arguments(self, executor: str, where: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        """Return what the script is told; errors are recorded unless `options` say otherwise."""
        self.runs += 1
        return {
            "executor": executor,
            "store": str(self.store),
            "simulations": self.simulations,
            "block_size": self.block_size,
            "cells": self.cells,
            "options": {"on_error": "record", **options},
            "report": str(self.folder / f"run{self.runs}.json"),
            **where,
        }

    def start(self, executor: str, where: dict[str, Any] | None = None, **options: Any) -> Run:
        """Start a run with options of ``Dataset.simherd.run``."""
        arguments = self.arguments(executor, where or {}, options)
        path = Path(arguments["report"])
        with path.with_suffix(".out").open("wb") as out:
            fork = self.forks.start(
                [str(VICTIMS), json.dumps(arguments)],
                stdout=out.fileno(),
                stderr=out.fileno(),
                cwd=self.cwd,
                env=self.environment,
            )
        self.sessions.add(fork.pid)
        return Run(fork, path)

    def start_program(self, argv: list[str]) -> Run:
        """Start a program among the processes that must not stay."""
        self.runs += 1
        path = self.folder / f"run{self.runs}.json"
        with path.with_suffix(".out").open("wb") as out:
            popen = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=self.cwd,
                env=self.environment,
                start_new_session=True,
            )
        return Run(popen, path)

    def resume(self, executor: str, **options: Any) -> dict[str, Any]:
        """Resume until the end, where nothing may fail any more, and return what the run told."""
        return self.start(executor, resume=True, **options).ends(0)

    # What is seen while it runs --------------------------------------------------------------------

    @property
    def log(self) -> list[tuple[int, int]]:
        """The simulations that started, each with its process, in order."""
        path = self.folder / "log"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(int(number), int(pid)) for number, pid in map(str.split, lines)]

    def settled(self) -> np.ndarray:
        """Return what the status of the store says right now; nothing is settled without a store."""
        if not self.has_store:
            return np.zeros(self.simulations, np.uint8)
        return self.open().simulation_status.values

    def until_started(self, run: Run, numbers: int, after: int = 0) -> None:
        """Wait until that many simulations have started, besides the first one, which may be a scout."""
        until(
            lambda: len({n for n, _ in self.log[after:]} - {0}) >= numbers or not run.is_running,
            f"start of {numbers} simulations",
        )
        assert run.is_running, f"The run ended early: {run.told}\n{run.output[-4000:]}"

    def until_done(self, run: Run, numbers: int) -> None:
        """Wait until that many simulations are done according to the store."""
        until(
            lambda: not run.is_running or (self.settled() == DONE).sum() >= numbers,
            f"{numbers} simulations done",
            pause_s=DEAR_LOOK_S,
        )
        assert run.is_running, f"The run ended early: {run.told}\n{run.output[-4000:]}"

    # What must hold --------------------------------------------------------------------------------

    until = staticmethod(until)

    def open(self) -> xr.Dataset:
        """Open the store with integers as they are stored, where every warning is an error."""
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return xr.open_zarr(self.store, mask_and_scale=False)

    def check(self) -> np.ndarray:
        """Check that the store opens, that what it calls done is there, and return the status.

        Without a store there is nothing to check: all is pending.
        """
        if not self.has_store:
            return np.zeros(self.simulations, np.uint8)
        found = self.open()
        status = found.simulation_status.values
        assert set(status.tolist()) <= {PENDING, DONE, FAILED}
        assert found.victim__number.values.tolist() == list(range(self.simulations))
        done = np.flatnonzero(status == DONE)
        for name, values in expected_outputs(self.simulations, self.cells).items():
            assert found[name].dtype == values.dtype
            assert found[name].shape == values.shape
            rows = found[name][done].values
            wrong = [n for n, row in zip(done, rows, strict=True) if row.tobytes() != values[n].tobytes()]
            assert wrong == [], f"{name}: called done, but missing or torn"
        assert (found.simulation_seconds.values[done] >= 0).all(), "called done, but its seconds are missing"
        self._check_failed(found, np.flatnonzero(status == FAILED))
        return status

    def _check_failed(self, found: xr.Dataset, failed: np.ndarray) -> None:
        assert np.isnan(found.victim__height[failed]).all()
        assert np.isnan(found.victim__profile[failed]).all()
        if failed.size:
            journal = self.journal()
            missing = [n for n in failed.tolist() if not (n in journal and journal[n]["error"])]
            assert missing == [], "failed without a word in the journal"

    def journal(self) -> dict[int, dict[str, Any]]:
        """Return the newest entry of the journal for each simulation that has one."""
        from simherd.store.journal import read_journal

        entries = read_journal(self.store)
        assert all({"simulation", "error", "traceback"} <= entry.keys() for entry in entries)
        by_number = {entry["simulation"]: entry for entry in entries}
        assert len(by_number) == len(entries), "more than the newest entry of a simulation"
        return by_number

    def check_failed_only(self, failed: dict[int, str]) -> None:
        """Check that some simulations failed, each with a word in its error, and all others are done."""
        status = self.check()
        assert np.flatnonzero(status == FAILED).tolist() == sorted(failed)
        assert np.flatnonzero(status == PENDING).tolist() == []
        journal = self.journal()
        for number, word in failed.items():
            text = journal[number]["error"] + journal[number]["traceback"]
            assert word.lower() in text.lower()
            assert "survived" not in text, "nobody stopped it"

    def check_whole(self, reference: xr.Dataset) -> None:
        """Check that all is done, and all values but seconds are those of an uninterrupted run."""
        assert self.check().tolist() == [DONE] * self.simulations
        found = self.open()
        assert set(found.variables) == set(reference.variables)
        for name in set(found.variables) - {"simulation_seconds"}:
            mine, other = found[name], reference[name]
            assert (mine.dims, mine.dtype, mine.shape) == (other.dims, other.dtype, other.shape), name
            assert mine.attrs == other.attrs, name
            assert mine.values.tobytes() == other.values.tobytes(), name

    def whole_blocks(self) -> set[int]:
        """Return the simulations of all blocks that are done to the last one."""
        status = self.settled()
        starts = range(0, self.simulations, self.block_size)
        blocks = (range(s, min(s + self.block_size, self.simulations)) for s in starts)
        return {n for block in blocks if (status[block] == DONE).all() for n in block}

    def check_not_again(self, finished: set[int], since: int) -> None:
        """Check that nothing that was finished ran again, but for the first one, which may be a scout."""
        again = {number for number, _ in self.log[since:]} & finished - {0}
        assert again == set(), "done, and yet run again"

    def check_no_process(self, limit_s: float = 15) -> None:
        """Check that all processes of these runs end."""
        until(lambda: not self.processes(), f"end of {self.processes()}", limit_s, DEAR_LOOK_S)

    def check_clean(self) -> None:
        """Check that nothing is left of runs that ended: processes, temporary files, locks."""
        self.check_no_process()
        assert sorted(path.name for path in self.tmp.iterdir()) == [], "temporary files"
        assert sorted(path.name for path in self.cwd.iterdir()) == [], "files where it was started"
        if not self.has_store:
            assert sorted(map(str, self.place.rglob("*"))) == [], "half a store"
            return
        assert [path.name for path in self.place.iterdir()] == [self.store.name]
        files = (p.relative_to(self.store) for p in self.store.rglob("*") if not p.is_dir())
        assert sorted(str(path) for path in files if not _belongs(path)) == [], "leftovers in the store"
        arrays = set(self.open().variables)
        assert {p.name for p in self.store.iterdir() if p.is_dir()} <= arrays | {"journal"}

    def processes(self) -> list[psutil.Process]:
        """Return the living processes of these runs."""
        return [p for p in psutil.process_iter() if self._is_ours(p)]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            is_dead = process.status() == psutil.STATUS_ZOMBIE
            return not is_dead and (
                os.getsid(process.pid) in self.sessions or process.environ().get(MARK) == self.mark
            )
        except (psutil.NoSuchProcess, psutil.AccessDenied, ProcessLookupError):
            return False

    def close(self) -> None:
        """End all processes that a test left."""
        for process in self.processes():
            process.kill()


def _belongs(path: Path) -> bool:
    """Return whether a file is metadata, a chunk or part of the journal."""
    if path.name == "zarr.json":
        return len(path.parts) <= 2
    if str(path) == "fingerprint.json":
        return True
    if path.parts[0] == "journal":
        return len(path.parts) == 2 and path.suffix == ".jsonl"
    return (
        len(path.parts) == 2
        and all(part.isdigit() for part in path.name.split(".")[1:])
        and path.name[0] == "c"
    )


@pytest.fixture
def table(tmp_path: Path, forks: Forks) -> Iterator[Table]:
    """Return a table of twelve simulations in blocks of four."""
    made = Table(tmp_path / "table", forks)
    yield made
    made.close()


@pytest.fixture(scope="session")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, forks: Forks) -> Callable[[Table], xr.Dataset]:
    """Return a function that gives the result of a serial run of the same batch that nothing disturbed."""
    made: dict[tuple[int, int, int], xr.Dataset] = {}

    def reference(table: Table) -> xr.Dataset:
        key = table.simulations, table.block_size, table.cells
        if key not in made:
            other = Table(tmp_path_factory.mktemp("uninterrupted") / "table", forks, *key)
            other.start("serial").ends(0)
            made[key] = other.open().load()
        return made[key]

    return reference

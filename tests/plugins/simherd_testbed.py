"""Fixtures of the test bed (scripts/testbed): ``slurm``, ``sge``, and ``batch_system``, each of them in turn.

The bed starts with the first test that asks for it. A bed that runs already is used and left running; one
that tests started ends with the last of the test runs that use it. Where a bed cannot be had, its tests
are skipped with the reason that the script gives.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "testbed"
START_LIMIT_S = 600
CANNOT = 3  # exit code of the script where the bed cannot be had on this machine


@dataclass(frozen=True, kw_only=True, slots=True)
class System:
    """One batch system of the bed."""

    name: str
    """Name of the system, as the script and the marker have it."""

    daemon: str
    """Daemon whose start tells one life of the system from the next."""


SYSTEMS = (System(name="slurm", daemon="slurmctld"), System(name="sge", daemon="sge_qmaster"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Bed:
    """The folder of a test bed, and what tests note there."""

    folder: Path
    """Folder with the state of all daemons."""

    variables: dict[str, str]
    """Environment variables by which commands find the bed."""

    def start(self, system: System) -> None:
        """Start a system that does not run yet, and note that tests did."""
        if command("status", system.name).returncode == 0:
            return
        started = command("start", system.name)
        if started.returncode == CANNOT:
            pytest.skip(started.stderr.strip())
        if started.returncode:
            pytest.fail(f"scripts/testbed start {system.name} failed:\n{started.stderr}", pytrace=False)
        self._note(system).write_text(self._life(system))

    def was_started_by_tests(self, system: System) -> bool:
        """Tell whether the system that runs now is one that tests started."""
        note = self._note(system)
        return note.exists() and note.read_text() == self._life(system) != ""

    def lock(self, how: int) -> IO[str]:
        """Open and lock the file that all runs of tests hold that use the bed."""
        file = (self.folder / "tests.lock").open("a")
        fcntl.flock(file, how)
        return file

    def _note(self, system: System) -> Path:
        return self.folder / f"{system.name}-started-by-tests"

    def _life(self, system: System) -> str:
        path = self.folder / "pids" / system.daemon
        return path.read_text() if path.exists() else ""


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the script of the bed."""
    return subprocess.run(
        [str(SCRIPT), *arguments], capture_output=True, text=True, timeout=START_LIMIT_S, check=False
    )


def find_bed() -> Bed:
    """Return the bed that the environment names, or the one in the usual place."""
    words = shlex.split(command("env").stdout)
    variables = dict(word.split("=", 1) for word in words if word != "export")
    return Bed(folder=Path(variables["SIMHERD_TESTBED"]), variables=variables)


def use(system: System) -> Iterator[Bed]:
    """Have a system run, and the environment lead to it, as long as the tests run."""
    bed = find_bed()
    before = dict(os.environ)
    bed.start(system)
    # Held until this process ends: as long as it lives, no other run of tests stops the bed.
    in_use = bed.lock(fcntl.LOCK_SH) if os.access(bed.folder, os.W_OK) else None
    os.environ.update(bed.variables)
    yield bed
    for name in bed.variables:
        os.environ.pop(name) if name not in before else os.environ.update({name: before[name]})
    if in_use:
        in_use.close()


@pytest.fixture(scope="session")
def slurm() -> Iterator[Bed]:
    """Have SLURM run: two nodes of eight processors, partitions ``short`` (at most an hour) and ``long``."""
    yield from use(SYSTEMS[0])


@pytest.fixture(scope="session")
def sge() -> Iterator[Bed]:
    """Have Grid Engine run: queue ``all.q`` of 16 slots, parallel environments ``smp`` and ``ib``."""
    yield from use(SYSTEMS[1])


@pytest.fixture(params=[system.name for system in SYSTEMS])
def batch_system(request: pytest.FixtureRequest) -> str:
    """Have one batch system run, and then the other; return its name."""
    request.getfixturevalue(request.param)
    name: str = request.param
    return name


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use a system, for runs without daemons; the longest come first."""
    for item in items:
        for system in SYSTEMS:
            if system.name in _used(item):
                item.add_marker(system.name)
    items.sort(key=_is_short)


def _used(item: pytest.Item) -> set[str]:
    """Return the names of the fixtures that a test uses, with the batch system that is its turn."""
    chosen = item.callspec.params.get("batch_system") if hasattr(item, "callspec") else None
    return {*getattr(item, "fixturenames", ()), chosen or ""}


def _is_short(item: pytest.Item) -> bool:
    """Tell whether a test may come late, as it does not keep the others waiting at the end."""
    uses_bed = any(item.get_closest_marker(name) for name in ("slurm", "sge", "mpi"))
    return not (uses_bed and item.get_closest_marker("slow"))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what tests started, unless another run of tests still uses it."""
    if hasattr(config, "workerinput") or config.option.collectonly:
        return
    bed = find_bed()
    # The bed of root is not for others to stop.
    if not os.access(bed.folder, os.W_OK) or not any(map(bed.was_started_by_tests, SYSTEMS)):
        return
    try:
        lock = bed.lock(fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    with lock:
        command("stop", *(system.name for system in SYSTEMS if bed.was_started_by_tests(system)))

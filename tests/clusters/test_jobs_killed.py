"""What can be killed under a run whose workers are jobs, and what must hold after it."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from simherd.clusters.journal import read_journals

pytestmark = pytest.mark.slow

MODEL = """
import time
import simherd as sh


@sh.process
class Climb:
    gain = sh.variable(description="climb per step")
    pause = sh.variable(description="time that a step takes")
    height = sh.variable(intent="out", description="height reached")

    def initialize(self):
        self.height = 0.0

    def run_step(self):
        time.sleep(self.pause)
        self.height += self.gain


model = sh.Model({"climb": Climb})
"""
EXPERIMENT = """
model: model.py:model
clocks: {{time: {{start: 0, stop: 4, num: 5}}}}
inputs: {{climb__pause: {pause}}}
outputs: {{climb__height: null}}
batch:
  sampling: zip
  parameters: {{climb__gain: [{gains}]}}
run: {{store: out.zarr, block_size: 2, grace_s: 5}}
cluster: {{kind: {kind}, jobs: 2, memory: 500 MiB, interface: lo, {more}}}
"""
SIMULATIONS = 48
LIMIT_S = 240


class Run:
    """A run of the command line, in a folder of its own."""

    def __init__(self, bed, folder: Path, pause: float = 0.1, more: str = "") -> None:
        self.bed, self.folder = bed, folder
        gains = ", ".join(map(str, range(SIMULATIONS)))
        text = EXPERIMENT.format(pause=pause, gains=gains, kind=bed.kind, more=more)
        (folder / "experiment.yaml").write_text(text)
        (folder / "model.py").write_text(MODEL)
        self.log = folder / "log.txt"

    def start(self, *arguments: str, **options: object) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-m", "simherd", "run", "experiment.yaml", *arguments]
        with self.log.open("ab") as log:
            given = {"stdout": log, "stderr": log, **options}
            return subprocess.Popen(argv, cwd=self.folder, **given)  # type: ignore[call-overload]

    def wait_for_some(self) -> None:
        """Wait until some simulations are done, and some are not."""
        deadline = time.monotonic() + LIMIT_S
        while not 0 < self.done() < SIMULATIONS:
            assert time.monotonic() < deadline, self.log.read_text()
            assert self.done() < SIMULATIONS, "too quick to be killed"
            time.sleep(0.1)

    def done(self) -> int:
        path = self.folder / "out.zarr"
        if not (path / "zarr.json").exists():
            return 0
        return int((xr.open_zarr(path).simulation_status == 1).sum())

    def check_complete(self) -> None:
        with xr.open_zarr(self.folder / "out.zarr") as result:
            assert (result.simulation_status == 1).all(), self.log.read_text()
            assert result.climb__height.values.tolist() == (4.0 * np.arange(SIMULATIONS)).tolist()

    def jobs(self) -> list[str]:
        (entry,) = read_journals()
        return list(entry.jobs)


@pytest.mark.parametrize("how_many", [1, 2], ids=["one", "all"])
def test_jobs_that_are_cancelled_are_replaced_and_cost_nothing(bed, tmp_path, how_many):
    run = Run(bed, tmp_path)
    client = run.start()
    run.wait_for_some()
    bed.scheduler.cancel(run.jobs()[:how_many])

    assert client.wait(LIMIT_S) == 0, run.log.read_text()
    run.check_complete()
    assert re.search(r"jobs? ended \(\d+ \w.*\): submitting \d+ jobs? instead", run.log.read_text())


def test_jobs_whose_walltime_is_over_are_replaced_while_work_is_left(bed, tmp_path):
    run = Run(bed, tmp_path, pause=0.7, more="walltime: '00:01:00'")
    client = run.start()

    assert client.wait(LIMIT_S) == 0, run.log.read_text()
    run.check_complete()
    assert re.search(r"jobs? ended \(\d+ \w.*\): submitting \d+ jobs? instead", run.log.read_text())


def test_a_client_whose_terminal_closes_can_be_resumed(bed, tmp_path):
    run = Run(bed, tmp_path)
    terminal, inner = pty.openpty()
    client = run.start(stdin=inner, stdout=inner, stderr=inner, preexec_fn=_own_terminal(inner))
    os.close(inner)
    run.wait_for_some()
    jobs = run.jobs()
    os.close(terminal)

    assert client.wait(LIMIT_S) == 4
    assert 0 < run.done() < SIMULATIONS
    assert not bed.jobs() & set(jobs)
    assert run.start("--resume").wait(LIMIT_S) == 0, run.log.read_text()
    run.check_complete()


def test_a_client_that_is_killed_can_be_resumed_and_its_jobs_end(bed, tmp_path):
    run = Run(bed, tmp_path)
    client = run.start()
    run.wait_for_some()
    client.send_signal(signal.SIGKILL)
    client.wait(10)
    (entry,) = read_journals()

    assert entry.is_abandoned
    assert run.start("--resume").wait(LIMIT_S) == 0, run.log.read_text()
    run.check_complete()
    bed.scheduler.cancel(entry.jobs)
    entry.remove()


def test_a_simulation_that_kills_its_worker_is_the_only_one_that_fails(bed, tmp_path):
    run = Run(bed, tmp_path, pause=0.05)
    model = tmp_path / "model.py"
    killing = "time.sleep(self.pause) if self.gain != 7 else os.kill(os.getpid(), signal.SIGKILL)"
    model.write_text("import os, signal" + MODEL.replace("time.sleep(self.pause)", killing))

    assert run.start().wait(LIMIT_S) == 3, run.log.read_text()
    with xr.open_zarr(tmp_path / "out.zarr") as result:
        assert np.flatnonzero(result.simulation_status == 2).tolist() == [7]
    assert re.search(r"1 failed", run.log.read_text())


def _own_terminal(descriptor: int):
    def prepare() -> None:
        import fcntl
        import termios

        os.setsid()
        fcntl.ioctl(descriptor, termios.TIOCSCTTY, 0)

    return prepare

"""Experiment files and the command line, run in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

MODEL = '''
import time
import numpy as np
import simherd as sh


@sh.process
class Walk:
    """Climbs by its gain at each step."""

    gain = sh.variable(description="climb per step", attrs={"units": "m"})
    start = sh.variable(default=0.0, description="height at the start", attrs={"units": "m"})
    pause = sh.variable(default=0.0)
    shape = sh.variable(dims="x", default=np.ones(3))
    height = sh.variable(intent="out", description="height reached", attrs={"units": "m"})

    def initialize(self):
        self.height = self.start

    def run_step(self):
        if self.gain < 0:
            raise ValueError("the gain is negative")
        time.sleep(self.pause)
        self.height += self.gain


@sh.process
class Forbidden:
    """Must not run."""

    gain = sh.variable(default=1.0)
    height = sh.variable(intent="out")

    def initialize(self):
        raise AssertionError("a stage ran")


model = sh.Model({"walk": Walk})
forbidden = sh.Model({"walk": Forbidden})
number = 3
'''


@pytest.fixture
def experiment(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes an experiment file, with its model beside it.

    Arguments replace whole sections; None leaves one out.
    """

    def write(**sections: Any) -> Path:
        (tmp_path / "walk.py").write_text(MODEL)
        content = {
            "model": "walk.py:model",
            "clocks": {"time": {"start": 0, "stop": 3, "num": 4, "units": "years"}},
            "outputs": {"walk__height": "time"},
            "batch": {"sampling": "grid", "parameters": {"walk__gain": {"values": [1.0, 2.0, 3.0, 4.0]}}},
            "run": {"store": "out.zarr", "parallel": False},
            **sections,
        }
        path = tmp_path / "walk.yaml"
        path.write_text(yaml.safe_dump({k: v for k, v in content.items() if v is not None}, sort_keys=False))
        return path

    return write


@pytest.fixture
def simherd(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Return a function that runs the command line in this process, through its own exit path."""
    from simherd.cli import main

    def run(*arguments: object) -> SimpleNamespace:
        monkeypatch.setattr("sys.argv", ["simherd", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            main()
        output = capsys.readouterr()
        return SimpleNamespace(code=int(exit_.value.code or 0), out=output.out, err=output.err)

    return run

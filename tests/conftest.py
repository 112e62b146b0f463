"""What tests in several rooms share: small models, setups of them, and a local cluster."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cloudpickle
import hypothesis
import numpy as np
import pytest
import xarray as xr

import simherd as sh

pytest_plugins = ["simherd_testbed", "simherd_budgets", "simherd_forks"]

# Worker processes cannot import this file: its classes travel by value.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

# Workers of Dask look around fifty times a second even if they have nothing to do: several clusters that
# wait for the next test keep a core busy.
for interval in ("ADMIN__TICK__INTERVAL", "WORKER__PROFILE__INTERVAL", "ADMIN__SYSTEM_MONITOR__INTERVAL"):
    os.environ.setdefault(f"DASK_DISTRIBUTED__{interval}", "1s")

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("simherd", deadline=None)
hypothesis.settings.load_profile("simherd")


@pytest.fixture(scope="session", autouse=True)
def own_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep all that tests start, also in other processes, out of the user's own state folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@sh.process
class Grid:
    """A row of cells."""

    size = sh.variable(default=4, description="number of cells", static=True)
    x = sh.index(dims="x", description="middle of the cell", attrs={"units": "m"})

    def initialize(self):
        self.x = np.arange(self.size) + 0.5


@sh.process
class Walk:
    """Climbs by its gain at each step; a negative gain is an error."""

    gain = sh.variable(default=1.0, description="climb per step", attrs={"units": "m"})
    pause = sh.variable(default=0.0, description="time that a step takes", attrs={"units": "s"})
    x = sh.foreign(Grid, "x")
    height = sh.variable(intent="out", description="height reached", attrs={"units": "m"})
    profile = sh.variable(dims="x", intent="out", description="height times x", attrs={"units": "m2"})
    count = sh.variable(intent="out", description="steps taken")

    def initialize(self):
        self.height, self.count = 0.0, 0
        self.profile = self.height * self.x

    def run_step(self):
        if self.gain < 0:
            raise ValueError(f"gain {self.gain} is negative")
        if self.pause:
            time.sleep(self.pause)
        self.height += self.gain
        self.count += 1
        self.profile = self.height * self.x


@pytest.fixture
def walk() -> SimpleNamespace:
    """Return a tiny model, and a function that makes setups of it for a list of gains."""
    model = sh.Model({"grid": Grid, "walk": Walk})

    def setup(gains: Any, outputs: Any = None, **inputs: Any) -> xr.Dataset:
        batch = np.ndim(gains) == 1
        return sh.create_setup(
            model,
            clocks={"time": np.arange(4.0), "coarse": np.array([0.0, 3.0])},
            master_clock="time",
            input_vars={"walk__gain": (("member",), np.asarray(gains)) if batch else gains, **inputs},
            output_vars=outputs or {"walk__height": "time", "walk__profile": "coarse", "walk__count": None},
        )

    return SimpleNamespace(model=model, setup=setup)


@pytest.fixture(scope="session")
def two_workers() -> Iterator[Any]:
    """Return a client of a local cluster with two workers, shared by all tests that only use it."""
    with sh.open_client("local", workers=2) as client:
        yield client


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs Python code as a script of its own."""

    def run(code: str, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        path = tmp_path / "user_script.py"
        path.write_text(code)
        return subprocess.run(
            [sys.executable, str(path), *arguments],
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=tmp_path,
            env={**os.environ, "PYTHONWARNINGS": "error::FutureWarning:simherd"},
            check=False,
        )

    return run

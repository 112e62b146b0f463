"""A million simulations on two workers, to a folder: time, files, and memory of all processes."""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import xarray as xr
from timing import table

import simherd as sh
from simherd.examples.influenza import model, simulate_infected

SIMULATIONS = 1_000_000
SAMPLE_S = 0.05


@dataclass
class PeakMemory:
    """The most memory that this process and all those it started have at one time, in bytes.

    Proportional set sizes: what processes share counts once.
    """

    bytes: int = 0
    _ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> PeakMemory:
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(SAMPLE_S):
            self.bytes = max(self.bytes, memory_of_all())


def memory_of_all() -> int:
    """Return the memory of this process and all those it started, in bytes."""
    this = psutil.Process()
    total = 0
    for process in (this, *this.children(recursive=True)):
        try:
            total += process.memory_full_info().pss
        except psutil.Error:  # it has just ended
            continue
    return total


@dataclass(frozen=True)
class Measured:
    """What a run took."""

    seconds: float
    files: int
    peak: int

    def row(self, name: str, goal: str) -> tuple[str, str, str]:
        found = f"{self.files} files, {self.peak / 2**30:.2f} GiB at most in all processes"
        return name, f"{self.seconds:.1f} s", f"{found} (goal: {goal})"


def make_setup(simulations: int) -> xr.Dataset:
    """Return influenza epidemics with random rates, the infected boys of each day and the misfit saved."""
    rng = np.random.default_rng(1978)
    return sh.create_setup(
        model,
        clocks={"day": np.arange(14.0)},
        input_vars={
            "epidemic__transmission_rate": ("member", rng.uniform(1.0, 2.6, simulations)),
            "epidemic__recovery_rate": ("member", rng.uniform(0.2, 0.8, simulations)),
        },
        output_vars={"epidemic__infected": "day", "fit__misfit": None},
    )


def measure(setup: xr.Dataset, client: object, **options: object) -> Measured:
    """Run a batch to a new folder, check some of it, and return what that took."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out.zarr"
        with PeakMemory() as memory:
            started = time.perf_counter()
            setup.simherd.run(
                model, batch_dim="member", store=path, parallel=True, scheduler=client, **options
            )
            seconds = time.perf_counter() - started
        files = sum(1 for found in path.rglob("*") if found.is_file())
        _check(path)
        shutil.rmtree(path)
    return Measured(seconds, files, memory.bytes)


def _check(path: Path) -> None:
    with xr.open_zarr(path) as result:
        assert (result["simulation_status"].values == 1).all()
        for number in (0, result.sizes["member"] // 3, result.sizes["member"] - 1):
            one = result.isel(member=number)
            rates = float(one.epidemic__transmission_rate), float(one.epidemic__recovery_rate)
            np.testing.assert_allclose(one.epidemic__infected, simulate_infected(*rates), rtol=1e-9)


def main() -> None:
    """Measure and print; ``--vectorized`` leaves out the slow one."""
    setup = make_setup(SIMULATIONS)
    small = make_setup(10_000)
    rows = []
    with sh.open_client("local", workers=2) as client:
        measure(small, client, vectorize=True)
        vectorized = measure(setup, client, vectorize=True)
        rows.append(vectorized.row("as arrays, vectorize=True", "12 s, 2,000 files, 2 GiB"))
        if "--vectorized" not in sys.argv:
            rows.append(measure(setup, client).row("one by one", "360 s"))
    print(table(f"Ensemble: {SIMULATIONS:,} influenza epidemics of 13 days, to a folder, 2 workers", rows))


if __name__ == "__main__":
    main()

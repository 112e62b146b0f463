"""What the thread guard is worth: a batch of matrix products with it, and with a thread per core and worker.

python benchmarks/guards.py [PAIRS]
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

import dask
import numpy as np
from distributed import Client, LocalCluster
from timing import table

import simherd as sh
from simherd.resources import usable_cores
from simherd.threads import guard_environment

SIMULATIONS = 60
SIZE = 256
PRODUCTS = 10


@sh.process
class Products:
    """Multiplies a matrix with itself, again and again."""

    scale = sh.variable()
    trace = sh.variable(intent="out")

    def initialize(self) -> None:
        rng = np.random.default_rng(0)
        self._matrix = rng.normal(size=(SIZE, SIZE)) * self.scale

    def run_step(self) -> None:
        matrix = self._matrix
        for _ in range(PRODUCTS):
            matrix = matrix @ self._matrix
            matrix /= np.abs(matrix).max()
        self.trace = float(np.trace(matrix))


def main(pairs: int = 3) -> None:
    """Measure in pairs and print."""
    cores = usable_cores()
    model = sh.Model({"products": Products})
    setup = sh.create_setup(
        model,
        clocks={"time": np.arange(4.0)},
        input_vars={"products__scale": ("member", np.linspace(0.5, 1.5, SIMULATIONS))},
        output_vars={"products__trace": None},
    )
    found: dict[str, list[float]] = {"guarded": [], "unguarded": []}
    for pair in range(pairs):
        for name in sorted(found, reverse=bool(pair % 2)):
            threads = 1 if name == "guarded" else cores
            found[name].append(seconds(setup, model, cores, threads))
    ratios = [free / held for held, free in zip(found["guarded"], found["unguarded"], strict=True)]
    held, free = (statistics.median(found[name]) for name in ("guarded", "unguarded"))
    rows = [
        (f"{cores} workers, 1 thread each", f"{held:.2f} s", "guarded"),
        (f"{cores} workers, {cores} threads each", f"{free:.2f} s", "as libraries do by themselves"),
        (
            "the guard is worth",
            f"x{statistics.median(ratios):.2f}",
            f"({min(ratios):.2f} to {max(ratios):.2f})",
        ),
    ]
    print(table(f"{SIMULATIONS} simulations of products of {SIZE} x {SIZE} matrices, {pairs} pairs", rows))


def seconds(setup: Any, model: Any, workers: int, threads: int) -> float:
    """Return the time that a batch takes on workers whose libraries have some threads."""
    options = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"}
    guards = guard_environment(threads)
    with (
        dask.config.set({"distributed.nanny.pre-spawn-environ": guards}),
        LocalCluster(env=guards, **options) as cluster,
        Client(cluster) as client,
    ):
        few = setup.isel(member=slice(0, 2 * workers))
        sh.run(few, model, batch_dim="member", parallel=True, scheduler=client)  # imports
        started = time.perf_counter()
        sh.run(setup, model, batch_dim="member", parallel=True, scheduler=client)
        return time.perf_counter() - started


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

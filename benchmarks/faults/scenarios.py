"""The runs that faults happen to, and what their stores must hold."""

from __future__ import annotations

import os
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import simherd as sh

__all__ = ["SCENARIOS", "Scenario", "load_everything"]

BROKEN_INPUT_FILE = "SIMHERD_FAULTS_BROKEN"
"""Set while files that simulations need are lacking."""
FAILING = 3
"""Simulation that cannot run, then or ever."""


@sh.process
class Walk:
    """A random walk whose profile gets longer with its number, where it may."""

    number = sh.variable()
    is_growing = sh.variable(default=False, static=True)
    height = sh.variable(intent="out")
    profile = sh.variable(dims="x", intent="out")
    name = sh.variable(intent="out")

    def initialize(self) -> None:
        """Begin at a height."""
        if self.number == FAILING and os.environ.get(BROKEN_INPUT_FILE):
            raise ValueError("a file is lacking")
        self.height = self.number / 10
        self.profile = np.full(2 + int(self.number) * self.is_growing, self.height)
        self.name = f"walk-{self.number:.0f}"

    @sh.runtime(args="rng")
    def run_step(self, rng: np.random.Generator) -> None:
        """Climb or fall."""
        self.height = self.height * 1.5 + rng.normal()
        self.profile = self.profile * 1.1 + self.height


model = sh.Model({"walk": Walk})


@dataclass(frozen=True, kw_only=True, slots=True)
class Scenario:
    """A run in a store that may be there already."""

    run: Callable[[Path], object]
    """The run that a fault happens to; the same call resumes it."""
    prepare: Callable[[Path], object] | None = None
    """Makes the store that the run goes on in."""


def _setup(simulations: int | None, **inputs: Any) -> xr.Dataset:
    number: Any = 1.0 if simulations is None else ("member", np.arange(float(simulations)))
    return sh.create_setup(
        model,
        clocks={"time": np.arange(5.0)},
        master_clock="time",
        input_vars={"walk__number": number, **{f"walk__{name}": value for name, value in inputs.items()}},
        output_vars={"walk__height": "time", "walk__profile": "time", "walk__name": None},
    )


def _batch(store: Path, simulations: int = 6, *, is_growing: bool = False, **options: Any) -> None:
    _setup(simulations, is_growing=is_growing).simherd.run(
        model,
        batch_dim="member",
        store=store,
        block_size=2,
        seed=7,
        on_error="record",
        **{"resume": True, **options},
    )


def _with_failure(store: Path, simulations: int = 6, **options: Any) -> None:
    os.environ[BROKEN_INPUT_FILE] = "1"
    _batch(store, simulations, **options)


def _single(store: Path) -> None:
    _setup(None).simherd.run(model, store=store, seed=7, checkpoint_every=2, resume=True, memory_limit=100)


def load_everything() -> None:
    """Load what runs load while they run, so that forked processes have it already."""
    for room in ("simherd.api", "simherd.store"):
        for found in pkgutil.iter_modules(import_module(room).__path__):
            import_module(f"{room}.{found.name}")
    _setup(2).simherd.run(model, batch_dim="member")


SCENARIOS = {
    "fresh": Scenario(run=_with_failure),
    "lengthen": Scenario(prepare=lambda store: _with_failure(store, 4), run=_with_failure),
    "rerun": Scenario(prepare=_with_failure, run=lambda store: _batch(store, rerun="failed")),
    "growing": Scenario(run=lambda store: _batch(store, is_growing=True)),
    "checkpoint": Scenario(run=lambda store: _with_failure(store, checkpoint_every=2)),
    "single": Scenario(run=_single),
}

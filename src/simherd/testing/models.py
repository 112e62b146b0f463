"""Models that contracts run; apart from the tests, as workers import them and need not have pytest."""

from __future__ import annotations

import os
import signal
from typing import Any

import numpy as np
import xarray as xr

from simherd.model import Model, process, variable
from simherd.setup.dataset import create_setup

__all__ = ["MODEL", "setup_of"]

STEPS = 3
SIZE = 60
LIVES, DIES = 0.0, 1.0


@process
class Sums:
    """Sums whose last bits depend on how many threads a numerical library uses."""

    start = variable(description="where the sums start")
    fate = variable(default=LIVES, description="1 ends the operating-system process")
    total = variable(intent="out", description="the sums, added up")
    threads = variable(intent="out", description="most threads of a numerical library")

    def initialize(self) -> None:
        """Make a matrix."""
        self.matrix = np.cos(self.start + np.arange(float(SIZE * SIZE))).reshape(SIZE, SIZE)
        self.total = float(self.matrix.sum())
        self.threads = most_threads()

    def run_step(self) -> None:
        """Multiply the matrix with itself."""
        if self.fate == DIES:
            os.kill(os.getpid(), signal.SIGKILL)
        self.matrix = np.tanh(self.matrix @ self.matrix.T)
        self.total += float(self.matrix.sum())


def most_threads() -> int:
    """Return the most threads that a numerical library of this process uses."""
    from threadpoolctl import threadpool_info

    return max((int(library["num_threads"]) for library in threadpool_info()), default=1)


MODEL = Model({"sums": Sums})


def setup_of(simulations: int, doomed: tuple[int, ...] = ()) -> xr.Dataset:
    """Return a batch of simulations, some of which end their process.

    Parameters
    ----------
    simulations : int
        How many.
    doomed : tuple of int, optional
        Which of them end their process.
    """
    numbers = np.arange(float(simulations))
    inputs: dict[str, Any] = {
        "sums__start": (("member",), numbers / 7),
        "sums__fate": (("member",), np.isin(numbers, doomed) * DIES),
    }
    return create_setup(
        MODEL,
        clocks={"time": np.arange(STEPS + 1.0)},
        input_vars=inputs,
        output_vars={"sums__total": "time", "sums__threads": None},
    )

"""A model with a long way to go, and the script that runs it: ``python walkers.py '{"place": ...}'``.

Orders to it lie in a file, so that they are no inputs: at which step of which simulation its process, or all
of the run, is to be killed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

import simherd as sh

FOLDER = "SIMHERD_WALKERS"
STEPS = 24
PLACES = {
    "serial": {"parallel": True, "scheduler": "sync"},
    "threads": {"parallel": True, "scheduler": "threads", "workers": 2},
    "processes": {"parallel": True, "scheduler": "processes", "workers": 2},
}


def obey(number, step):
    """Tell the test of a step, and do what is ordered."""
    folder = Path(os.environ[FOLDER])
    with (folder / "log").open("ab", buffering=0) as log:
        log.write(f"{number} {step}\n".encode())
    orders = folder / "orders.json"
    if not orders.exists():
        return
    order = json.loads(orders.read_text())
    time.sleep(order.get("pause", 0))
    if [number, step] == order.get("at"):
        orders.unlink()
        if order["kill"] == "run":
            os.killpg(0, signal.SIGKILL)
        os.kill(os.getpid(), {"process": signal.SIGKILL, "term": signal.SIGTERM}[order["kill"]])


@sh.process
class Walker:
    """Walks at random, and keeps its trail in an array that it changes in place."""

    pace = sh.variable(default=1.0)
    wind = sh.variable(default=0.5, description="varies with the clock")
    x = sh.index(dims="x")
    trail = sh.variable(dims="x", intent="out")
    where = sh.variable(intent="out")
    word = sh.variable(intent="out")

    def initialize(self):
        self.x = np.arange(50)
        self.trail = np.zeros(50)
        self.where = 0.0

    @sh.runtime(args="batch, step, rng")
    def run_step(self, batch, step, rng):
        obey(batch, step)
        self.where = self.where + self.pace * rng.standard_normal() + self.wind
        self.trail[:] += rng.standard_normal(50) * self.where
        self.word = "step" * (step % 3)


model = sh.Model({"walker": Walker})


def make_setup(simulations):
    wind = np.sin(np.arange(STEPS + 1.0))
    pace = ("member", np.linspace(1, 2, simulations)) if simulations else 1.5
    return sh.create_setup(
        model,
        clocks={"time": np.arange(STEPS + 1.0), "coarse": np.arange(0, STEPS + 1.0, 6)},
        main_clock="time",
        input_vars={"walker__pace": pace, "walker__wind": ("time", wind)},
        output_vars={"walker__trail": "time", "walker__where": "coarse", "walker__word": "time"},
    )


def run(*, place="single", simulations=0, report=None, **options):
    where = {"batch_dim": "member", **PLACES[place]} if simulations else {}
    try:
        make_setup(simulations).simherd.run(model, seed=5, **where, **options)
    except sh.errors.RunInterruptedError as error:
        sys.stderr.write(f"{error}\n")
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(run(**json.loads(sys.argv[1])))

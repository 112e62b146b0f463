"""A model whose simulations do harm when they are ordered to, and the script that runs it.

Tests start it as a process of its own: ``python victims.py '{"executor": "serial", ...}'`` runs one batch.
Orders to the simulations lie in a file, so that they are no inputs: a store written under orders is to equal
one that was not.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
import time
import traceback
from contextlib import contextmanager
from pathlib import Path

import numpy as np

import simherd as sh

FOLDER = "SIMHERD_VICTIMS"
MOST_BYTES = 2 * 2**30
LONGEST_S = 300


def allocate():
    """Take memory bit by bit, as a model that leaks."""
    taken = []
    while sum(map(len, taken)) < MOST_BYTES:
        taken.append(np.ones(2**24, np.uint8))
        time.sleep(0.02)
    raise RuntimeError("survived: nobody stopped the allocation")


def spin():
    end = time.monotonic() + LONGEST_S
    while time.monotonic() < end:
        pass
    raise RuntimeError("survived: nobody stopped the loop")


def segfault():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.string_at(0)


def fail():
    raise ValueError("ordered to fail")


HARM = {
    "raise": fail,
    "segfault": segfault,
    "exit": lambda: os._exit(3),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "memory": allocate,
    "spin": spin,
    "sleep": lambda: time.sleep(1e6),
}


def begin(number):
    """Tell the test that a simulation starts, and return what it is ordered to do."""
    folder = Path(os.environ[FOLDER])
    with (folder / "log").open("ab", buffering=0) as log:
        log.write(f"{number:.0f} {os.getpid()}\n".encode())
    orders = json.loads((folder / "orders.json").read_text())
    return orders["pause"], orders["harm"].get(f"{number:.0f}")


@sh.process
class Victim:
    """Computes something of its own number."""

    number = sh.variable(description="position in the batch")
    size = sh.variable(default=8, static=True, description="number of cells")
    x = sh.index(dims="x")
    height = sh.variable(intent="out")
    profile = sh.variable(dims="x", intent="out")
    count = sh.variable(intent="out")

    def initialize(self):
        self._pause, self._harm = begin(self.number)
        self.x = np.arange(self.size) / 3
        self.height = self.number / 10
        self.profile = self.x * 0.7 + self.number
        self.count = 0

    def run_step(self):
        time.sleep(self._pause)
        if self.count == 1 and self._harm is not None:
            HARM[self._harm]()
        self.count += 1
        self.height = self.height * 1.5 + 1 / (self.count + self.number)
        self.profile = self.profile * 1.1 + self.height / (self.x + 1)


model = sh.Model({"victim": Victim})


def make_setup(simulations, cells):
    """Return a setup of some simulations, of three steps each."""
    return sh.create_setup(
        model,
        clocks={"time": np.arange(4.0), "coarse": np.array([0.0, 3.0])},
        master_clock="time",
        input_vars={
            "victim__number": ("member", np.arange(float(simulations))),
            "victim__size": cells,
        },
        output_vars={"victim__height": "time", "victim__profile": "coarse", "victim__count": None},
    )


@contextmanager
def place(executor, memory=None, scheduler_file=None):
    """Give the arguments that say where simulations run."""
    if executor == "serial":
        yield {"parallel": True, "scheduler": "sync"}
    elif executor in ("threads", "processes"):
        yield {"parallel": True, "scheduler": executor, "workers": 2}
    elif executor == "client":
        with sh.open_client("local", workers=2, **({"memory": memory} if memory else {})) as client:
            yield {"parallel": True, "scheduler": client}
    else:
        from distributed import Client

        with Client(scheduler_file=scheduler_file) as client:
            yield {"parallel": True, "scheduler": client}


def run(*, executor, store, simulations, block_size, cells, options, report, **where):
    """Run a batch, write what became of it to the file `report`, and return an exit code."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    code = 1
    try:
        with place(executor, **where) as arguments:
            result = make_setup(simulations, cells).simherd.run(
                model, batch_dim="member", store=store, block_size=block_size, **arguments, **options
            )
        status = result.simulation_status.values.tolist()
        told = {"status": status}
        code = 3 if 2 in status else 0
    except BaseException as error:
        traceback.print_exc()
        kinds = [cls.__name__ for cls in type(error).__mro__]
        told = {"error": kinds[0], "kinds": kinds, "message": str(error)}
        code = 4 if kinds[0] == "RunInterruptedError" else 1
    Path(report).write_text(json.dumps(told))
    return code


if __name__ == "__main__":
    sys.exit(run(**json.loads(sys.argv[1])))

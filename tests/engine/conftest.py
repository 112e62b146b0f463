"""What the tests of the engine share: a small model, plans, and the modules beside this file."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import simherd as sh
from simherd.engine.plan import Plan, Tap
from simherd.engine.simulate import Simulator


def load(name):
    """Import a module of this folder; pytest's importlib mode leaves ``sys.path`` alone."""
    spec = importlib.util.spec_from_file_location(f"engine_{name}", Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def reference():
    return load("reference")


@pytest.fixture(scope="session")
def random_models():
    return load("random_models")


@sh.process
class Counter:
    """Counts ones in run_step and hundreds in finalize_step."""

    start = sh.variable(default=0)
    count = sh.variable(intent="out")
    double = sh.on_demand()

    def initialize(self):
        self.count = self.start

    def run_step(self):
        self.count += 1

    def finalize_step(self):
        self.count += 100

    def finalize(self):
        self.count = -1

    @double.compute
    def _double(self):
        return 2 * self.count


START, COUNT, DOUBLE = ("p", "start"), ("p", "count"), ("p", "double")


@pytest.fixture
def counter():
    return Counter


@pytest.fixture
def make_plan():
    """Return a function that makes a plan of one process ``p`` that saves ``{key: steps}``."""

    def make(cls=Counter, steps=4, saves=None, **options):
        model = sh.Model({"p": cls})
        taps = [
            Tap(key=key, home=key, clock=None if at is None else "t", steps=at or ())
            for key, at in (saves or {}).items()
        ]
        shared = {START: 0} if cls is Counter else {}
        given = {"clock": "t", "labels": np.arange(steps + 1.0), "shared": shared, "taps": tuple(taps)}
        return Plan(model=model, **(given | options))

    return make


@pytest.fixture
def run():
    """Return a function that runs one simulation of a plan and gives the values of its outputs."""

    def run_one(plan, values=None, **options):
        simulator = Simulator(plan, **options)
        columns = simulator.columns(1)
        simulator.run(values or {}, columns, 0)
        return [column.values[0].tolist() for column in columns]

    return run_one

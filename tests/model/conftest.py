"""Small processes that the tests of the model share."""

from __future__ import annotations

import pytest

import simherd as sh
from simherd.model import RuntimeSignal


@sh.process
class Source:
    """Sets what others read."""

    rate = sh.variable(default=2)
    total = sh.variable(intent="out")

    def initialize(self):
        self.total = 0

    def run_step(self):
        self.total += self.rate


@sh.process
class Reader:
    """Reads what the source sets."""

    total = sh.foreign(Source, "total")
    double = sh.variable(intent="out")

    def run_step(self):
        self.double = 2 * self.total


@pytest.fixture
def source_cls():
    return Source


@pytest.fixture
def reader_cls():
    return Reader


@pytest.fixture
def model():
    """A model whose reader comes first in the mapping and last in the order."""
    return sh.Model({"reader": Reader, "source": Source})


@pytest.fixture
def calls():
    """A list that the processes of `traced` and the hooks of a test append to."""
    return []


@pytest.fixture
def traced(calls):
    """Return a function that makes a process which records its calls and gives a signal."""

    def make(name, signal=RuntimeSignal.NONE, **members):
        def record(stage):
            def method(self):
                calls.append(f"{name}.{stage}")
                return signal

            return method

        stages = {stage: record(stage) for stage in ("initialize", "run_step", "finalize")}
        return sh.process(type(name.upper(), (), {**stages, **members}))

    return make

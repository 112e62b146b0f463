"""Models for measuring: processes that do next to nothing, so that what is measured is the engine."""

from __future__ import annotations

from typing import Any

import numpy as np

import simherd as sh


def chain(length: int) -> sh.Model:
    """Return a model of `length` processes, each of which reads the value of the one before."""
    processes: dict[str, type] = {}
    previous: type | None = None
    for number in range(length):
        body: dict[str, Any] = {"y": sh.variable(intent="out"), "initialize": _set, "run_step": _step}
        body["x"] = sh.variable(default=1.0) if previous is None else sh.foreign(previous, "y")
        previous = sh.process(type(f"Link{number}", (), {**body, "finalize_step": _rest}))
        processes[f"link{number}"] = previous
    return sh.Model(processes)


def _set(self: Any) -> None:
    self.y = self.x


def _step(self: Any) -> None:
    self.y = self.x


def _rest(self: Any) -> None:
    pass


@sh.process
class Growth:
    """A value that grows and an array of ten doubles made of it."""

    start = sh.variable(default=1.0)
    value = sh.variable(intent="out")
    profile = sh.variable(dims="x", intent="out")

    def initialize(self) -> None:
        self.value = self.start
        self.profile = np.full(10, self.start)

    def run_step(self) -> None:
        self.value += 0.5
        self.profile = self.profile + 0.5


@sh.process
class Scaled:
    """Passes a value on."""

    before = sh.foreign(Growth, "value")
    value = sh.variable(intent="out")

    def run_step(self) -> None:
        self.value = self.before * 1.5


@sh.process
class Shifted:
    """Passes a value on."""

    before = sh.foreign(Scaled, "value")
    value = sh.variable(intent="out")

    def run_step(self) -> None:
        self.value = self.before + 2.0


@sh.process
class Squared:
    """Passes a value on."""

    before = sh.foreign(Shifted, "value")
    value = sh.variable(intent="out")

    def run_step(self) -> None:
        self.value = self.before * self.before


@sh.process
class Total:
    """Adds up what comes."""

    before = sh.foreign(Squared, "value")
    value = sh.variable(intent="out")

    def initialize(self) -> None:
        self.value = 0.0

    def run_step(self) -> None:
        self.value += self.before


tiny = sh.Model({"growth": Growth, "scaled": Scaled, "shifted": Shifted, "squared": Squared, "total": Total})


def bare_tiny(starts: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Compute what `tiny` does as a loop that a person would write; profiles and totals."""
    profiles = np.empty((len(starts), steps + 1, 10))
    totals = np.empty(len(starts))
    for row, start in enumerate(starts.tolist()):
        value, profile, total = start, np.full(10, start), 0.0
        for step in range(steps):
            value += 0.5
            profile = profile + 0.5
            shifted = value * 1.5 + 2.0
            total += shifted * shifted
            profiles[row, step] = profile
        profiles[row, steps] = profile
        totals[row] = total
    return profiles, totals


@sh.process
class Field:
    """An array that is new, and hard to compress, at each step."""

    SIZE = 1000
    values = sh.variable(dims="x", intent="out")

    def initialize(self) -> None:
        self.values = np.zeros(self.SIZE)

    @sh.runtime(args="step")
    def run_step(self, step: int) -> None:
        self.values = self.values * 0.999 + np.sin(step)


field = sh.Model({"field": Field})


@sh.process
class Events:
    """As many random values as it is told."""

    rng = np.random.default_rng(0)

    count = sh.variable()
    depth = sh.variable(dims="event", intent="out")

    def initialize(self):
        self.depth = self.rng.random(self.count)


events = sh.Model({"events": Events})

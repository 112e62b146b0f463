"""What the engine adds to the methods of the processes: per process-step, per step, per saved value."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from models import chain
from timing import medians, table

import simherd as sh
from simherd.engine.plan import Plan, Tap
from simherd.engine.simulate import Simulator

STEPS = 2000
LENGTH = 10


def bare_loop(model: sh.Model) -> Callable[[], None]:
    """Return a loop over the methods."""
    steps, rests = _live_methods(model)

    def loop() -> None:
        for _ in range(STEPS):
            for call in steps:
                call()
            for call in rests:
                call()

    return loop


def handing_loop(model: sh.Model) -> Callable[[], None]:
    """Return a loop over the methods that also assigns each value to its reader."""
    steps, rests = _live_methods(model)
    objects = [call.__self__ for call in steps]
    pairs = list(itertools.pairwise(objects))
    linked_steps = list(zip(steps, pairs, strict=False))
    linked_rests = list(zip(rests, pairs, strict=False))

    def loop() -> None:
        for _ in range(STEPS):
            for call, (start, stop) in linked_steps:
                call()
                stop.x = start.y
            steps[-1]()
            for call, (start, stop) in linked_rests:
                call()
                stop.x = start.y
            rests[-1]()

    return loop


def _live_methods(model: sh.Model) -> tuple[list[Any], list[Any]]:
    live = model.clone()
    live.update_state({("link0", "x"): 1.0})
    live.execute("initialize")
    return [p.run_step for p in live.values()], [p.finalize_step for p in live.values()]


def simulation(model: sh.Model, outputs: int) -> Callable[[], Any]:
    """Return a whole simulation that saves some scalars at each step."""
    taps = tuple(
        Tap(key=(f"link{n}", "y"), home=(f"link{n}", "y"), clock="t", steps=tuple(range(STEPS + 1)))
        for n in range(outputs)
    )
    plan = Plan(
        model=model, clock="t", labels=np.arange(STEPS + 1.0), shared={("link0", "x"): 1.0}, taps=taps
    )
    simulator = Simulator(plan)
    return lambda: simulator.run({}, simulator.columns(1), 0)


def main() -> None:
    """Measure and print."""
    long, short = chain(LENGTH), chain(1)
    rivals = {
        "bare": bare_loop(long),
        "bare, handing on": handing_loop(long),
        "bare, one process": handing_loop(short),
        "simherd": simulation(long, 0),
        "simherd, one process": simulation(short, 0),
        "simherd, 1 scalar": simulation(long, 1),
    }
    seconds = medians(rivals)
    per_step = {name: value / STEPS * 1e6 for name, value in seconds.items()}

    def per_process(many: str, one: str) -> float:
        return (per_step[many] - per_step[one]) / (LENGTH - 1)

    bare, ours = (
        per_process("bare, handing on", "bare, one process"),
        per_process("simherd", "simherd, one process"),
    )
    driver = per_step["simherd, one process"] - ours
    saved = per_step["simherd, 1 scalar"] - per_step["simherd"]
    rows = [
        ("process-step, bare calls", f"{per_step['bare'] / LENGTH:.3f} us", ""),
        ("process-step, bare loop that hands values on", f"{bare:.3f} us", ""),
        ("process-step, simherd", f"{ours:.3f} us", f"{ours / bare:.2f} x the loop that hands on"),
        ("", "", f"{ours * LENGTH / per_step['bare']:.2f} x bare calls (xarray-simlab: 6.0 us)"),
        ("driver per step, simherd", f"{driver:.3f} us", "(xarray-simlab: 115 us)"),
        ("one scalar saved at each step, simherd", f"{saved:.3f} us", "(xarray-simlab: 130 us)"),
    ]
    print(table(f"Engine: {LENGTH} trivial processes (run_step and finalize_step), {STEPS} steps", rows))


if __name__ == "__main__":
    main()

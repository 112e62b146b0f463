"""What the engine adds to the methods of the processes: per process-step, per step, per saved value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from models import chain
from timing import medians, table

import simherd as sh
from simherd.engine import Plan, Simulator, Tap

STEPS = 2000
LENGTH = 10


def bare_loop(model: sh.Model, hands_on: bool) -> Callable[[], None]:
    """Return a loop over the same methods, with or without assigning each value to its reader."""
    live = model.clone()
    live.update_state({("link0", "x"): 1.0})
    live.execute("initialize")
    objects = list(live.values())
    pairs = [(o, after) for o, after in zip(objects, [*objects[1:], None], strict=True)]

    def calls_only() -> None:
        steps, rests = [o.run_step for o in objects], [o.finalize_step for o in objects]
        for _ in range(STEPS):
            for call in steps:
                call()
            for call in rests:
                call()

    def with_hand_over() -> None:
        links: list[tuple[Callable[[], None], Callable[[], None], Any, Any]] = [
            (o.run_step, o.finalize_step, o, after) for o, after in pairs
        ]
        for _ in range(STEPS):
            for call, _, start, stop in links:
                call()
                if stop is not None:
                    stop.x = start.y
            for _, rest, start, stop in links:
                rest()
                if stop is not None:
                    stop.x = start.y

    return with_hand_over if hands_on else calls_only


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
        "bare": bare_loop(long, hands_on=False),
        "bare, handing on": bare_loop(long, hands_on=True),
        "bare, one process": bare_loop(short, hands_on=True),
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
        ("process-step, simherd", f"{ours:.3f} us", f"{ours / bare:.2f} x bare (xarray-simlab: 6.0 us)"),
        ("driver per step, simherd", f"{driver:.3f} us", "(xarray-simlab: 115 us)"),
        ("one scalar saved at each step, simherd", f"{saved:.3f} us", "(xarray-simlab: 130 us)"),
    ]
    print(table(f"Engine: {LENGTH} trivial processes (run_step and finalize_step), {STEPS} steps", rows))


if __name__ == "__main__":
    main()

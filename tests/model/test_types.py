"""What the type checker of a user makes of processes and models."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy")
ROOT = Path(__file__).parents[2]

USER_FILE = """
from __future__ import annotations

import simherd as sh


@sh.process
class Tank:
    rate: float = sh.variable(default=1.0, description="inflow")
    level: float = sh.variable(intent="out")
    double = sh.on_demand()

    def initialize(self) -> None:
        self.level = 0.0

    @sh.runtime(args="step_delta")
    def run_step(self, dt: float) -> None:
        self.level += self.rate * dt

    @double.compute
    def _double(self) -> float:
        return 2 * self.level


@sh.process(autodoc=False)
class Reader:
    level: float = sh.foreign(Tank, "level")
    levels: dict[tuple[str, str], float] = sh.group_dict("levels")


@sh.runtime_hook("run_step")
def watch(model: sh.Model, context: sh.RuntimeContext, state: object) -> None:
    reveal_type(context.step)


tank = Tank(rate=2.0)
tank.run_step(0.5)
reveal_type(tank.level)
reveal_type(Reader(level=1.0).levels)
model = sh.Model({"tank": Tank, "reader": Reader}, order=[("tank", "reader")], clocks={"t": [0, 1]})
reveal_type(model.clone())
tank.lvel
"""


@pytest.mark.slow
def test_mypy_knows_the_variables_of_a_process(tmp_path):
    path = tmp_path / "user_model.py"
    path.write_text(USER_FILE)

    done = subprocess.run(  # where `make lint` runs it, so that what it knows of simherd is used again
        [sys.executable, "-m", "mypy", str(path)], capture_output=True, text=True, check=False, cwd=ROOT
    )

    lines = [line.split(": ", 1)[1] for line in done.stdout.splitlines() if path.name in line]
    assert [line.replace("builtins.", "") for line in lines] == [
        'note: Revealed type is "int"',
        'note: Revealed type is "float"',
        'note: Revealed type is "dict[tuple[str, str], float]"',
        'note: Revealed type is "simherd.model.model.Model"',
        'error: "Tank" has no attribute "lvel"; maybe "level"?  [attr-defined]',
    ]

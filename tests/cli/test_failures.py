"""``simherd failures``: what failed and why, and how to run it again."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from itertools import islice

import pytest

from simherd.cli.failures_text import describe_groups
from simherd.store.failures import FailedSimulation

GAINS = [1.0, -1.0, 2.0, -2.0, 7.0, -3.0]


@pytest.fixture
def store(simherd, experiment, tmp_path):
    """Return a store of six simulations of which four failed, in two ways."""
    path = experiment(
        batch={
            "sampling": "zip",
            "parameters": {
                "walk__gain": {"values": GAINS},
                "walk__start": {"values": [0.0, 0.5, 1.0, 1.5, 4.0, 2.5]},
            },
        }
    )
    model = tmp_path / "walk.py"
    model.write_text(
        model.read_text()
        .replace(
            'raise ValueError("the gain is negative")', 'raise ValueError(f"gain {self.gain} is negative")'
        )
        .replace("time.sleep(self.pause)", "time.sleep(self.pause) if self.gain < 7 else {}['level']")
    )
    assert simherd("run", path).code == 3
    return tmp_path / "out.zarr"


def test_equal_errors_are_shown_together(simherd, store, monkeypatch):
    monkeypatch.chdir(store.parent)

    shown = simherd("failures", "out.zarr")

    assert shown.code == 0
    assert shown.out.startswith(
        f"""\
out.zarr: 4 simulations failed with 2 kinds of errors

3 x ValueError('gain -1.0 is negative') (first message shown; numbers differ)
    in process 'walk', stage run_step
    simulations 1, 3, 5
    simulation 1 has walk__gain = -1.0, walk__start = 0.5

1 x KeyError('level')
    in process 'walk', stage run_step
    simulation 4
    simulation 4 has walk__gain = 7.0, walk__start = 4.0

Simulation 1 in full:

Traceback (most recent call last):
  File "{store.parent}/walk.py", line"""
    )
    assert "in run_step\n    raise ValueError" in shown.out
    assert "site-packages" not in shown.out
    assert "simherd/engine" not in shown.out
    assert shown.out.endswith("Another failed simulation: simherd failures out.zarr --simulation 4\n")


@pytest.mark.parametrize(
    ("errors", "headline", "first"),
    [
        (["E('a')"], "1 simulation failed", "1 x E('a')"),
        (["E('a')"] * 2, "2 simulations failed with the same kind of error", "2 x E('a')"),
        (
            ["E(1)", "E(2)"],
            "2 simulations failed with the same kind of error",
            "2 x E(1) (first message shown; numbers differ)",
        ),
        (["E('a')", "E('b')"], "2 simulations failed with 2 kinds of errors", "1 x E('a')"),
    ],
)
def test_the_headline_counts_kinds_of_errors(tmp_path, errors, headline, first):
    failures = [
        FailedSimulation(
            number=number, error=error, where="", process=None, stage=None, step=None, traceback="", time=None
        )
        for number, error in enumerate(errors)
    ]

    summary = islice(describe_groups(tmp_path, failures), 3)

    assert list(summary) == [f"{tmp_path}: {headline}", "", first]


def test_one_simulation_can_be_shown(simherd, store):
    shown = simherd("failures", store, "--simulation", 5)

    assert shown.out.startswith(
        "Simulation 5 in process 'walk', stage run_step, step 0\n"
        "    walk__gain = -3.0\n"
        "    walk__start = 2.5\n"
    )
    assert "ValueError: gain -3.0 is negative" in shown.out
    assert f"simherd.replay('{store}', 5)" in shown.out


def test_a_simulation_that_has_not_failed_is_wrong_usage(simherd, store):
    shown = simherd("failures", store, "--simulation", 0)

    assert shown.code == 2
    assert shown.err == "Error: Simulation 0 has not failed. Allowed: '1', '3', '4', '5'.\n"


def test_all_can_be_shown(simherd, store):
    shown = simherd("failures", store, "--all")

    assert re.findall(r"^Simulation (\d)", shown.out, re.M) == ["1", "3", "4", "5"]
    assert shown.out.count("Traceback") == 4
    assert shown.out.count("import pdb") == 1


def test_json_has_all_of_it(simherd, store):
    found = json.loads(simherd("failures", store, "--json").out)

    assert found["failed"] == 4
    last = found["failures"][-1]
    assert last["simulation"] == 5
    assert last["error"] == "ValueError('gain -3.0 is negative')"
    assert (last["process"], last["stage"], last["step"]) == ("walk", "run_step", 0)
    assert last["inputs"] == {"walk__gain": -3.0, "walk__start": 2.5}
    assert "Traceback" in last["traceback"]


def test_a_store_without_failures_says_so(simherd, experiment, tmp_path):
    simherd("run", experiment())

    shown = simherd("failures", tmp_path / "out.zarr")

    assert shown.code == 0
    assert shown.out.endswith("out.zarr: no simulation has failed.\n")


def test_what_is_no_store_is_exit_code_1(simherd, tmp_path):
    shown = simherd("failures", tmp_path / "nothing.zarr")

    assert shown.code == 1
    assert shown.err.startswith("Error: Cannot read the store")


def printed_lines(text: str) -> str:
    """Return the lines of Python that stand in what is printed."""
    lines = text[text.index("    import pdb") :].splitlines()
    code = [line[4:] for line in lines if not line or line.startswith("    ")]
    return "\n".join(code)


@pytest.mark.parametrize("number", [1, 4])
def test_the_printed_lines_raise_the_error_in_a_debugger(simherd, store, tmp_path, number):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "again.py").write_text(printed_lines(simherd("failures", store, "--simulation", number).out))

    done = subprocess.run(
        [sys.executable, "again.py"],
        cwd=elsewhere,
        input="p self.gain\nq\n",
        capture_output=True,
        text=True,
        check=False,
    )

    assert f"simulation {number}" in done.stderr
    assert ("ValueError: gain -1.0 is negative" if number == 1 else "KeyError: 'level'") in done.stderr
    assert "walk.py" in done.stdout
    assert f"(Pdb) {GAINS[number]}" in done.stdout


@pytest.mark.slow
def test_the_lines_of_a_library_run_take_the_user_s_model(simherd, tmp_path, script):
    model = """
import numpy as np
import simherd as sh

@sh.process
class Walk:
    gain = sh.variable()
    height = sh.variable(intent="out")

    def initialize(self):
        if self.gain < 0:
            raise ValueError(f"gain {self.gain} is negative")
        self.height = self.gain

model = sh.Model({"walk": Walk})
"""
    run = """
setup = sh.create_setup(
    model, input_vars={"walk__gain": ("member", np.array([1.0, -1.0]))}, output_vars={"walk__height": None}
)
setup.simherd.run(model, batch_dim="member", store="out.zarr", on_error="record")
"""
    assert script(model + run).returncode == 0
    lines = printed_lines(simherd("failures", tmp_path / "out.zarr").out)

    assert "model = ...  # the model of the run" in lines
    done = script(model + lines.replace("model = ...", ""))

    assert "ValueError: gain -1.0 is negative" in done.stderr


def test_many_errors_are_a_short_list(simherd, experiment, tmp_path):
    names = "abcdefghijklmno"
    path = experiment(
        batch={
            "sampling": "grid",
            "parameters": {"walk__gain": {"values": [1.0] + [-n for n in range(1, 46)]}},
        }
    )
    model = tmp_path / "walk.py"
    model.write_text(
        model.read_text().replace(
            'raise ValueError("the gain is negative")',
            f'raise ValueError("the gain is " + {names!r}[int(-self.gain) % 15])',
        )
    )
    done = simherd("run", path)

    shown = simherd("failures", tmp_path / "out.zarr")

    assert "45 simulations failed with 15 kinds of errors" in shown.out
    assert shown.out.count("\n3 x ") == 10
    assert "and 5 other errors: see --all" in shown.out
    assert done.out.count("  3 x ValueError('the gain is ") == 3
    assert "  36 x 12 other errors" in done.out

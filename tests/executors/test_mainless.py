"""Worker processes never import the user's script."""

from __future__ import annotations

import sys
import threading

import pytest

from simherd.executors.mainless import without_main

MODEL = """
import numpy as np
import simherd as sh

print("the script runs")

@sh.process
class Twice:
    number = sh.variable()
    twice = sh.variable(intent="out")

    def initialize(self):
        self.twice = 2 * self.number

model = sh.Model({"p": Twice})
setup = sh.create_setup(
    model, input_vars={"p__number": ("member", np.arange(4.0))}, output_vars={"p__twice": None}
)
"""
ON_PROCESSES = """
result = setup.simherd.run(
    model=model, batch_dim="member", parallel=True, scheduler="processes", workers=2, block_size=2
)
print(result.p__twice.values.tolist())
"""
ON_CLUSTER = """
with sh.open_client("local", workers=2) as client:
    result = setup.simherd.run(model=model, batch_dim="member", parallel=True, block_size=2)
print(result.p__twice.values.tolist())
"""
WHERE = [
    pytest.param(ON_PROCESSES, id="processes"),
    pytest.param(ON_CLUSTER, id="cluster", marks=pytest.mark.cluster),
]
EXPECTED = ["the script runs", "[0.0, 2.0, 4.0, 6.0]"]


@pytest.mark.parametrize("how", WHERE)
def test_a_model_in_a_script_without_a_guard_works_and_the_script_runs_once(script, how):
    done = script(MODEL + how)

    assert done.stdout.splitlines() == EXPECTED, done.stderr
    assert done.returncode == 0


@pytest.mark.parametrize("how", WHERE)
def test_a_model_without_a_file_works_as_in_a_notebook(script, how):
    notebook = (
        f"import sys; exec(compile({MODEL + how!r}, '<cell 1>', 'exec'), sys.modules['__main__'].__dict__)"
    )

    done = script(f"import subprocess, sys\nsys.exit(subprocess.call([sys.executable, '-c', {notebook!r}]))")

    assert done.stdout.splitlines() == EXPECTED, done.stderr


def test_main_is_back_after_overlapping_uses():
    main = sys.modules["__main__"]
    before = (getattr(main, "__file__", None), main.__spec__)
    first, second = threading.Event(), threading.Event()

    def use():
        with without_main():
            first.set()
            second.wait(5)

    thread = threading.Thread(target=use)
    thread.start()
    first.wait(5)
    with without_main():
        assert not hasattr(main, "__file__")
        second.set()
        thread.join()
        assert not hasattr(main, "__file__")

    assert (getattr(main, "__file__", None), main.__spec__) == before

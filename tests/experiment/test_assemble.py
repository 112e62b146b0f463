from __future__ import annotations

import inspect

import numpy as np
import pytest

from simherd.api.run import run
from simherd.errors import ExperimentError
from simherd.experiment.assemble import assemble
from simherd.experiment.document import read_document
from simherd.experiment.schema import check

MODEL = '''
import numpy as np
import simherd as sh

@sh.process
class Climb:
    """Climbs."""

    rate = sh.variable(default=1.0)
    offset = sh.variable(default=0.0)
    row = sh.variable(dims="x", default=np.ones(2))
    height = sh.variable(intent="out")

    def initialize(self):
        raise AssertionError("assembling ran a stage")

model = sh.Model({"climb": Climb})

def make():
    return sh.Model({"climb": Climb})
'''


@pytest.fixture
def assembled(tmp_path):
    """Return a function that assembles an experiment from the lines of its file."""
    (tmp_path / "climb.py").write_text(MODEL)

    def make(text="", model="climb.py:model"):
        path = tmp_path / "climb.yaml"
        path.write_text(f"model: {model}\n{text}")
        return assemble(check(read_document(path)))

    return make


def clock_of(made):
    return made.dataset.time.values.tolist()


def test_what_the_section_run_leaves_open_is_as_in_the_call(assembled):
    parameters = inspect.signature(run).parameters
    options = assembled().options

    left_open = ("retries", "timeout_s", "seed", "checkpoint_every", "grace_s", "memory_limit", "block_size")
    assert {name: options[name] for name in left_open} == {n: parameters[n].default for n in left_open}
    assert options.keys() <= parameters.keys()


@pytest.mark.parametrize("model", ["climb.py:model", "climb.py:make"])
def test_a_model_or_a_function_that_gives_one_is_loaded(assembled, model):
    assert list(assembled(model=model).model) == ["climb"]


@pytest.mark.parametrize(
    ("clock", "labels"),
    [
        ("{start: 0, stop: 2, num: 5}", [0.0, 0.5, 1.0, 1.5, 2.0]),
        ("{start: 0, stop: 2, step: 0.5}", [0.0, 0.5, 1.0, 1.5, 2.0]),
        ("{start: 0, stop: 0.3, step: 0.1}", [0.0, 0.1, 0.2, 0.30000000000000004]),
        ("{start: 1, stop: 2, step: 0.4}", [1.0, 1.4, 1.8]),
        ("{values: [0, 1, 5]}", [0.0, 1.0, 5.0]),
    ],
)
def test_a_clock_is_said_in_three_ways(assembled, clock, labels):
    assert clock_of(assembled(f"clocks: {{time: {clock}}}")) == labels


def test_a_coarser_clock_takes_every_nth_label_and_the_units(assembled):
    made = assembled("""
clocks:
  time: {start: 0, stop: 10, num: 11, units: years}
  coarse: {every: 5}
main_clock: time
outputs: {climb__height: coarse}
""")

    assert made.dataset.coarse.values.tolist() == [0.0, 5.0, 10.0]
    assert made.dataset.coarse.attrs["units"] == "years"
    assert made.prepared.setup.plan.taps[0].steps == (0, 5, 10)


def test_without_clocks_there_are_no_steps(assembled):
    assert assembled().prepared.setup.plan.nsteps == 0


def test_parameters_of_the_batch_win_over_inputs(assembled):
    made = assembled("""
inputs: {climb__rate: 5.0, climb__offset: 7.0}
batch: {sampling: zip, parameters: {climb__rate: {values: [1, 2, 3]}}}
""")

    assert made.dataset.climb__rate.values.tolist() == [1, 2, 3]
    assert made.dataset.climb__offset.item() == 7.0
    assert made.prepared.setup.simulations == 3


def test_simulations_of_a_batch_are_numbered(assembled):
    made = assembled("batch: {dim: run, sampling: zip, parameters: {climb__rate: {values: [1, 2]}}}")

    np.testing.assert_array_equal(made.dataset.run, [0, 1])


def test_options_are_those_of_run(assembled, tmp_path):
    made = assembled(
        "run: {store: out.zarr, block_size: 3, retries: 1, vectorize: 1e-8, seed: 3, timeout_s: 2}"
    )

    assert made.options == {
        "model": made.model,
        "batch_dim": None,
        "store": str(tmp_path / "out.zarr"),
        "encoding": {},
        "check_dims": "strict",
        "validate": "inputs",
        "block_size": 3,
        "vectorize": 1e-8,
        "on_error": "record",
        "retries": 1,
        "timeout_s": 2.0,
        "seed": 3,
        "checkpoint_every": None,
        "accept_changed_model": False,
        "grace_s": 30.0,
        "memory_limit": "256 MiB",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("inputs:\n  climb__rat: 2.0\n", r"line 3.*climb__rat.*Did you mean 'climb__rate'"),
        ("inputs:\n  climb__height: 2.0\n", r"line 3.*is not an input"),
        ("inputs:\n  climb__row: [[1.0]]\n", r"line 3.*has 2\s+dimension"),
        ("inputs:\n  climb__row: {value: [1.0], dims: [y]}\n", r"climb__row has dimensions \('y',\)"),
        ("outputs:\n  climb__hight: null\n", r"line 3.*Did you mean 'climb__height'"),
        ("run:\n  encoding: {climb__hight: {}}\n", r"encoding: 'climb__hight' is not"),
        ("run:\n  vectorize: true\n  validate: all\n", r"line 2.*validate='all'"),
        ("run:\n  vectorize: 2.0\n", r"line 2.*vectorize=2\.0 is not allowed"),
        ("run:\n  parallel: both\n", r"line 3.*not available in this version"),
    ],
)
def test_a_fault_names_its_place_in_the_file(assembled, text, message):
    with pytest.raises(ExperimentError, match=f"(?s){message}"):
        assembled(text)


def test_a_fault_of_the_batch_stands_in_its_section(assembled):
    with pytest.raises(ExperimentError, match="climb__ratte"):
        assembled("batch: {sampling: zip, parameters: {climb__ratte: {values: [1, 2]}}}")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("inputs: {climb__rate: 1000 km2}", ["inputs.climb__rate", "by default 1.0", "'1000 km2'", "attrs"]),
        ("batch: {sampling: zip, parameters: {climb__rate: [1 km, 2 km]}}", ["parameters", "'1 km'"]),
        (
            "batch: {sampling: random, size: 1000000000000, parameters: {climb__rate: {low: 0, high: 1}}}",
            ["batch", "1000000000000 simulations", "can be used"],
        ),
        ("batch: {sampling: random, size: 1e12, parameters: {}}", ["batch.size", "1000000000000"]),
        (
            "batch: {sampling: grid, parameters: {climb__rate: {low: 0, high: 1, num: 1000000000000}}}",
            ["batch", "can be used"],
        ),
        ("clocks: {time: {start: 0, stop: 1, num: 1000000000000}}", ["clocks", "1000000000000 labels"]),
        ("clocks: {time: {start: 0, stop: 1, step: 1e-13}}", ["clocks", "labels of a clock"]),
    ],
)
def test_what_cannot_be_run_is_one_error_at_once(assembled, text, parts):
    with pytest.raises(ExperimentError) as caught:
        assembled(text)

    assert "\n" not in str(caught.value)
    for part in parts:
        assert part in str(caught.value)

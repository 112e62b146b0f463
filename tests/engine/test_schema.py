"""Rules of finding out shapes and types before a store is made."""

from __future__ import annotations

import numpy as np
import pytest

import simherd as sh
from simherd.engine.plan import Tap
from simherd.engine.schema import schema_of, scout
from simherd.engine.simulate import Simulator
from simherd.errors import OutputError

X = ("p", "x")


@pytest.fixture
def make_cls():
    """Return a function that makes a process whose ``x`` is ``values[step]``; ``steps_run`` are counted."""

    def make(values, **options):
        class P:
            x = sh.variable(intent="out", **options)
            i = sh.index(dims="d")
            steps_run = []  # noqa: RUF012 (shared by all simulations, which it counts)

            def initialize(self):
                self.i = np.arange(2)

            @sh.runtime(args="step")
            def run_step(self, step):
                self.steps_run.append(step)
                self.x = values[step]

        return sh.process(P)

    return make


def plan_for(make_plan, cls, **tap):
    tap = Tap(**({"key": X, "home": X, "clock": "t", "steps": (0, 1, 2, 3)} | tap))
    return make_plan(cls, 3, taps=(tap,), indexes=(("p", "i"),))


def test_a_scout_ends_after_the_first_step_where_nothing_can_widen(make_plan, make_cls):
    cls = make_cls([0.5, 1.5, 2.5])

    schema = scout(Simulator(plan_for(make_plan, cls)), {})

    assert (schema.outputs[0].dtype, cls.steps_run) == (float, [0])
    assert schema.indexes[("p", "i")].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [([5, 5, 1.7], float), ([False, True, 2], int), ([np.float32(1), np.float32(1), 0.1], float)],
)
def test_a_scout_watches_values_that_may_widen_to_the_end(make_plan, make_cls, values, dtype):
    cls = make_cls(values)

    schema = scout(Simulator(plan_for(make_plan, cls)), {})

    assert (schema.outputs[0].dtype, cls.steps_run) == (dtype, [0, 1, 2])


def test_a_scout_takes_a_declared_type(make_plan, make_cls):
    cls = make_cls([5, 6, 7])

    schema = scout(Simulator(plan_for(make_plan, cls, dtype="i2")), {})

    assert (schema.outputs[0].dtype, cls.steps_run) == ("i2", [0])


def test_the_dims_of_an_output_are_those_declared_for_its_number_of_dimensions(make_plan, make_cls):
    cls = make_cls([np.zeros((2, 3))] * 3, dims=[(), "a", ("b", "a")])

    (output,) = scout(Simulator(plan_for(make_plan, cls)), {}).outputs

    assert (output.dims, output.shape) == (("b", "a"), (2, 3))
    assert output.result_dims("batch") == ("batch", "t", "b", "a")
    assert output.result_dims(None) == ("t", "b", "a")
    assert output.nbytes == 4 * 6 * 8


def test_a_number_of_dimensions_that_is_not_declared_is_an_error(make_plan, make_cls):
    cls = make_cls([np.zeros((2, 3))] * 3, dims="a")

    with pytest.raises(OutputError, match=r"p__x.*shape \(2, 3\); declared dimensions are \('a',\)"):
        scout(Simulator(plan_for(make_plan, cls)), {})


def test_an_error_of_the_model_is_that_of_the_scout(make_plan, make_cls):
    with pytest.raises(IndexError) as caught:
        scout(Simulator(plan_for(make_plan, make_cls([1]))), {})

    assert "step 1" in caught.value.__notes__[0]


def test_a_finished_simulation_gives_the_schema_too(make_plan, make_cls):
    simulator = Simulator(plan_for(make_plan, make_cls([1, 2, 3])))
    columns = simulator.columns(1)
    simulator.run({}, columns, 0)

    schema = schema_of(simulator, columns)

    assert (schema.outputs[0].shape, schema.outputs[0].dtype) == ((), int)
    assert list(schema.indexes) == [("p", "i")]


def test_an_output_without_a_value_is_an_error(make_plan, make_cls):
    simulator = Simulator(plan_for(make_plan, make_cls([1, 2, 3])))

    with pytest.raises(OutputError, match="'p__x' has no value"):
        schema_of(simulator, simulator.columns(1))

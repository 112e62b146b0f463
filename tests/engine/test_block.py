"""Rules of a block: a failed simulation costs one simulation."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest

import simherd as sh
from simherd.engine.block import Block, BlockRun, Status, Stopped
from simherd.engine.simulate import Simulator

X, Y = ("p", "x"), ("p", "y")
DONE, FAILED = Status.DONE, Status.FAILED


@pytest.fixture
def reciprocal():
    """A process that fails for 0; ``attempts`` are counted, and ``cures`` of them are enough."""

    class P:
        x = sh.variable(dims=[(), "d"])
        y = sh.variable(intent="out", dims=[(), "d"])
        attempts = []  # noqa: RUF012 (shared by all simulations, which it counts)
        cures = 100

        @sh.runtime(args="batch, batch_size")
        def initialize(self, batch, batch_size):
            self.attempts.append((batch, batch_size, type(self.x)))
            self.y = -1.0
            if np.any(self.x == 0) and len(self.attempts) < self.cures:
                raise ZeroDivisionError("x is 0")
            self.y = self.x + 0.5

    return sh.process(P)


@pytest.fixture
def run_values(make_plan, reciprocal):
    """Return a function that runs a block with values of x, from simulation 10 of 20."""

    def run(values, **options):
        values = np.array(values)
        plan = make_plan(reciprocal, 1, {Y: None}, batched=(X,), batch_size=20)
        block = Block(numbers=range(10, 10 + len(values)), inputs={X: values})
        return BlockRun(Simulator(plan), block, **options).run()

    return run


def test_outputs_are_in_the_order_of_the_simulations(run_values):
    result = run_values([1, 2, 3])

    assert result.values[0].tolist() == [[1.5], [2.5], [3.5]]
    assert (result.numbers, result.status.tolist(), result.failures) == (range(10, 13), [DONE] * 3, ())
    assert (result.seconds >= 0).all()


def test_simulations_know_their_number_in_the_batch_and_get_python_numbers(run_values, reciprocal):
    run_values([1, 2])

    assert reciprocal.attempts == [(10, 20, int), (11, 20, int)]


def test_arrays_and_dates_differ_between_simulations_along_the_first_axis(run_values, reciprocal):
    result = run_values([[1, 2], [3, 4]])

    assert result.values[0].tolist() == [[[1.5, 2.5]], [[3.5, 4.5]]]


def test_a_failed_simulation_costs_one_simulation(run_values):
    result = run_values([1, 0, 3])

    np.testing.assert_array_equal(result.values[0], [[1.5], [np.nan], [3.5]])
    assert result.status.tolist() == [DONE, FAILED, DONE]
    (failure,) = result.failures
    assert (failure.number, str(failure.error)) == (11, "x is 0")
    assert "In process 'p', stage initialize, simulation 11" in failure.traceback


def test_a_block_of_failures_has_no_values(run_values):
    result = run_values([0, 0])

    assert (result.values, len(result.failures)) == ([None], 2)


def test_a_simulation_is_tried_again(run_values, reciprocal):
    reciprocal.cures = 3

    result = run_values([0], retries=2)

    assert (result.status.tolist(), result.values[0].tolist()) == ([DONE], [[0.5]])
    assert len(reciprocal.attempts) == 3


def test_retries_end(run_values, reciprocal):
    result = run_values([0], retries=2)

    assert (result.status.tolist(), len(reciprocal.attempts)) == ([FAILED], 3)


def test_simulations_after_a_failed_one_stay_pending_where_asked_for(run_values):
    result = run_values([1, 0, 3], stop_on_failure=True)

    assert (result.numbers, result.status.tolist()) == (range(10, 12), [DONE, FAILED])
    assert np.isfinite(result.seconds).tolist() == [True, True]


def test_what_a_failed_simulation_had_saved_is_forgotten(make_plan):
    class P:
        x = sh.variable()
        y = sh.variable(intent="out")

        @sh.runtime(args="step")
        def run_step(self, step):
            self.y = 1 / (self.x - step)

    plan = make_plan(sh.process(P), 3, {Y: (0, 1)})
    result = BlockRun(Simulator(plan), Block(numbers=range(2), inputs={X: np.array([1, 7])})).run()

    np.testing.assert_array_equal(result.values[0], [[np.nan, np.nan], [1 / 7, 1 / 6]])


def test_simulations_do_not_see_each_other(make_plan):
    class P:
        y = sh.variable(intent="out")

        def initialize(self):
            self.y = getattr(self, "y", 0) + getattr(self, "other", 0) + 1
            self.other = 5

    plan = make_plan(sh.process(P), 0, {Y: None})
    result = BlockRun(Simulator(plan), Block(numbers=range(3), inputs={})).run()

    assert result.values[0].tolist() == [[1], [1], [1]]


def test_an_interrupt_ends_the_block(make_plan):
    def initialize(self):
        raise KeyboardInterrupt

    plan = make_plan(sh.process(type("P", (), {"initialize": initialize})))

    result = BlockRun(Simulator(plan), Block(numbers=range(1), inputs={}), retries=3).run()

    assert isinstance(result.interrupt.error, KeyboardInterrupt)
    assert (len(result.numbers), result.failures) == (0, ())


def test_a_block_that_is_stopped_keeps_what_it_did(run_values):
    answers = iter([False, False, True])

    result = run_values([1, 2, 4], is_stopped=lambda: next(answers))

    assert (result.numbers, result.status.tolist()) == (range(10, 12), [DONE] * 2)
    assert result.values[0].tolist() == [[1.5], [2.5]]


def test_a_simulation_that_is_left_in_the_middle_keeps_those_before_it(run_values):
    def watch(number):
        if number == 12:
            raise Stopped
        return nullcontext()

    result = run_values([1, 2, 4, 8], watch=watch)

    assert (result.numbers, result.status.tolist()) == (range(10, 12), [DONE] * 2)

"""Rules of one simulation: inputs, context, what is saved when, errors."""

from __future__ import annotations

import traceback

import attr
import numpy as np
import pytest

import simherd as sh
from simherd.engine.plan import Plan, Tap
from simherd.engine.simulate import Simulator, check_static
from simherd.errors import ModelError, OutputError, UnsetVariableError
from simherd.model import RuntimeSignal, runtime_hook
from simherd.model.hooks import gather_hooks

START, COUNT, DOUBLE = ("p", "start"), ("p", "count"), ("p", "double")
MISSING = 2**63 - 1024


def make(**members):
    return sh.process(type("P", (), members))


def signal_at(step, signal, stage="run_step", trigger="post"):
    @runtime_hook(stage, "model", trigger)
    def hook(model, context, state):
        return signal if context.step == step else None

    return gather_hooks([hook])


# What is saved when


def test_outputs_are_saved_after_run_step_and_the_last_after_the_last_finalize_step(make_plan, run):
    plan = make_plan(steps=3, saves={COUNT: (0, 1, 2, 3)})

    assert run(plan) == [[1, 102, 203, 303]]


def test_outputs_without_a_clock_are_saved_at_the_end_and_before_finalize(make_plan, run):
    plan = make_plan(steps=3, saves={COUNT: None, DOUBLE: None})

    assert run(plan) == [[303], [606]]


def test_a_secondary_clock_saves_at_its_labels(make_plan, run):
    plan = make_plan(steps=4, saves={COUNT: (1, 4), DOUBLE: (0, 2)})

    assert run(plan) == [[102, 404], [2, 406]]


def test_a_clock_of_one_label_saves_what_initialize_gave(make_plan, run):
    plan = make_plan(steps=0, saves={COUNT: (0,)}, shared={START: 7})

    assert run(plan) == [[7]]


def test_a_model_without_a_clock_runs_initialize_and_finalize(make_plan, run):
    plan = make_plan(saves={COUNT: None}, clock=None, labels=np.empty(0), shared={START: 7})

    assert run(plan) == [[7]]


@pytest.mark.parametrize("stage", ["run_step", "finalize_step"])
@pytest.mark.parametrize("trigger", ["pre", "post"])
def test_break_leaves_the_loop_and_saves_one_record_at_the_next_free_position(make_plan, run, stage, trigger):
    hooks = signal_at(1, RuntimeSignal.BREAK, stage, trigger)
    plan = make_plan(steps=4, saves={COUNT: (0, 2, 4), DOUBLE: (0, 1)}, hooks=hooks)

    counts, doubles = run(plan)

    end = {("run_step", "pre"): 101, ("finalize_step", "post"): 202}.get((stage, trigger), 102)
    assert counts == [1, end, MISSING]
    assert doubles == [2, 204 if stage == "finalize_step" else MISSING]


def test_continue_saves_and_leaves_out_finalize_step(make_plan, run):
    plan = make_plan(steps=3, saves={COUNT: (0, 1, 2, 3)}, hooks=signal_at(1, RuntimeSignal.CONTINUE))

    assert run(plan) == [[1, 102, 103, 203]]


def test_skip_before_run_step_leaves_it_out_and_saves_all_the_same(make_plan, run):
    hooks = signal_at(1, RuntimeSignal.SKIP, "run_step", "pre")

    assert run(make_plan(steps=3, saves={COUNT: (0, 1, 2, 3)}, hooks=hooks)) == [[1, 101, 202, 302]]


def test_break_of_a_process_does_not_end_the_simulation(make_plan, run):
    def run_step(self):
        self.n = getattr(self, "n", 0) + 1
        return RuntimeSignal.BREAK

    plan = make_plan(make(n=sh.variable(intent="out"), run_step=run_step), 3, {("p", "n"): None})

    assert run(plan) == [[3]]


def test_what_a_hook_sets_after_run_step_is_saved(make_plan, run):
    @runtime_hook("run_step")
    def hook(model, context, state):
        model.state[COUNT] = 50

    plan = make_plan(steps=1, saves={COUNT: (0,), DOUBLE: (0,)}, hooks=gather_hooks([hook]))

    assert run(plan) == [[50], [100]]


@pytest.mark.parametrize(("at", "moment"), [((0,), r"at t = 0\.0"), (None, "at the end")])
def test_an_output_that_was_never_set_is_named(at, moment, make_plan, run):
    plan = make_plan(make(x=sh.variable(intent="out")), 1, {("p", "x"): at})

    with pytest.raises(
        UnsetVariableError, match=rf"'p__x' has no value {moment}: Variable 'x' of process 'p'"
    ):
        run(plan)


# Inputs


def test_inputs_that_vary_have_value_i_in_step_i_and_the_first_one_in_initialize(make_plan):
    seen = []

    def record(self):
        seen.append(self.x)

    cls = make(x=sh.variable(), initialize=record, run_step=record, finalize=record)
    key = ("p", "x")
    plan = make_plan(cls, 3, shared={key: np.array([1.5, 2.5, 3.5, 99.0])}, varying=frozenset({key}))
    Simulator(plan).run({}, [], 0)

    assert seen == [1.5, 1.5, 2.5, 3.5, 3.5]


def test_an_input_that_varies_and_is_changed_starts_each_step_with_its_own_value(make_plan):
    seen = []

    def change(self):
        seen.append(self.x)
        self.x = -1

    cls = make(x=sh.variable(intent="inout"), initialize=change, run_step=change)
    key = ("p", "x")
    Simulator(make_plan(cls, 2, shared={key: np.array([1, 2, 3])}, varying=frozenset({key}))).run({}, [], 0)

    assert seen == [1, 1, 2]


def test_arrays_vary_along_their_first_axis(make_plan, run):
    def run_step(self):
        self.y = self.x

    key = ("p", "x")
    cls = make(x=sh.variable(dims="d"), y=sh.variable(dims="d", intent="out"), run_step=run_step)
    values = np.arange(6).reshape(3, 2)

    plan = make_plan(cls, 2, {("p", "y"): (0, 1)}, shared={key: values}, varying=frozenset({key}))

    assert run(plan) == [[[0, 1], [2, 3]]]


def test_a_validator_sees_inputs_that_vary_in_each_step(make_plan):
    def small(instance, attribute, value):
        if value > 2:
            raise ValueError("too large")

    key = ("p", "x")
    varying = {"shared": {key: np.array([1, 2, 3, 4])}, "varying": frozenset({key})}
    plan = make_plan(make(x=sh.variable(validator=small), run_step=lambda self: None), 3, **varying)

    with pytest.raises(ValueError, match="too large"):
        Simulator(plan).run({}, [], 0)


def test_a_static_input_cannot_vary(make_plan):
    plan = make_plan(make(x=sh.variable(static=True)), varying=frozenset({("p", "x")}))

    with pytest.raises(ModelError, match="static variable p__x"):
        check_static(plan)


def test_validators_run_on_inputs_on_all_or_not_at_all(make_plan):
    def never(instance, attribute, value):
        raise ValueError(f"{attribute.name} is checked")

    def initialize(self):
        self.y = 1

    cls = make(
        x=sh.variable(validator=never), y=sh.variable(intent="out", validator=never), initialize=initialize
    )

    for validate, name in (("inputs", "x"), ("all", "x")):
        with pytest.raises(ValueError, match=f"{name} is checked"):
            Simulator(make_plan(cls, shared={("p", "x"): 1}, validate=validate)).run({}, [], 0)
    with pytest.raises(ValueError, match="y is checked"):
        Simulator(make_plan(cls, shared={}, validate="all")).run({}, [], 0)
    Simulator(make_plan(cls, shared={("p", "x"): 1}, validate=None)).run({}, [], 0)


# Context


LABELS = "batch_size, batch, sim_start, sim_end, nsteps, step, step_start, step_end, step_delta"


@pytest.fixture
def recorder():
    """A process that records its context in its class attribute ``seen``."""

    class P:
        seen = []  # noqa: RUF012 (shared by all simulations, which it watches)

        @sh.runtime(args=LABELS)
        def run_step(self, *context):
            self.seen.append(context)

        @sh.runtime(args="step, step_start")
        def initialize(self, *context):
            self.seen.append(context)

    return sh.process(P)


def test_processes_get_start_end_and_length_of_each_step(make_plan, recorder):
    plan = make_plan(recorder, labels=np.array([0.0, 1.0, 3.0]))
    Simulator(plan).run({}, [], 0)

    assert recorder.seen == [(0, 0), (-1, -1, 0, 3, 2, 0, 0, 1, 1), (-1, -1, 0, 3, 2, 1, 1, 3, 2)]
    assert all(type(value) in (int, float) for context in recorder.seen for value in context)


def test_processes_know_their_batch(make_plan, recorder):
    plan = make_plan(recorder, labels=np.array([0.0, 1.0]), batch_size=5)
    Simulator(plan).run({}, [], 0, number=3)

    assert recorder.seen[-1][:2] == (5, 3)


def test_a_clock_of_dates_gives_dates(make_plan, recorder):
    labels = np.array(["2000-01-01", "2000-01-03"], "datetime64[ns]")
    Simulator(make_plan(recorder, labels=labels)).run({}, [], 0)

    *_, start, end, delta = recorder.seen[-1]
    assert (start, end, delta) == (labels[0], labels[1], np.timedelta64(2, "D"))


def test_a_clock_may_decrease(make_plan, recorder):
    Simulator(make_plan(recorder, labels=np.array([30, 20, 10]))).run({}, [], 0)

    assert [context[-3:] for context in recorder.seen[1:]] == [(30, 20, -10), (20, 10, -10)]


# Errors


def fail(self):
    raise KeyError("the user's own")


@pytest.mark.parametrize(
    ("stage", "note"),
    [
        ("initialize", "In process 'p', stage initialize"),
        ("run_step", "In process 'p', stage run_step, step 0 (t = 0.0)"),
        ("finalize_step", "In process 'p', stage finalize_step, step 0 (t = 0.0)"),
        ("finalize", "In process 'p', stage finalize"),
    ],
)
@pytest.mark.parametrize("validate", ["inputs", "all"])
def test_the_users_error_is_raised_with_a_note_that_says_where(make_plan, stage, note, validate):
    plan = make_plan(make(**{stage: fail}), validate=validate)

    with pytest.raises(KeyError, match="the user's own") as caught:
        Simulator(plan).run({}, [], 0)

    assert caught.value.__notes__ == [note]


def test_the_note_names_the_simulation_of_a_batch(make_plan):
    with pytest.raises(KeyError) as caught:
        Simulator(make_plan(make(initialize=fail), batch_size=9)).run({}, [], 0, number=4)

    assert caught.value.__notes__ == ["In process 'p', stage initialize, simulation 4"]


def test_an_error_of_what_is_pulled_names_the_process_that_was_running():
    class Owner:
        x = sh.on_demand()

        @x.compute
        def _x(self):
            raise KeyError("the user's own")

    owner = sh.process(Owner)
    puller = make(x=sh.foreign(owner, "x"), run_step=lambda self: self.x)
    plan = Plan(model=sh.Model({"o": owner, "p": puller}), clock="t", labels=np.arange(2), shared={})

    with pytest.raises(KeyError, match="the user's own") as caught:
        Simulator(plan).run({}, [], 0)

    assert caught.value.__notes__ == ["In process 'p', stage run_step, step 0 (t = 0)"]


def test_finalize_runs_after_an_error_and_never_replaces_it(make_plan):
    def finalize(self):
        raise OSError("second")

    with pytest.raises(KeyError, match="the user's own") as caught:
        Simulator(make_plan(make(run_step=fail, finalize=finalize))).run({}, [], 0)

    assert "finalize failed after this too: OSError('second')" in caught.value.__notes__[-1]


def test_finalize_runs_after_an_error_in_initialize(make_plan):
    done = []
    cls = make(initialize=fail, finalize=lambda self: done.append(True))

    with pytest.raises(KeyError):
        Simulator(make_plan(cls)).run({}, [], 0)

    assert done == [True]


def test_the_traceback_shows_the_line_of_the_stage(make_plan):
    with pytest.raises(KeyError) as caught:
        Simulator(make_plan(make(run_step=fail))).run({}, [], 0)

    assert "answer = m_p0_run_step()" in "".join(traceback.format_exception(caught.value))


# Clones and indexes


def test_a_simulation_runs_on_a_clone(make_plan):
    plan = make_plan(steps=1)
    Simulator(plan).run({}, [], 0)

    assert dict(plan.model.state) == {}


def test_a_simulation_can_run_on_the_model_itself(make_plan):
    plan = make_plan(steps=1)
    model = Simulator(plan, clones=False).run({}, [], 0)

    assert model is plan.model
    assert plan.model.p.count == -1


def test_index_variables_are_kept_once(make_plan):
    def initialize(self):
        self.i = np.arange(3)

    cls = make(i=sh.index(dims="i"), initialize=initialize)
    simulator = Simulator(make_plan(cls, indexes=(("p", "i"),)))
    simulator.run({}, [], 0)
    simulator.run({}, [], 0)

    assert simulator.index_values[("p", "i")].tolist() == [0, 1, 2]


def test_index_variables_that_differ_between_simulations_are_an_error(make_plan):
    def initialize(self):
        self.i = np.arange(self.n)

    cls = make(n=sh.variable(), i=sh.index(dims="i"), initialize=initialize)
    simulator = Simulator(make_plan(cls, indexes=(("p", "i"),)))
    simulator.run({("p", "n"): 2}, [], 0)

    with pytest.raises(OutputError, match="p__i differs between simulations"):
        simulator.run({("p", "n"): 3}, [], 0)


def test_an_index_variable_that_a_simulation_leaves_unset_is_an_error(make_plan):
    def initialize(self):
        if self.n:
            self.i = np.arange(self.n)

    cls = make(n=sh.variable(), i=sh.index(dims="i"), initialize=initialize)

    for numbers in ((0,), (2, 0)):
        simulator = Simulator(make_plan(cls, indexes=(("p", "i"),)))
        for number in numbers[:-1]:
            simulator.run({("p", "n"): number}, [], 0)
        with pytest.raises(OutputError, match="p__i has no value at the end of the simulation"):
            simulator.run({("p", "n"): 0}, [], 0)


def test_inputs_that_are_not_valid_leave_no_stage_to_run(make_plan):
    def record(self):
        calls.append("called")

    calls = []
    cls = make(
        x=sh.variable(validator=attr.validators.ge(0)), initialize=record, run_step=record, finalize=record
    )

    with pytest.raises(ValueError, match="-1"):
        Simulator(make_plan(cls)).run({("p", "x"): -1}, [], 0)

    assert calls == []


@pytest.mark.parametrize("validate", ["inputs", "all", None])
def test_a_helper_that_assigns_an_own_input_is_an_error(make_plan, validate):
    def run_step(self):
        self.lower()

    def lower(self):
        self.x = self.x - 1.0

    cls = make(x=sh.variable(), y=sh.variable(), run_step=run_step, lower=lower)
    x, y = ("p", "x"), ("p", "y")
    plan = make_plan(cls, varying=frozenset([y]), shared={y: np.arange(5.0)}, validate=validate)

    with pytest.raises(ModelError, match="p__x"):
        Simulator(plan).run({x: 3.0}, [], 0)


@pytest.mark.parametrize(("stage", "validate"), [("finalize_step", "inputs"), ("run_step", "all")])
def test_a_process_that_assigns_what_it_only_reads_is_an_error(counter, stage, validate):
    def assign(self):
        setattr(self, "count", 0)  # noqa: B010 (so that its source does not show it)

    reader = make(count=sh.foreign(counter, "count"), **{stage: assign})
    model = sh.Model({"p": counter, "reader": reader})
    plan = Plan(model=model, clock="t", labels=np.arange(3), shared={START: 0}, validate=validate)

    with pytest.raises(ModelError, match="reader__count"):
        Simulator(plan).run({}, [], 0)


def test_a_foreign_output_saves_the_value_of_its_owner(counter, run):
    reader = make(count=sh.foreign(counter, "count"))
    model = sh.Model({"p": counter, "reader": reader})
    tap = Tap(key=("reader", "count"), home=COUNT, clock="t", steps=(0, 2))

    plan = Plan(model=model, clock="t", labels=np.arange(3), shared={START: 0}, taps=(tap,))

    assert run(plan) == [[1, 202]]

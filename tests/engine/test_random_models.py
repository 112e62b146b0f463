"""The compiled engine gives what a naive interpreter gives, for any model."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, assume, given, note, settings
from hypothesis import strategies as st

from simherd.engine.plan import Plan, Tap
from simherd.engine.simulate import Simulator
from simherd.engine.values import fill_value_for
from simherd.errors import ModelError, OutputError, UnsetVariableError
from simherd.model import RuntimeContext, RuntimeSignal, runtime_hook
from simherd.model.hooks import HookTable, gather_hooks

SETTINGS = settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
RANDOMS = st.randoms(use_true_random=False)
STAGES = ("initialize", "run_step", "finalize_step", "run_step", "finalize_step", "finalize")


def make_model(random_models, rng):
    """Return the names that the source of a random model defines: classes, ``model`` and ``LOG``."""
    source = random_models.write_model(rng)
    note(source)
    names = {}
    try:
        exec(source, names)
    except ModelError:
        assume(False)
    return names


def plain(state):
    return {key: np.asarray(value).tolist() for key, value in state.items()}


@SETTINGS
@given(rng=RANDOMS, watched=st.booleans())
def test_state_after_each_stage_is_that_of_the_reference(reference, random_models, rng, watched):
    names = make_model(random_models, rng)
    model, log = names["model"], names["LOG"]
    expected = reference.Reference(model.graph.classes, list(model))
    stages = model.watched_stages(HookTable(), True) if watched else model.stages
    inputs = {key: rng.randint(0, 1008) for key in model.graph.inputs if rng.randint(0, 9)}
    model.update_state(inputs)
    for key, value in inputs.items():
        expected.write(*key, value)

    for number, stage in enumerate(STAGES):
        context = {"step": number, "step_end": number + 1}
        log.clear()
        stages[stage](RuntimeContext(**context))
        found = list(log)
        log.clear()
        expected.execute(stage, context)

        assert found == log, stage
        assert plain(model.state) == plain(expected.state), stage
        model.check_intents()


@st.composite
def clocks(draw):
    """Draw labels of a main clock and the steps of a clock that is part of it."""
    lengths = draw(st.lists(st.integers(1, 5), max_size=5))
    labels = np.cumsum([0, *lengths])
    steps = draw(st.sets(st.integers(0, len(lengths)), min_size=1))
    return labels, tuple(sorted(steps))


@st.composite
def signals(draw):
    """Draw where a hook at model level gives which signal."""
    place = draw(st.tuples(st.sampled_from(["run_step", "finalize_step"]), st.sampled_from(["pre", "post"])))
    return {(*place, draw(st.integers(0, 4))): draw(st.integers(0, 3))} if draw(st.booleans()) else {}


def signal_hook(place, signal):
    stage, trigger, step = place

    @runtime_hook(stage, "model", trigger)
    def hook(model, context, state):
        return RuntimeSignal(signal) if context.step == step else None

    return hook


@SETTINGS
@given(rng=RANDOMS, clock=clocks(), signals=signals())
def test_outputs_on_any_clock_are_those_of_the_reference(reference, random_models, rng, clock, signals):
    names = make_model(random_models, rng)
    model, log = names["model"], names["LOG"]
    labels, steps = clock
    inputs, varying = make_inputs(model, rng, len(labels))
    taps = make_taps(model, rng, steps)
    expected = reference.Reference(model.graph.classes, list(model))
    hooks = gather_hooks(signal_hook(place, signal) for place, signal in signals.items())
    plan = Plan(
        model=model,
        clock="clock",
        labels=labels,
        shared=inputs,
        varying=varying,
        taps=taps,
        indexes=model.graph.indexes,
        hooks=hooks,
    )
    simulator = Simulator(plan)
    columns = simulator.columns(1)
    try:
        saved = expected.simulate(labels.tolist(), inputs, varying, taps, lambda *at: signals.get(at, 0))
    except reference.Unset:
        saved = None
    wanted = list(log)
    log.clear()

    if saved is None:
        with np.testing.assert_raises(UnsetVariableError):
            simulator.run({}, columns, 0)
        return
    if any(key not in expected.state for key in model.graph.indexes):
        with np.testing.assert_raises(OutputError):
            simulator.run({}, columns, 0)
        return
    done = simulator.run({}, columns, 0)

    assert log == wanted
    assert plain(done.state) == plain(expected.state)
    for column, values in zip(columns, saved, strict=True):
        check_column(column, values)


def make_inputs(model, rng, size):
    """Return a value for each input, and which of them vary with the clock."""
    varying = frozenset(key for key in model.graph.inputs if rng.randint(0, 2) == 0)
    values = {
        key: np.array([rng.randint(0, 1008) for _ in range(size)]) if key in varying else rng.randint(0, 1008)
        for key in model.graph.inputs
    }
    return values, varying


def make_taps(model, rng, steps):
    """Return outputs on no clock, on the clock with `steps`, or on none at all."""
    taps = []
    for key, variable in model.graph.variables.items():
        chosen = rng.randint(0, 2)
        if variable.is_group or variable.is_object or not chosen:
            continue
        on_clock = {"clock": "some", "steps": steps} if chosen == 1 else {"clock": None, "steps": ()}
        taps.append(Tap(key=key, home=variable.home, **on_clock))
    return tuple(taps)


def check_column(column, saved):
    if not saved:
        assert column.values is None or (column.values == fill_value_for(column.values.dtype)).all()
        return
    values = column.values[0]

    np.testing.assert_array_equal(values[: len(saved)], np.array(saved))
    assert (values[len(saved) :] == fill_value_for(values.dtype)).all()


@SETTINGS
@given(rng=RANDOMS)
def test_each_process_runs_after_those_that_it_waits_for(random_models, rng):
    model = make_model(random_models, rng)["model"]
    order = list(model)

    for process, waits_for in model.dependent_processes.items():
        assert all(order.index(other) < order.index(process) for other in waits_for)


def test_order_of_execution_is_the_same_in_every_interpreter():
    script = Path(__file__).with_name("random_models.py")

    def orders(hash_seed):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        return subprocess.run(
            [sys.executable, str(script)], env=environment, capture_output=True, text=True, check=True
        ).stdout

    assert orders("1") == orders("2")

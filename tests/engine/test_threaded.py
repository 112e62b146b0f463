"""Processes of one simulation in threads give what they give one after another."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, note, settings
from hypothesis import strategies as st

import simherd as sh
from simherd.engine.plan import Plan
from simherd.engine.simulate import Simulator
from simherd.engine.threaded import threaded_stages, waits_of
from simherd.errors import ModelError, UnsetVariableError
from simherd.model import RuntimeContext, RuntimeSignal

STAGES = ("initialize", "run_step", "finalize_step", "run_step", "finalize_step", "finalize")


def make(name, **members):
    return sh.process(type(name, (), members))


@pytest.fixture(scope="module")
def pool():
    with ThreadPoolExecutor(4) as pool:
        yield pool


@pytest.mark.slow
@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(rng=st.randoms(use_true_random=False))
def test_a_random_model_has_the_same_state_after_each_stage(random_models, pool, rng):
    source = random_models.write_model(rng).replace("return sh.RuntimeSignal.BREAK", "pass")
    names = {}
    note(source)
    try:
        exec(source, names)
    except ModelError:
        assume(False)
    serial = names["model"]
    threaded = serial.clone()
    inputs = {key: rng.randint(0, 1008) for key in serial.graph.inputs}
    for model in (serial, threaded):
        model.update_state(inputs)
    stages = threaded_stages(threaded, pool)

    for number, stage in enumerate(STAGES):
        try:
            serial.stages[stage](RuntimeContext(step=number))
        except UnsetVariableError:
            with pytest.raises(UnsetVariableError):
                stages[stage](RuntimeContext(step=number))
            return
        stages[stage](RuntimeContext(step=number))

        assert plain(threaded.state) == plain(serial.state), stage


def plain(state):
    return {key: np.asarray(value).tolist() for key, value in state.items()}


def test_processes_that_share_nothing_run_at_once(pool):
    meeting = threading.Barrier(2, timeout=10)
    cls = make("Meeting", run_step=lambda self: meeting.wait() * 0 or None)

    threaded_stages(sh.Model({"a": cls, "b": cls}), pool)["run_step"](RuntimeContext())

    assert not meeting.broken


def test_a_process_waits_for_all_whose_values_it_reads_or_would_change():
    owner = make("Owner", x=sh.variable(intent="inout"))
    early = make("Early", x=sh.foreign(owner, "x"))
    late = make("Late", x=sh.foreign(owner, "x"))
    other = make("Other")
    model = sh.Model({"early": early, "owner": owner, "other": other, "late": late})

    assert waits_of(model.graph) == {
        "early": set(), "owner": {"early"}, "other": set(), "late": {"early", "owner"}
    }  # fmt: skip


def test_the_order_of_the_user_holds_across_a_process_without_the_stage():
    called = []
    first = make("First", run_step=lambda self: (time.sleep(0.02), called.append("first"))[1])
    last = make("Last", run_step=lambda self: called.append("last"))
    model = sh.Model(
        {"last": last, "middle": make("Middle"), "first": first},
        order=[("first", "middle"), ("middle", "last")],
    )
    with ThreadPoolExecutor(3) as pool:
        threaded_stages(model, pool)["run_step"](RuntimeContext())

    assert called == ["first", "last"]


def test_break_skips_those_that_wait_for_the_process(pool):
    called = []
    source = make("S", x=sh.variable(intent="out"), run_step=lambda self: RuntimeSignal.BREAK)
    reader = make("R", x=sh.foreign(source, "x"), run_step=lambda self: called.append("reader"))
    other = make("O", run_step=lambda self: called.append("other"))

    threaded_stages(sh.Model({"s": source, "r": reader, "o": other}), pool)["run_step"](RuntimeContext())

    assert called == ["other"]


def test_the_error_of_the_first_process_in_order_is_raised_with_where_it_was(pool):
    def fail(text, delay):
        def run_step(self):
            time.sleep(delay)
            raise ValueError(text)

        return run_step

    model = sh.Model({"a": make("A", run_step=fail("a", 0.05)), "b": make("B", run_step=fail("b", 0))})
    plan = Plan(model=model, clock="t", labels=np.arange(3), shared={})

    with pytest.raises(ValueError, match="a") as caught:
        Simulator(plan, pool=pool).run({}, [], 0)

    assert caught.value.__notes__ == ["In process 'a', stage run_step, step 0 (t = 0)"]


# Processes that are not safe in threads


def counting(**options):
    """Return a process class and the largest number of its methods that ran at once."""
    state = {"now": 0, "most": 0}

    def run_step(self):
        state["now"] += 1
        state["most"] = max(state["most"], state["now"])
        time.sleep(0.02)
        state["now"] -= 1

    members = {"run_step": run_step, "v": sh.variable(default=0), "_": run_step}
    return sh.process(**options)(type("Counting", (), members)), state


@pytest.mark.parametrize(("safe", "most"), [(True, 3), (False, 1)])
def test_a_process_that_is_not_safe_in_threads_runs_one_at_a_time(safe, most, pool):
    cls, state = counting(thread_safe=safe)

    threaded_stages(sh.Model(dict.fromkeys("abc", cls)), pool)["run_step"](RuntimeContext())

    assert state["most"] == most


def test_a_process_that_is_not_safe_runs_one_at_a_time_in_a_batch_of_threads():
    cls, state = counting(thread_safe=False)
    model = sh.Model({"p": cls})
    setup = sh.create_setup(model, clocks={"t": [0, 1]}, input_vars={"p__v": ("b", np.arange(8))})

    setup.simherd.run(model, batch_dim="b", parallel=True, scheduler="threads", workers=4, block_size=1)

    assert state["most"] == 1


def test_a_class_derived_from_one_that_is_not_safe_shares_its_lock(pool):
    base, state = counting(thread_safe=False)
    child = sh.process(type("Child", (base,), {}))

    threaded_stages(sh.Model({"a": base, "b": child}), pool)["run_step"](RuntimeContext())

    assert state["most"] == 1


def test_a_process_that_is_not_safe_travels():
    import cloudpickle

    cls, _ = counting(thread_safe=False)
    model = cloudpickle.loads(cloudpickle.dumps(sh.Model({"p": cls})))

    model.execute("run_step")

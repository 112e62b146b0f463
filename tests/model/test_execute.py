"""Rules of running a model stage by stage: values, signals, hooks."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import simherd as sh
from simherd.errors import ModelError, SetupError, UnknownNameError
from simherd.model import RuntimeContext, RuntimeSignal, runtime_hook

BREAK, CONTINUE, SKIP, NONE = (RuntimeSignal[n] for n in ("BREAK", "CONTINUE", "SKIP", "NONE"))


# Values


def test_what_a_process_sets_reaches_its_readers(model):
    model.update_state({("source", "rate"): 3})
    model.execute("initialize")
    model.execute("run_step")

    assert (model.source.total, model.reader.total, model.reader.double) == (3, 3, 6)


def test_state_writes_through_to_owner_readers_and_cached_variables():
    @sh.process
    class P:
        x = sh.variable(intent="out")
        double = sh.on_demand()

        @double.compute(cache=True)
        def _double(self):
            return 2 * self.x

    @sh.process
    class Q:
        x = sh.foreign(P, "x")
        double = sh.foreign(P, "double")

    model = sh.Model({"p": P, "q": Q})
    model.state["p", "x"] = 1
    before = model.q.double
    model.state["p", "x"] = 5

    assert (before, model.q.double, model.q.x) == (2, 10, 5)


def test_an_attribute_set_by_hand_reaches_readers_with_the_next_stage(model):
    model.execute("initialize")
    model.update_state({("source", "rate"): 0})
    model.source.total = 21
    model.execute("run_step")

    assert model.reader.double == 42


def test_state_is_a_mapping_of_what_is_set(model):
    model.update_state({("source", "rate"): 3})
    model.execute("initialize")
    full = dict(model.state)
    del model.state["source", "total"]

    assert full == {("source", "rate"): 3, ("source", "total"): 0}
    assert dict(model.state) == {("source", "rate"): 3}
    assert not hasattr(model.reader, "total")


@pytest.mark.parametrize("key", [("reader", "total"), ("reader", "double"), ("nobody", "x")])
def test_state_has_only_what_processes_own_and_have_set(model, key):
    with pytest.raises(KeyError, match=key[1]):
        model.state[key]


def test_inputs_are_copied(model):
    values = np.zeros(2)

    model.update_state({("source", "rate"): values})
    values += 1

    assert model.source.rate.tolist() == [0, 0]


def test_unknown_inputs_are_ignored_unless_asked_for(model):
    model.update_state({("source", "total"): 3, ("source", "rat"): 3})

    assert dict(model.state) == {}
    with pytest.raises(UnknownNameError, match="source__rate"):
        model.update_state({("source", "rat"): 3}, ignore_invalid_keys=False)


def test_static_inputs_are_given_once():
    model = sh.Model({"p": sh.process(type("P", (), {"x": sh.variable(static=True)}))})
    model.update_state({("p", "x"): 1}, ignore_static=True)

    with pytest.raises(ModelError, match="Cannot set value for static variable p__x"):
        model.update_state({("p", "x"): 2})
    assert model.p.x == 1


def not_negative(instance, attribute, value):
    if value < 0:
        raise ValueError(f"{attribute.name} is negative")


@sh.process
class Checked:
    x = sh.variable(intent="inout", validator=not_negative)


@sh.process
class Lowering:
    x = sh.foreign(Checked, "x", intent="out")

    def initialize(self):
        self.x = -1


def test_validators_run_after_each_process_where_asked_for():
    model = sh.Model({"checked": Checked, "lowering": Lowering})
    model.execute("initialize")

    with pytest.raises(ValueError, match="x is negative"):
        model.execute("initialize", validate=True)


def test_a_validator_is_not_called_for_what_is_unset():
    model = sh.Model({"checked": Checked, "lowering": Lowering})

    model.validate()

    assert dict(model.state) == {}


def test_a_process_that_assigns_what_it_only_reads_is_found_out():
    owner = sh.process(type("Owner", (), {"x": sh.variable(intent="out")}))
    reader = sh.process(type("Reader", (), {"x": sh.foreign(owner, "x")}))
    model = sh.Model({"owner": owner, "reader": reader})
    model.state["owner", "x"] = 1
    model.check_intents()
    model.reader.x = 2

    with pytest.raises(ModelError, match="reader__x"):
        model.check_intents()


def test_a_process_whose_helper_assigns_an_own_input_is_found_out():
    @sh.process
    class P:
        x = sh.variable()

        def run_step(self):
            self.help()

        def help(self):
            self.x = self.x + 1000

    model = sh.Model({"p": P})
    model.update_state({("p", "x"): 1000})
    model.check_intents()
    model.execute("run_step")

    with pytest.raises(ModelError, match="may only read it, or outside of stages: p__x"):
        model.check_intents()


def test_inputs_may_be_given_anew_from_outside_and_taken_away(model):
    model.update_state({("source", "rate"): 3.5})
    model.update_state({("source", "rate"): 4.5})
    model.check_intents()
    model.state["source", "rate"] = 5.5
    model.check_intents()
    model.source.rate = 6.5
    model.execute("initialize")
    model.check_intents()
    del model.state["source", "rate"]

    model.check_intents()


# Pulling in the middle of a method


@sh.process
class Member:
    x = sh.global_ref("x")
    double = sh.on_demand(groups="g")

    @double.compute(cache=True)
    def _double(self):
        return 2 * self.x


@sh.process
class Walker:
    x = sh.variable(intent="inout", global_name="x", groups="g")
    double = sh.foreign(Member, "double")
    members = sh.group("g")
    named = sh.group_dict("g")

    def initialize(self):
        self.seen = []
        for number in (1, 2):
            self.x = number
            self.seen.append((self.double, list(self.members), dict(self.named)))

    def run_step(self):
        self.x = 1
        members = iter(self.members)
        first = next(members)
        self.x = 10
        self.seen = (first, next(members))


@pytest.fixture
def walking():
    return sh.Model({"member": Member, "walker": Walker})


def test_what_is_pulled_in_a_method_shows_what_the_method_has_set(walking):
    walking.execute("initialize")

    assert walking.walker.seen == [
        (2, [1, 2], {("walker", "x"): 1, ("member", "double"): 2}),
        (4, [2, 4], {("walker", "x"): 2, ("member", "double"): 4}),
    ]


def test_the_values_of_a_group_are_read_one_by_one(walking):
    walking.execute("run_step")

    assert walking.walker.seen == (1, 20)


def test_a_cached_variable_is_computed_once_until_something_it_needs_is_set():
    computed = []

    @sh.process
    class P:
        x = sh.variable()
        y = sh.on_demand()

        @y.compute(cache=True)
        def _y(self):
            computed.append(self.x)
            return self.x

    @sh.process
    class Q:
        y = sh.foreign(P, "y")

        def run_step(self):
            self.twice = self.y + self.y

    model = sh.Model({"p": P, "q": Q})
    model.update_state({("p", "x"): 1})
    model.execute("run_step")
    model.execute("run_step", hooks=[process_hook("run_step")])
    model.execute("run_step")

    assert computed == [1, 1, 1]


def process_hook(stage):
    @runtime_hook(stage, "process", "post")
    def hook(model, context, state):
        return None

    return hook


def test_values_can_be_pulled_before_any_stage(walking):
    walking.update_state({("walker", "x"): 4})

    assert (walking.walker.double, list(walking.walker.members)) == (8, [4, 8])


# Signals


def test_break_of_a_process_skips_those_after_it(traced, calls):
    model = sh.Model({"a": traced("a"), "b": traced("b", BREAK), "c": traced("c")})

    signal = model.execute("run_step")

    assert (calls, signal) == (["a.run_step", "b.run_step"], NONE)


@pytest.mark.parametrize("signal", [None, 0, 1, 2, NONE, SKIP, CONTINUE])
def test_other_signals_of_a_process_change_nothing(traced, calls, signal):
    model = sh.Model({"a": traced("a", signal), "b": traced("b")})

    model.execute("run_step")

    assert calls == ["a.run_step", "b.run_step"]


@pytest.mark.parametrize("answer", [True, 1, 3, 3.0, 17, "stop", np.arange(3), object()])
@pytest.mark.parametrize("validate", [False, True])
def test_what_a_process_returns_is_ignored_where_it_is_no_signal(answer, validate, traced, calls):
    model = sh.Model({"a": traced("a", answer), "b": traced("b")})

    model.execute("run_step", validate=validate)

    assert calls == ["a.run_step", "b.run_step"]


@pytest.mark.parametrize("answer", [True, 3, np.arange(3), {"done": True}])
@pytest.mark.parametrize("level", ["model", "process"])
def test_what_a_hook_returns_is_ignored_where_it_is_no_signal(answer, level, traced, calls):
    model = sh.Model({"a": traced("a"), "b": traced("b")})
    hook = sh.runtime_hook("run_step", level=level, trigger="pre")(lambda model, context, state: answer)

    assert model.execute("run_step", hooks=[hook]) is NONE
    assert calls == ["a.run_step", "b.run_step"]


def test_an_unknown_name_in_the_context_is_an_error_with_the_close_matches(model):
    with pytest.raises(UnknownNameError, match=r"does not have 'step_dleta' .* Did you mean 'step_delta'"):
        model.execute("run_step", {"step_dleta": 1.0})


def test_an_unknown_stage_is_an_error(model):
    with pytest.raises(UnknownNameError, match="Did you mean 'run_step'"):
        model.execute("runstep")


# Hooks


def record(calls, name, stage, level, trigger, signal=None):
    @runtime_hook(stage, level, trigger)
    def hook(model, context, state):
        calls.append(name)
        return signal

    return hook


def test_hooks_are_called_around_model_and_processes_in_the_order_given(traced, calls):
    model = sh.Model({"a": traced("a"), "b": traced("b")})
    hooks = [
        record(calls, f"{level} {trigger} {number}", "run_step", level, trigger)
        for number in (1, 2)
        for level in ("model", "process")
        for trigger in ("pre", "post")
    ]

    model.execute("run_step", hooks=hooks)

    around_a, around_b = (
        ["process pre 1", "process pre 2", f"{name}.run_step", "process post 1", "process post 2"]
        for name in ("a", "b")
    )
    assert calls == ["model pre 1", "model pre 2", *around_a, *around_b, "model post 1", "model post 2"]


def test_a_hook_is_called_at_its_stage_only(traced, calls):
    model = sh.Model({"a": traced("a")})

    model.execute("initialize", hooks=[record(calls, "hook", "run_step", "model", "post")])

    assert calls == ["a.initialize"]


@pytest.mark.parametrize("signal", [SKIP, CONTINUE, BREAK])
def test_a_signal_before_the_stage_skips_it_and_is_returned(traced, calls, signal):
    model = sh.Model({"a": traced("a")})
    hooks = [
        record(calls, "pre", "run_step", "model", "pre", signal),
        record(calls, "post", "run_step", "model", "post"),
    ]

    answer = model.execute("run_step", hooks=hooks)

    assert (calls, answer) == (["pre"], signal)


def test_the_highest_signal_wins(traced, calls):
    model = sh.Model({"a": traced("a")})
    hooks = [record(calls, s.name, "run_step", "model", "post", s) for s in (SKIP, BREAK, CONTINUE)]

    assert model.execute("run_step", hooks=hooks) is BREAK


@pytest.mark.parametrize(("signal", "expected"), [(SKIP, ["a", "b"]), (CONTINUE, ["a", "b"]), (BREAK, ["a"])])
def test_a_signal_before_a_process_skips_it_and_break_all_after_it(traced, calls, signal, expected):
    model = sh.Model({"a": traced("a"), "b": traced("b")})

    seen = []
    model.execute("run_step", hooks=[record(seen, "pre", "run_step", "process", "pre", signal)])

    assert (calls, len(seen)) == ([], len(expected))


def test_break_after_a_process_skips_those_after_it(traced, calls):
    model = sh.Model({"a": traced("a"), "b": traced("b")})

    model.execute("run_step", hooks=[record([], "post", "run_step", "process", "post", BREAK)])

    assert calls == ["a.run_step"]


@pytest.mark.parametrize("level", ["model", "process"])
def test_a_hook_changes_values_for_all(model, level):
    @runtime_hook("run_step", level, "pre")
    def hook(model, context, state):
        model.source.total = 10
        model.state["source", "rate"] = 1

    model.update_state({("source", "rate"): 5})
    model.drop_processes("reader")
    model.execute("initialize")
    model.execute("run_step", hooks=[hook])

    assert model.reader.total == model.source.total


def test_a_hook_sees_context_and_a_state_it_cannot_assign(model):
    seen = []

    @runtime_hook("run_step")
    def hook(model, context, state):
        seen.extend([context.step, context["step"], state["source", "rate"], hasattr(state, "__setitem__")])

    model.update_state({("source", "rate"): 5})
    model.execute("initialize")
    model.execute("run_step", RuntimeContext(step=3), hooks=[hook])

    assert seen == [3, 3, 5, False]


def test_hook_objects_gather_methods_of_their_class_and_its_bases(traced, calls):
    class Base(sh.RuntimeHook):
        @runtime_hook("run_step", trigger="pre")
        def before(self, model, context, state):
            calls.append("before")

    class Both(Base):
        @runtime_hook("run_step")
        def after(self, model, context, state):
            calls.append("after")

    sh.Model({"a": traced("a")}).execute("run_step", hooks=[Both()])

    assert calls == ["before", "a.run_step", "after"]


def test_a_hook_object_need_not_call_the_constructor_of_its_base(traced, calls):
    class Own(sh.RuntimeHook):
        def __init__(self, word):
            self.word = word

        @runtime_hook("run_step")
        def after(self, model, context, state):
            calls.append(self.word)

    model = sh.Model({"a": traced("a")})
    with Own("registered"):
        model.execute("run_step", hooks=[Own("given")])

    assert calls == ["a.run_step", "registered", "given"]


def test_a_registered_hook_is_called_in_all_runs_until_it_is_not(traced, calls):
    model = sh.Model({"a": traced("a")})
    hook = sh.RuntimeHook(record(calls, "hook", "run_step", "model", "post"))

    with hook:
        model.execute("run_step")
        with pytest.raises(ModelError, match="registered already"):
            hook.register()
    model.execute("run_step")

    assert calls == ["a.run_step", "hook", "a.run_step"]
    with pytest.raises(ModelError, match="not registered"):
        hook.unregister()


@pytest.mark.parametrize("arguments", [("run",), ("run_step", "modell"), ("run_step", "model", "before")])
def test_a_hook_at_an_unknown_place_is_an_error(arguments):
    with pytest.raises(ModelError, match="runtime_hook got"):
        runtime_hook(*arguments)


@pytest.mark.parametrize("hook", [lambda *given: None, lambda model, context, state, more=0: more])
def test_a_hook_may_take_more_than_three_arguments(model, hook):
    hook = sh.runtime_hook("initialize")(hook)

    model.execute("initialize", hooks=[hook])


def test_a_hook_is_a_marked_function_of_three_arguments(model):
    with pytest.raises(ModelError, match="is not a hook"):
        model.execute("run_step", hooks=[lambda model, context, state: None])
    with pytest.raises(ModelError, match="three arguments"):
        sh.RuntimeHook(runtime_hook("run_step")(lambda model: None))


# Instead of stages of one's own, and of models inside processes


def test_an_integrator_evaluates_rates_within_a_step():
    @sh.process
    class Integrator:
        y = sh.variable(intent="inout")
        rates = sh.group("rates")

        @sh.runtime(args="step_delta")
        def run_step(self, dt):
            start, slopes = self.y, []
            for fraction in (0.0, 0.5, 0.5, 1.0):
                self.y = start + fraction * dt * (slopes[-1] if slopes else 0.0)
                slopes.append(sum(self.rates))
            self.y = start + dt / 6 * (slopes[0] + 2 * slopes[1] + 2 * slopes[2] + slopes[3])

    @sh.process
    class Decay:
        y = sh.foreign(Integrator, "y")
        rate = sh.on_demand(groups="rates")

        @rate.compute(cache=True)
        def _rate(self):
            return -self.y

    model = sh.Model({"integrator": Integrator, "decay": Decay})
    model.update_state({("integrator", "y"): 1.0})
    for _ in range(10):
        model.execute("run_step", {"step_delta": 0.1})

    assert model.integrator.y == pytest.approx(np.exp(-1.0), rel=1e-6)


def test_a_process_may_run_a_model_of_its_own(source_cls, reader_cls):
    @sh.process
    class Outer:
        rate = sh.variable(default=1)
        double = sh.variable(intent="out")

        def initialize(self):
            self.inner = sh.Model({"source": source_cls, "reader": reader_cls})
            self.inner.update_state({("source", "rate"): self.rate})
            self.inner.execute("initialize")

        def run_step(self):
            for _ in range(3):
                self.inner.execute("run_step")
            self.double = self.inner.reader.double

    model = sh.Model({"outer": Outer})
    model.update_state({("outer", "rate"): 5})
    model.execute("initialize")
    model.execute("run_step")

    assert model.outer.double == 2 * 3 * 5


@pytest.mark.parametrize("given", [{"source__rate": 3}, {"source": {"rate": 3}}, {("source", "rate"): 3}])
def test_inputs_are_named_in_any_form(model, given):
    model.update_state(given)

    assert dict(model.state) == {("source", "rate"): 3}


@pytest.mark.parametrize("name", ["source__rat", ("source", "rat"), "rate", 3, ("source",), "source__total"])
def test_names_that_are_no_inputs_are_errors_where_asked_for(model, name):
    model.update_state({name: 3, "source__rate": 1})
    assert dict(model.state) == {("source", "rate"): 1}

    with pytest.raises(UnknownNameError, match=r"is not an input of the model\. .*'source__rate'"):
        model.update_state({name: 3}, ignore_invalid_keys=False)


class Locked:
    """Holds what cannot be copied."""

    def __init__(self):
        self.lock = threading.Lock()


def test_an_input_that_holds_what_cannot_be_copied_is_copied_itself(model):
    given = Locked()

    model.update_state({("source", "rate"): given})

    assert model.source.rate is not given
    assert model.source.rate.lock is given.lock


def test_an_input_that_cannot_be_copied_is_an_error(model):
    with pytest.raises(SetupError, match=r"<unlocked _thread\.lock .*> cannot be copied: .*initialize"):
        model.update_state({("source", "rate"): threading.Lock()})


def test_the_state_is_shown_in_few_words(model):
    model.update_state({("source", "rate"): np.zeros((3, 2))})
    model.state["source", "total"] = list(range(1000))

    assert repr(model.state).splitlines() == [
        "<simherd.ModelState (2 of 3 values set)>",
        "    source__rate   ndarray float64 (3, 2)",
        "    source__total  [0, 1, 2, 3, 4, 5, ...]",
    ]


@pytest.mark.parametrize("hooks", [process_hook("run_step"), sh.RuntimeHook(), 3])
def test_hooks_that_are_no_list_are_an_error(model, hooks):
    with pytest.raises(ModelError, match=r"hooks: a list is needed, found .*hooks=\[\.\.\.\]"):
        model.execute("run_step", hooks=hooks)

"""Rules of the process decorator."""

from __future__ import annotations

import importlib
import sys

import attr
import pytest

import simherd as sh
from simherd.errors import ModelError, ProcessClassError, UnsetVariableError
from simherd.model.process import inspect_process


def positive(instance, attribute, value):
    if value <= 0:
        raise ValueError(f"{attribute.name} must be positive")


# Classes


def test_a_process_class_stays_the_class_it_was():
    class Plain:
        x = sh.variable()

    assert sh.process(Plain) is Plain


def test_a_class_without_the_decorator_is_no_process():
    with pytest.raises(ProcessClassError, match="decorate it with @process"):
        sh.Model({"p": int})


def test_an_object_is_no_process_class(source_cls):
    with pytest.raises(ProcessClassError, match=r"object of class 'Source' .* give the class"):
        sh.Model({"source": source_cls()})


def test_a_class_derived_from_a_process_needs_the_decorator_too(source_cls):
    class Child(source_cls):
        pass

    with pytest.raises(ProcessClassError, match="'Child' is not a process class"):
        sh.Model({"child": Child})


def test_a_child_inherits_variables_and_extends_stages(source_cls):
    @sh.process
    class Child(source_cls):
        offset = sh.variable(default=10)

        def initialize(self):
            super().initialize()
            self.total += self.offset

    model = sh.Model({"child": Child})
    model.update_state({("child", "rate"): 1, ("child", "offset"): 10})
    model.execute("initialize")
    model.execute("run_step")

    assert model.child.total == 11
    assert list(inspect_process(Child).variables) == ["rate", "total", "offset"]


def test_a_child_may_declare_a_variable_otherwise():
    @sh.process
    class Parent:
        x = sh.variable(intent="out", converter=lambda value: 100 * value)

    @sh.process
    class Child(Parent):
        x = sh.variable(intent="out")

        def initialize(self):
            self.x = 1

    model = sh.Model({"child": Child})
    model.execute("initialize")

    assert model.child.x == 1


def test_a_variable_hides_an_attribute_of_a_plain_base_class():
    class Base:
        members = "not a group"
        value = "not a variable"

    @sh.process
    class Child(Base):
        members = sh.group_dict("g")
        value = sh.variable(intent="out")

    child = sh.Model({"child": Child}).child

    assert dict(child.members) == {}
    with pytest.raises(UnsetVariableError):
        _ = child.value


def test_an_on_demand_variable_is_inherited_and_can_be_replaced():
    @sh.process
    class Parent:
        x = sh.on_demand()
        y = sh.on_demand()

        @x.compute
        def _x(self):
            return 1

        @y.compute
        def _y(self):
            return 1

    @sh.process
    class Child(Parent):
        y = sh.on_demand()

        @y.compute
        def _other_y(self):
            return 2

    child = sh.Model({"child": Child}).child

    assert (child.x, child.y) == (1, 2)


def test_classes_can_be_made_by_type():
    def initialize(self):
        self.y = self.x + 1

    members = {"x": sh.variable(), "y": sh.variable(intent="out"), "initialize": initialize}
    cls = sh.process(type("Dynamic", (), members))
    model = sh.Model({"p": cls})
    model.update_state({("p", "x"): 1})
    model.execute("initialize")

    assert model.p.y == 2


def test_a_class_with_attrs_already_keeps_them():
    @sh.process(apply_attrs=False)
    @attr.s
    class P:
        x = sh.variable(intent="inout", converter=float, default=3)

    p = P(x="4")
    p.x = "5"

    assert p.x == 5.0


def test_a_class_with_slots_is_an_error():
    with pytest.raises(ProcessClassError, match="slots"):

        @sh.process(apply_attrs=False)
        @attr.s(slots=True)
        class P:
            x = sh.variable()


def test_the_docstring_lists_the_variables():
    @sh.process
    class P:
        """Text."""

        height = sh.variable(dims="x", description="how high", attrs={"units": "m"})

    assert P.__doc__.startswith("Text.\n\nAttributes\n----------\nheight : variable (in)\n    how high\n")
    assert "units: m" in P.__doc__


def test_the_docstring_says_where_the_variables_go():
    @sh.process
    class P:
        """{{attributes}}

        Notes at the end.
        """

        height = sh.variable()

    assert P.__doc__.index("height : variable") < P.__doc__.index("Notes at the end.")


def test_the_docstring_can_be_left_alone():
    @sh.process(autodoc=False)
    class P:
        """Text."""

        height = sh.variable()

    assert P.__doc__ == "Text."


# On its own


def test_a_process_can_be_made_on_its_own(source_cls, reader_cls):
    source, reader = source_cls(rate=3), reader_cls(total=5)
    source.initialize()
    source.run_step()
    reader.run_step()

    assert (source.total, reader.double) == (3, 10)


def test_a_process_on_its_own_computes_on_demand():
    @sh.process
    class P:
        x = sh.variable()
        double = sh.on_demand()

        @double.compute(cache=True)
        def _double(self):
            return 2 * self.x

    p = P(x=1)
    p.x = 4

    assert p.double == 8


def test_a_process_on_its_own_takes_the_members_of_groups():
    @sh.process
    class P:
        values = sh.group("g")
        named = sh.group_dict("g")

    assert (P().values, P().named) == ((), {})
    assert P(values=[1, 2]).values == [1, 2]


def test_an_unset_variable_is_an_attribute_error_that_names_it(reader_cls):
    model = sh.Model({"p": sh.process(type("P", (), {"x": sh.variable(intent="out")}))})

    with pytest.raises(UnsetVariableError, match="'x' of process 'p' was read before it had a value"):
        _ = model.p.x
    assert not hasattr(model.p, "x")


# Values


def test_a_converter_converts_inputs_and_what_the_process_sets():
    @sh.process
    class P:
        a = sh.variable(converter=float)
        b = sh.variable(intent="inout", converter=float)
        c = sh.variable(intent="out", converter=float)

        def initialize(self):
            self.b = "3"
            self.c = "4"

    model = sh.Model({"p": P})
    model.update_state({("p", "a"): "1", ("p", "b"): "2"})
    before = model.p.b
    model.execute("initialize")

    assert (model.p.a, before, model.p.b, model.p.c) == (1.0, 2.0, 3.0, 4.0)


def twice(value):
    return 2 * value


@sh.process
class Owner:
    x = sh.variable(intent="inout", converter=twice, global_name="x")


def set_one(self):
    self.x = 1
    self.seen = self.x


@pytest.mark.parametrize("reference", [sh.foreign(Owner, "x", "out"), sh.global_ref("x", "out")])
def test_a_value_set_by_another_process_is_converted_once(reference):
    setter = sh.process(type("Setter", (), {"x": reference, "initialize": set_one}))
    model = sh.Model({"owner": Owner, "setter": setter})
    model.execute("initialize")

    assert (model.setter.seen, model.owner.x, model.setter.x) == (2, 2, 2)


def test_two_names_for_one_variable_in_a_process_hold_one_value():
    @sh.process
    class P:
        x = sh.variable(intent="out", global_name="x")
        same = sh.global_ref("x")

        def initialize(self):
            self.x = 1
            self.seen = self.same

    model = sh.Model({"p": P})
    model.execute("initialize")

    assert model.p.seen == 1


def test_validators_are_called_for_inputs():
    @sh.process
    class P:
        x = sh.variable(validator=positive)
        y = sh.variable(default=1)

        @y.validator
        def _y_is_small(self, attribute, value):
            if value > 10:
                raise ValueError("y is too large")

    model = sh.Model({"p": P})

    with pytest.raises(ValueError, match="x must be positive"):
        model.update_state({("p", "x"): -1})
    with pytest.raises(ValueError, match="y is too large"):
        model.update_state({("p", "x"): 1, ("p", "y"): 11})


def test_plain_fields_get_their_defaults_in_each_model():
    @sh.process
    class P:
        items = attr.ib(factory=list)
        number = attr.ib(default=3)

        @attr.ib
        def without_default(self):
            """Only declared."""

        double = attr.ib()

        @double.default
        def _double(self):
            return 2 * self.number

    first, second = sh.Model({"p": P}).p, sh.Model({"p": P}).p
    first.items.append(1)

    assert (first.items, second.items, first.double) == ([1], [], 6)


def test_the_default_of_an_input_may_be_computed():
    @sh.process
    class P:
        a = sh.variable(default=attr.Factory(list))
        b = sh.variable()

        @b.default
        def _b(self):
            return 5

    variables = sh.Model({"p": P}).graph.variables

    assert variables["p", "a"].make_default() == []
    assert variables["p", "b"].make_default() == 5


# Stages


def test_a_stage_with_unknown_arguments_is_an_error():
    with pytest.raises(TypeError, match=r"P.initialize has arguments that no run gives: other"):

        @sh.process
        class P:
            def initialize(self, other):
                pass


@pytest.mark.parametrize("stage", ["initialize", "run_step", "finalize_step", "finalize"])
def test_a_stage_that_is_no_method_is_an_error(stage):
    with pytest.raises(ProcessClassError, match=f"P.{stage} is 5, but it is the name of a stage"):
        sh.process(type("P", (), {stage: 5}))


def test_a_stage_of_a_base_class_can_be_left_out(source_cls):
    child = sh.process(type("Child", (source_cls,), {"run_step": None}))

    assert list(inspect_process(child).stages) == ["initialize"]


def test_run_step_without_the_decorator_gets_the_step_with_a_warning():
    with pytest.warns(FutureWarning, match=r"@runtime\(args='step_delta'\)"):

        @sh.process
        class P:
            def run_step(self, dt):
                self.dt = dt

    model = sh.Model({"p": P})
    model.execute("run_step", {"step_delta": 0.5})

    assert model.p.dt == 0.5


@pytest.mark.parametrize("args", ["step,batch", "step, batch", ["step", "batch"], ("step", "batch")])
def test_runtime_arguments_come_in_their_order(args):
    @sh.process
    class P:
        @sh.runtime(args=args)
        def run_step(self, a, b):
            self.seen = (a, b)

    model = sh.Model({"p": P})
    model.execute("run_step", {"step": 3, "batch": 7})

    assert model.p.seen == (3, 7)


@pytest.mark.parametrize("args", ["stepp", ["step", "weight"], 3, {"step": 1}])
def test_runtime_arguments_that_a_run_does_not_have_are_an_error_at_once(args):
    with pytest.raises(ModelError, match="runtime"):
        sh.runtime(args=args)


# Assignments of what a process only reads


@pytest.mark.parametrize(
    "statement", ["self.v = 1", "self.v += 1", "_, self.v = 1, 2", "for self.v in (): pass"]
)
def test_a_stage_that_assigns_an_own_input_is_an_error_at_once(statement, tmp_path, monkeypatch):
    (tmp_path / "assigning.py").write_text(
        "import simherd as sh\n\n\n"
        "@sh.process\nclass P:\n    v = sh.variable()\n\n"
        f"    @sh.runtime(args='step')\n    def run_step(self, step):\n        {statement}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "assigning", raising=False)

    with pytest.raises(ModelError, match=r"P\.run_step assigns 'v', which it may only read"):
        importlib.import_module("assigning")


def test_a_stage_that_assigns_what_it_refers_to_is_an_error_at_once(source_cls):
    with pytest.raises(ModelError, match="assigns 'total'"):

        @sh.process
        class Reader:
            total = sh.foreign(source_cls, "total")

            def run_step(this):  # noqa: N805 (the name of the instance is free)
                this.total = 1


def test_what_is_no_assignment_of_an_own_input_is_allowed():
    @sh.process
    class P:
        v = sh.variable(dims="x")
        w = sh.variable(intent="inout")

        def run_step(self):
            self.v[0] = self.v.size
            self.w, self.plain = 1, self.v
            self.plain.v = 2

    assert sh.Model({"p": P})


def test_a_stage_without_source_is_not_looked_into():
    members = {}
    exec("def run_step(self): self.v = 1", members)

    assert sh.process(type("P", (), {"v": sh.variable(), "run_step": members["run_step"]}))


# Names of stages


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("run_steps", "run_step"),
        ("runstep", "run_step"),
        ("initialise", "initialize"),
        ("finalize_steps", "finalize_step"),
        ("finalise", "finalize"),
    ],
)
@pytest.mark.parametrize("has_stage", [False, True])
def test_a_method_named_almost_like_a_stage_is_an_error(name, meant, has_stage):
    members = {name: lambda self: None} | ({meant: lambda self: None} if has_stage else {})

    with pytest.raises(ProcessClassError, match=f"P.{name} is never called: .*Did you mean '{meant}'"):
        sh.process(type("P", (), members))


def test_methods_that_are_called_or_private_may_have_any_name():
    @sh.process
    class Solver:
        def run_step(self):
            self.run_steps(2)

        def run_steps(self, count):
            return count

        def _initialise(self):
            pass

    assert list(inspect_process(Solver).stages) == ["run_step"]


def test_runtime_on_a_method_that_is_no_stage_is_an_error():
    with pytest.raises(ProcessClassError, match=r"Walks\.advance asks for values of the run"):

        @sh.process
        class Walks:
            @sh.runtime(args="step_delta")
            def advance(self, dt):
                pass

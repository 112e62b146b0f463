"""Rules of how processes hang together: order, references, conflicts."""

from __future__ import annotations

import pickle

import cloudpickle
import pytest

import simherd as sh
from simherd.errors import CycleError, LinkError, ModelError, UnknownNameError


def make(name, **members):
    return sh.process(type(name, (), members))


A = make("A", x=sh.variable(intent="out", groups="g"))


# Order


def test_a_process_comes_after_those_that_set_what_it_reads(model):
    assert list(model) == ["source", "reader"]
    assert model.dependent_processes == {"source": [], "reader": ["source"]}


def test_processes_that_do_not_wait_keep_the_order_of_the_mapping():
    names = ["c", "a", "b"]

    model = sh.Model({name: make(name.upper(), x=sh.variable()) for name in names})

    assert list(model) == names


def test_inout_makes_nobody_wait():
    owner = make("Owner", x=sh.variable(intent="inout"))
    reader = make("Reader", x=sh.foreign(owner, "x"))

    model = sh.Model({"reader": reader, "owner": owner})

    assert list(model) == ["reader", "owner"]


def test_an_owner_waits_for_the_process_that_sets_its_variable():
    owner = make("Owner", x=sh.variable())
    setter = make("Setter", x=sh.foreign(owner, "x", "out"))

    model = sh.Model({"owner": owner, "setter": setter})

    assert list(model) == ["setter", "owner"]
    assert model.input_vars == []


def test_the_reader_of_a_group_waits_for_all_members():
    model = sh.Model(
        {
            "reader": make("Reader", all=sh.group("g")),
            "a": A,
            "b": make("B", y=sh.variable(intent="out", groups="g")),
        }
    )

    assert model.dependent_processes["reader"] == ["a", "b"]


@pytest.fixture
def changers():
    """Return processes by name that all change the state of ``owner``: it keeps what they append."""

    def change(name):
        return lambda self: setattr(self, "state", [*self.state, name])

    owner = make("Owner", state=sh.variable(intent="inout"), run_step=change("owner"))
    others = {
        name: make(name.upper(), state=sh.foreign(owner, "state", "inout"), run_step=change(name))
        for name in ("a", "b")
    }
    return {**others, "owner": owner}


def test_the_user_orders_what_inout_leaves_open(changers):
    model = sh.Model(changers, order=[("owner", "b"), ("b", "a")])
    model.update_state({("owner", "state"): []})
    model.execute("run_step")

    assert list(model) == ["owner", "b", "a"]
    assert model.owner.state == model.a.state == ["owner", "b", "a"]


@pytest.mark.parametrize("order", [[], [("owner", "a"), ("owner", "b")]])
def test_two_processes_that_change_one_variable_in_no_order_are_an_error_that_names_them(changers, order):
    with pytest.raises(ModelError, match=r"'a' and 'b' both change owner__state.*order=\[\('a', 'b'\)\]"):
        sh.Model(changers, order=order)


def test_an_order_that_makes_a_circle_is_an_error(model, source_cls, reader_cls):
    with pytest.raises(CycleError, match="source->reader->source: order= puts 'reader' before 'source'"):
        sh.Model({"source": source_cls, "reader": reader_cls}, order=[("reader", "source")])


def test_an_order_of_unknown_processes_comes_with_the_close_match(source_cls):
    with pytest.raises(UnknownNameError, match="Did you mean 'source'"):
        sh.Model({"source": source_cls}, order=[("sorce", "source")])


def test_an_order_is_kept_by_copies_and_bridges_what_is_dropped(changers):
    model = sh.Model(changers, order=[("b", "owner"), ("owner", "a")])

    for copied in (model.clone(), model.update_processes({}), pickle.loads(cloudpickle.dumps(model))):
        assert list(copied) == ["b", "owner", "a"]

    other = make("Other")
    chain = sh.Model(dict.fromkeys("xyz", other), order=[("z", "y"), ("y", "x")])
    assert list(chain.drop_processes("y")) == ["z", "x"]


def circle(intent):
    first = make("First", x=sh.variable(intent=intent), y=sh.global_ref("y"))
    second = make("Second", x=sh.foreign(first, "x"), y=sh.variable(intent="out", global_name="y"))
    return {"first": first, "second": second}


def test_a_circle_error_names_the_path_and_the_variables():
    with pytest.raises(CycleError) as caught:
        sh.Model(circle("out"))

    assert "first->second->first: " in str(caught.value)
    assert "'first' reads second__y, which 'second' sets" in str(caught.value)
    assert "'second' reads first__x, which 'first' sets" in str(caught.value)


def test_a_circle_ends_as_its_error_says():
    parts = circle("inout")
    start = make("Start", x=sh.foreign(parts["first"], "x", intent="out"))

    assert list(sh.Model({**parts, "start": start})) == ["start", "second", "first"]


def test_a_circle_error_is_also_a_runtime_error():
    assert issubclass(CycleError, RuntimeError)


# References


def test_a_foreign_variable_needs_its_process_in_the_model(reader_cls):
    with pytest.raises(LinkError, match="'Source' missing in Model but required by foreign variable 'total'"):
        sh.Model({"reader": reader_cls})


def test_a_foreign_variable_finds_a_derived_process(source_cls, reader_cls):
    derived = sh.process(type("Derived", (source_cls,), {}))

    model = sh.Model({"reader": reader_cls, "derived": derived})

    assert model.graph.variables["reader", "total"].home == ("derived", "total")


def test_a_foreign_variable_with_several_candidates_is_an_error(source_cls, reader_cls):
    with pytest.raises(ModelError, match="used by multiple processes: one, two"):
        sh.Model({"one": source_cls, "two": source_cls, "reader": reader_cls})


def test_a_class_may_be_used_twice_if_nobody_refers_to_it(source_cls):
    model = sh.Model({"one": source_cls, "two": source_cls})

    assert model.one is not model.two


def test_a_foreign_variable_of_a_foreign_variable_leads_to_the_owner():
    second = make("Second", x=sh.foreign(A, "x"))
    third = make("Third", x=sh.foreign(second, "x"))

    model = sh.Model({"third": third, "second": second, "a": A})

    assert model.graph.variables["third", "x"].home == ("a", "x")
    assert model.dependent_processes["third"] == ["a"]


def test_a_foreign_variable_may_lead_through_a_global_one():
    owner = make("Owner", x=sh.variable(dims="t", intent="out", global_name="the x"))
    middle = make("Middle", x=sh.global_ref("the x"))
    last = make("Last", x=sh.foreign(middle, "x"))

    variable = sh.Model({"l": last, "m": middle, "o": owner}).graph.variables["l", "x"]

    assert (variable.home, variable.dims) == (("o", "x"), (("t",),))


def test_an_unknown_global_name_is_an_error():
    with pytest.raises(LinkError, match="No variable with global name 'x'"):
        sh.Model({"p": make("P", x=sh.global_ref("x"))})


def test_a_global_name_that_is_used_twice_is_an_error_for_who_refers_to_it():
    named = make("Named", x=sh.variable(global_name="x"))
    referring = make("Referring", x=sh.global_ref("x"))

    assert len(sh.Model({"a": named, "b": named})) == 2
    with pytest.raises(ModelError, match="multiple variables with global name 'x': a__x, b__x"):
        sh.Model({"a": named, "b": named, "c": referring})


def test_two_processes_that_set_one_variable_are_an_error():
    owner = make("Owner", x=sh.variable())
    setters = {n: make(n.upper(), x=sh.foreign(owner, "x", "out")) for n in ("one", "two")}

    with pytest.raises(ModelError, match=r"Conflict\(s\) .* owner__x is set by one__x and two__x"):
        sh.Model({"owner": owner, **setters})


def test_two_variables_of_one_process_that_set_one_variable_are_an_error_that_names_them():
    owner = make("Owner", x=sh.variable())
    setter = make("Setter", x=sh.foreign(owner, "x", "out"), y=sh.foreign(owner, "x", "out"))

    with pytest.raises(ModelError, match="a__x is set by b__x and b__y "):
        sh.Model({"a": owner, "b": setter})


# Inputs, indexes, groups


def test_inputs_are_what_is_read_or_changed_and_set_by_nobody():
    p = make(
        "P", i=sh.variable(), o=sh.variable(intent="out"), io=sh.variable(intent="inout"), g=sh.group("g")
    )

    model = sh.Model({"p": p})

    assert model.input_vars == [("p", "i"), ("p", "io")]
    assert model.input_vars_dict == {"p": ["i", "io"]}


def test_variables_are_listed_by_process():
    model = sh.Model({"p": make("P", x=sh.variable(), i=sh.index(dims="i"))})

    assert model.all_vars == [("p", "x"), ("p", "i")]
    assert model.all_vars_dict == {"p": ["x", "i"]}
    assert (model.index_vars, model.index_vars_dict) == ([("p", "i")], {"p": ["i"]})


def test_a_group_has_its_members_in_the_order_of_the_mapping_in_every_copy():
    late = make("Late", x=sh.foreign(A, "x"), y=sh.variable(intent="out", groups="g"))
    model = sh.Model({"late": late, "a": A})
    members = (("late", "y"), ("a", "x"))

    assert model.graph.members("g") == members
    assert model.clone().graph.members("g") == members
    assert model.update_processes({}).graph.members("g") == members

"""Rules of reading and assigning variables that are no plain attributes."""

from __future__ import annotations

import copy
import pickle

import pytest

import simherd as sh
from simherd.errors import AssignmentError, ModelError, UnsetVariableError


@sh.process
class Owner:
    """Has what others pull."""

    source = sh.variable(default=1, intent="inout", groups="members")
    double = sh.on_demand(groups="members")
    every = sh.group("members")
    named = sh.group_dict("members")
    computed = 0

    @double.compute
    def _double(self):
        type(self).computed += 1
        return 2 * self.source


@sh.process
class Named:
    """Has one that a foreign reference follows to its end."""

    triple = sh.on_demand()

    @triple.compute
    def _triple(self):
        return 3


@sh.process
class Link:
    """Refers to it."""

    triple = sh.foreign(Named, "triple")


@sh.process
class Reader:
    """Refers to what others compute."""

    double = sh.foreign(Owner, "double")
    triple = sh.foreign(Link, "triple")


@pytest.fixture
def model():
    model = sh.Model({"owner": Owner, "named": Named, "link": Link, "reader": Reader})
    model.update_state({("owner", "source"): 1})
    return model


@pytest.mark.parametrize(
    "key",
    [("owner", "double"), ("owner", "every"), ("owner", "named"), ("reader", "double"), ("reader", "triple")],
    ids=".".join,
)
def test_assigning_what_is_pulled_is_an_error_wherever_it_happens(model, key):
    process, name = key
    before = repr(model.owner.named), model.reader.double

    with pytest.raises(AssignmentError, match=f"'{name}' of process '{process}' cannot be assigned"):
        setattr(model[process], name, 5)

    assert (repr(model.owner.named), model.reader.double) == before


def test_a_process_on_its_own_keeps_what_it_is_given():
    alone = Owner(source=4, every=[1, 2], named={"a": 1})
    alone.double = 9

    assert (alone.every, alone.named, alone.double) == ([1, 2], {"a": 1}, 9)
    assert Owner(source=4).double == 8


def test_an_error_in_a_computation_comes_as_it_is_and_after_one_computation():
    computed = []

    @sh.process
    class Failing:
        inner = sh.on_demand()
        outer = sh.on_demand()

        @inner.compute
        def _inner(self):
            computed.append("inner")
            return self.no_such_thing

        @outer.compute
        def _outer(self):
            computed.append("outer")
            return self.inner

    for failing in (sh.Model({"p": Failing}).p, Failing()):
        with pytest.raises(AttributeError, match="no_such_thing"):
            _ = failing.outer

        assert computed == ["outer", "inner"]
        computed.clear()
        with pytest.raises(UnsetVariableError, match="'source'"):
            _ = sh.Model({"p": Owner}).p.double


def test_a_variable_may_hide_one_that_a_base_class_computes():
    child = sh.process(type("Child", (Owner,), {"double": sh.variable(intent="out")}))
    model = sh.Model({"p": child})

    model.p.double = 3

    assert model.p.double == 3


def test_the_values_of_a_group_copy_and_pickle_and_cannot_be_changed(model):
    values = model.owner.named

    for copied in (pickle.loads(pickle.dumps(values)), copy.deepcopy(values), copy.copy(values)):
        assert copied == {("owner", "source"): 1, ("owner", "double"): 2}
        with pytest.raises(TypeError, match="cannot be changed"):
            copied["owner", "source"] = 3


def test_a_forbidden_assignment_is_an_attribute_error_too(model):
    with pytest.raises(AttributeError):
        model.owner.double = 3
    assert issubclass(AssignmentError, ModelError)

from __future__ import annotations

import pytest

import simherd as sh
from simherd.errors import ModelError, SetupError, UnknownNameError
from simherd.model.names import as_key, flatten_keys


@pytest.mark.parametrize("name", ["walk__gain", ("walk", "gain")])
def test_a_variable_has_one_key_however_it_is_named(walk, name):
    assert as_key(name, walk.model.graph) == ("walk", "gain")


@pytest.mark.parametrize("name", ["walk__gian", ("walk", "gian"), "gain", 3, ("walk",), "walk__"])
def test_a_name_that_the_model_lacks_is_an_error_with_what_to_do(walk, name):
    with pytest.raises(UnknownNameError, match="simherd info"):
        as_key(name, walk.model.graph)


def test_a_misspelt_name_comes_with_the_close_match(walk):
    with pytest.raises(UnknownNameError, match=r"Did you mean .*'walk__gain'"):
        as_key("walk__gian", walk.model.graph)


@pytest.mark.parametrize(
    "given",
    [{"walk": {"gain": 2}}, {("walk", "gain"): 2}, {"walk__gain": 2}],
    ids=["nested", "tuple", "flat"],
)
def test_nested_tuple_and_flat_names_mean_the_same(walk, given):
    assert flatten_keys(given, walk.model.graph) == {("walk", "gain"): 2}


def test_a_variable_given_in_two_forms_is_an_error(walk):
    with pytest.raises(SetupError, match="walk__gain is given twice"):
        flatten_keys({"walk__gain": 1, ("walk", "gain"): 2}, walk.model.graph)


def test_a_mapping_is_a_value_where_the_name_is_no_process(walk):
    assert flatten_keys({"walk__gain": {"a": 1}}, walk.model.graph) == {("walk", "gain"): {"a": 1}}


@pytest.mark.parametrize(
    ("process", "variable"),
    [("p_", "a"), ("p", "_a"), ("p__", "a"), ("a__b", "c"), ("p", "a__b"), ("p_", "_a")],
)
def test_underscores_may_stand_at_any_place_of_a_name(process, variable):
    cls = sh.process(type("P", (), {variable: sh.variable()}))
    graph = sh.Model({process: cls}).graph

    assert as_key(f"{process}__{variable}", graph) == (process, variable)


def test_a_process_whose_name_ends_with_an_underscore_runs():
    members = {"a": sh.variable(default=3), "b": sh.variable(intent="out")}
    cls = sh.process(type("P", (), {**members, "initialize": lambda self: setattr(self, "b", self.a)}))
    model = sh.Model({"p_": cls})
    setup = sh.create_setup(model, clocks={"t": [0, 1]}, output_vars={("p_", "b"): None, "p___a": "t"})

    result = setup.simherd.run(model, encoding={"p___b": {"dtype": "f4"}})

    assert (result.p___b.item(), result.p___a.values.tolist()) == (3.0, [3, 3])


def test_a_list_in_place_of_a_mapping_is_an_error(walk):
    with pytest.raises(SetupError, match=r"encoding: a mapping is needed, found \['walk__gain'\]"):
        flatten_keys(["walk__gain"], walk.model.graph, "encoding")


@pytest.mark.parametrize(("one", "other"), [(("p", "_a"), ("p_", "a")), (("p", "a__b"), ("p__a", "b"))])
def test_two_variables_that_would_have_one_name_are_an_error(one, other):
    classes = {process: sh.process(type("P", (), {v: sh.variable(default=0)})) for process, v in (one, other)}

    with pytest.raises(ModelError, match=r"would both be 'p__.*' in datasets.*rename"):
        sh.Model(classes)

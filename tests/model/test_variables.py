"""Rules of declaring variables."""

from __future__ import annotations

from functools import partial

import pytest

import simherd as sh
from simherd.errors import LinkError, ModelError
from simherd.model.dims import as_dims
from simherd.model.process import inspect_process


def declare(**members):
    return sh.process(type("P", (), members))


def metadata(declaration):
    return inspect_process(declare(v=declaration)).variables["v"].metadata


@pytest.mark.parametrize(
    ("dims", "expected"),
    [
        ((), ((),)),
        ([], ((),)),
        ("", ((),)),
        ("x", (("x",),)),
        (["x"], (("x",),)),
        (("y", "x"), (("y", "x"),)),
        ([(), "x", ("y", "x")], ((), ("x",), ("y", "x"))),
    ],
)
def test_a_tuple_is_one_combination_of_dims_and_a_list_gives_alternatives(dims, expected):
    assert as_dims(dims) == expected


@pytest.mark.parametrize("dims", [["x", "y"], [("x", "y"), ("y", "x")], [(), ()]])
def test_alternatives_of_the_same_number_of_dims_are_an_error(dims):
    with pytest.raises(ModelError, match="ambiguous"):
        sh.variable(dims=dims)


@pytest.mark.parametrize("groups", ["g", ["g"], ("g",)])
def test_groups_are_a_name_or_several(groups):
    assert metadata(sh.variable(groups=groups))["groups"] == ("g",)


def test_an_unknown_intent_is_an_error():
    with pytest.raises(ValueError, match="both"):
        sh.variable(intent="both")


def test_encoding_keeps_what_a_store_understands():
    declared = metadata(sh.variable(encoding={"dtype": "f4", "fill_value": -1, "order": "C"}))

    assert declared["encoding"] == {"dtype": "f4", "fill_value": -1}


def test_an_unknown_key_of_an_encoding_is_an_error_with_close_matches():
    with pytest.raises(ModelError, match=r"'chunkz' is not known\. Did you mean 'chunks'"):
        sh.variable(encoding={"chunkz": (3,)})


def test_declarations_do_not_share_their_attributes():
    attrs = {"units": "m"}

    declared = metadata(sh.variable(attrs=attrs))
    attrs["units"] = "km"

    assert declared["attrs"] == {"units": "m"}


def test_an_index_needs_dims():
    with pytest.raises(ModelError, match="does not accept scalar values"):
        sh.index(dims=())


@pytest.mark.parametrize("declaration", [sh.index(dims="x"), sh.any_object(), sh.variable(intent="out")])
def test_what_a_process_sets_is_no_argument_of_its_class(declaration):
    cls = declare(v=declaration)

    with pytest.raises(TypeError, match="v"):
        cls(v=1)


def test_an_on_demand_variable_needs_a_method_that_computes_it():
    with pytest.raises(ModelError, match=r"'v' has no method .* @v\.compute"):
        declare(v=sh.on_demand())


def test_a_foreign_variable_has_the_description_of_its_target(source_cls):
    owner = declare(v=sh.variable(dims="x", intent="out", description="height", attrs={"units": "m"}))

    declared = metadata(sh.foreign(owner, "v"))

    kept = (declared["dims"], declared["description"], declared["attrs"])
    assert kept == ((("x",),), "height", {"units": "m"})


def test_nobody_changes_an_on_demand_variable():
    computed = sh.on_demand()
    owner = declare(v=computed, compute=computed.compute(lambda self: 1))

    with pytest.raises(ModelError, match="nobody sets"):
        sh.foreign(owner, "v", intent="inout")


def test_a_foreign_variable_and_its_target_cannot_both_be_out(source_cls):
    with pytest.raises(ModelError, match="both have intent='out'"):
        sh.foreign(source_cls, "total", intent="out")


def test_a_foreign_variable_needs_a_target(source_cls):
    with pytest.raises(LinkError, match="no variable 'nothing'"):
        sh.foreign(source_cls, "nothing")


def test_a_foreign_variable_needs_a_process(source_cls):
    with pytest.raises(LinkError, match="decorated with @process"):
        sh.foreign(int, "total")


@pytest.mark.parametrize("kind", [sh.group, sh.group_dict])
def test_a_foreign_variable_cannot_refer_to_a_group(kind):
    with pytest.raises(LinkError, match="links to group variable"):
        sh.foreign(declare(v=kind("g")), "v")


@pytest.mark.parametrize("intent", ["inn", "In", None])
def test_an_unknown_intent_is_an_error_that_names_the_known_ones(intent):
    for declaring in (sh.variable, partial(sh.global_ref, "x"), partial(sh.foreign, declare(), "x")):
        with pytest.raises(ModelError, match=rf"There is no intent {intent!r}\. .*'in'"):
            declaring(intent=intent)


def test_an_unknown_kind_of_variable_is_an_error_that_names_the_known_ones():
    with pytest.raises(ModelError, match=r"There is no kind of variable 'variabel'. Did you mean 'variable'"):
        sh.filter_variables(declare(v=sh.variable()), var_type="variabel")


@pytest.mark.parametrize("other", [declare(), "P", None])
def test_a_foreign_variable_that_is_not_there_is_an_error(other):
    with pytest.raises(LinkError, match="has no variable 'z' to refer to"):
        sh.foreign(other, "z")


@pytest.mark.parametrize("dims", [3, None, {"x"}, [3], (3,), [("x", 3)], b"x"])
def test_dims_that_are_no_labels_are_an_error(dims):
    for declaring in (sh.variable, sh.index, sh.on_demand):
        with pytest.raises(ModelError, match=r"dims=.* is not allowed.*a label such as 'x'"):
            declaring(dims=dims)

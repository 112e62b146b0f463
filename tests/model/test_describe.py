"""Rules of describing processes and variables in words."""

from __future__ import annotations

import io

import attr
import pytest

import simherd as sh
from simherd.errors import UnknownNameError


def text_of(function, *arguments):
    buffer = io.StringIO()
    function(*arguments, buf=buffer)
    return buffer.getvalue()


READER = """\
<Reader>
Variables:
    total   [in] <--- Source.total
    double  [out]
Simulation stages:
    run_step
"""


def test_a_process_is_described_by_its_variables_and_stages(reader_cls, model):
    assert text_of(sh.process_info, reader_cls) == READER


def test_a_process_object_is_shown_as_its_description(reader_cls):
    assert repr(reader_cls(total=1)) + "\n" == READER


IN_A_MODEL = """\
<P 'p'>
Variables:
    total  [in] <--- source.total
    named  [inout] <--> other.here
    all    [in] <--- group 'g'
Simulation stages:
    none
"""


def test_a_process_of_a_model_is_shown_with_its_name_and_what_its_references_stand_for(source_cls):
    other = sh.process(type("Other", (), {"here": sh.variable("x", "inout", global_name="name")}))
    middle = sh.process(type("Middle", (), {"named": sh.global_ref("name")}))
    members = {
        "total": sh.foreign(source_cls, "total"),
        "named": sh.foreign(middle, "named", "inout"),
        "all": sh.group("g"),
    }
    p = sh.process(type("P", (), members))
    model = sh.Model({"source": source_cls, "other": other, "middle": middle, "p": p}, order=[("other", "p")])

    assert repr(model.p) + "\n" == IN_A_MODEL
    assert text_of(sh.process_info, model.p) == IN_A_MODEL
    assert repr(sh.process(type("Empty", (), {}))()).splitlines()[1:3] == ["Variables:", "    none"]


def test_a_process_may_have_its_own_representation():
    cls = sh.process(type("P", (), {"__repr__": lambda self: "mine"}))

    assert repr(cls()) == "mine"


def test_without_a_buffer_the_description_goes_to_standard_output(reader_cls, capsys):
    sh.process_info(reader_cls)

    assert capsys.readouterr().out == READER


def test_a_variable_is_described_with_all_that_is_declared():
    height = sh.variable(
        dims=[(), "x"],
        groups=["g", "h"],
        global_name="name",
        default=0,
        description="how high",
        attrs={"units": "m", "symbol": "h"},
        static=True,
        encoding={"dtype": "f4", "fill_value": -1},
    )
    cls = sh.process(type("P", (), {"height": height}))

    assert text_of(sh.variable_info, cls, "height") == HEIGHT
    assert cls.__doc__.endswith(f"{HEIGHT.rstrip()}\n".replace("\n", "\n    ").rstrip())


HEIGHT = """\
height : variable (in)
how high
global name: name
dimensions: () or ('x',)
groups: g, h
default: 0
static: yes
units: m
symbol: h
encoding: dtype='f4', fill_value=-1
"""


@pytest.mark.parametrize(
    ("declaration", "line"),
    [
        (sh.variable(), "dimensions: ()"),
        (sh.variable(default=None), "default: None"),
        (sh.variable(default=attr.Factory(list)), "default: made by list"),
        (sh.group("g"), "the values of all variables of group 'g'"),
        (sh.group_dict("g"), "the values of all variables of group 'g' by names of process and variable"),
    ],
)
def test_nothing_that_is_declared_is_left_out(declaration, line):
    cls = sh.process(type("P", (), {"v": declaration}))

    assert line in text_of(sh.variable_info, cls, "v").splitlines()


@pytest.mark.parametrize(
    ("declaration", "target"), [(sh.global_ref("n"), "global 'n'"), (sh.group("g"), "group 'g'")]
)
def test_a_reference_says_what_it_refers_to(declaration, target):
    cls = sh.process(type("P", (), {"v": declaration}))

    assert f"<--- {target}" in text_of(sh.process_info, cls)
    assert f"refers to: {target}" in text_of(sh.variable_info, cls, "v")


def test_an_unknown_variable_is_an_error_with_the_close_matches(reader_cls):
    with pytest.raises(UnknownNameError, match="Did you mean 'double'"):
        sh.variable_info(reader_cls, "duble")

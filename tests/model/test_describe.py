"""Rules of describing processes and variables in words."""

from __future__ import annotations

import io

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
    assert text_of(sh.process_info, model.reader) == READER


def test_a_process_object_is_shown_as_its_description(model, reader_cls):
    assert repr(model.reader) + "\n" == READER
    assert repr(reader_cls(total=1)) + "\n" == READER


def test_a_process_may_have_its_own_representation():
    cls = sh.process(type("P", (), {"__repr__": lambda self: "mine"}))

    assert repr(cls()) == "mine"


def test_without_a_buffer_the_description_goes_to_standard_output(reader_cls, capsys):
    sh.process_info(reader_cls)

    assert capsys.readouterr().out == READER


def test_a_variable_is_described_with_all_that_is_declared():
    height = sh.variable(
        dims=[(), "x"], groups="g", description="how high", attrs={"units": "m"}, static=True
    )
    cls = sh.process(type("P", (), {"height": height}))

    assert text_of(sh.variable_info, cls, "height") == (
        "height : variable (in)\nhow high\ndimensions: () or ('x',)\nunits: m\ngroups: g\nstatic: yes\n"
    )


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

"""Texts about processes, variables and models: those of xarray-simlab 0.5.0."""

import io
import textwrap

import pytest

import simherd.compat.xsimlab as xs


@xs.process
class Soil:
    """A layer of soil."""

    depth = xs.variable(
        dims=[(), "x"],
        default=1.5,
        description="thickness of the soil",
        attrs={"units": "m"},
        groups="layers",
    )
    water = xs.variable(intent="inout", static=True, global_name="soil_water")
    age = xs.variable(intent="out", encoding={"dtype": "f4"}, description="a text that is too long " * 3)
    helper = xs.any_object(description="what it works with")
    blank = xs.variable(description=None, intent="out")
    load = xs.on_demand(dims="x")

    @load.compute
    def _load(self):
        return 0

    def run_step(self):
        pass


@xs.process
class River:
    bed = xs.foreign(Soil, "depth")
    load = xs.foreign(Soil, "load")
    water = xs.global_ref("soil_water")
    layers = xs.group("layers")
    by_name = xs.group_dict("layers")


@xs.process
class Nothing:
    pass


@pytest.fixture
def model():
    return xs.Model({"soil": Soil, "river": River})


def lines(text):
    return textwrap.dedent(text).lstrip("\n")


def printed(function, *arguments):
    buffer = io.StringIO()
    function(*arguments, buffer)
    return buffer.getvalue()


def test_a_process_of_a_model_shows_its_variables_and_stages(model):
    assert repr(model.soil) == lines(
        """
        <Soil 'soil' (xsimlab process)>
        Variables:
            depth       [in] () or ('x',) thickness of the soil
            water    [inout]
            age        [out] a text that is too long a text that is too lon...
            helper     [out] what it works with
            blank      [out]
            load       [out] ('x',)
        Simulation stages:
            run_step
        """
    ).replace("('x',)\n", "('x',) \n")


def test_references_are_shown_by_what_they_refer_to_in_the_model(model):
    assert repr(model.river) == lines(
        """
        <River 'river' (xsimlab process)>
        Variables:
            bed         [in] <--- soil.depth
            load        [in] <--- soil.load
            water       [in] <--- soil.water
            layers      [in] <--- group 'layers'
            by_name     [in] <--- group 'layers'
        Simulation stages:
            *no stage implemented*
        """
    )


def test_without_a_model_references_are_shown_as_far_as_they_are_known():
    text = printed(xs.process_info, River)

    assert text.startswith("<River  (xsimlab process)>\n")
    assert "    bed         [in] <--- Soil.depth\n" in text
    assert "    water       [in] <--- <unknown>.<unknown>\n" in text


def test_a_process_with_nothing_in_it_says_so():
    assert printed(xs.process_info, Nothing) == lines(
        """
        <Nothing  (xsimlab process)>
        Variables:
            *empty*
        Simulation stages:
            *no stage implemented*
        """
    )


def test_a_model_shows_its_inputs(model):
    assert repr(model) == lines(
        """
        <xsimlab.Model (2 processes, 2 inputs)>
        soil
            depth       [in] () or ('x',) thickness of the soil
            water    [inout]
        river
        """
    )


def test_a_variable_shows_all_that_it_declares():
    assert printed(xs.variable_info, Soil, "depth") == lines(
        """
        Thickness of the soil

        Variable properties:

        - type : ``variable``
        - intent : ``in``
        - dimensions : () or ('x',)
        - groups : layers
        - default value : 1.5

        Other attributes:

        - units : m
        """
    )


@pytest.mark.parametrize(
    ("process", "name", "line"),
    [
        (Soil, "water", "- global name : soil_water"),
        (Soil, "water", "- static : ``True``"),
        (Soil, "water", "No description given"),
        (Soil, "age", "Encoding options:"),
        (Soil, "age", "- dtype : f4"),
        (River, "bed", "- reference variable : :attr:`Soil.depth`"),
        (River, "layers", "Iterable of all variables that belong to group 'layers'"),
        (River, "by_name", "- default value : {}"),
    ],
)
def test_a_variable_shows_what_is_special_about_it(process, name, line):
    assert line in printed(xs.variable_info, process, name).splitlines()


def test_an_unknown_variable_comes_with_the_close_match():
    with pytest.raises(KeyError, match="Did you mean 'depth'"):
        xs.variable_info(Soil, "deptg")


def test_docstrings_list_the_variables():
    assert Soil.__doc__.startswith(
        "A layer of soil.\n\n    Attributes\n    ----------\n    depth : :class:`attr.Attribute`\n"
    )


def test_docstrings_are_left_alone_without_autodoc():
    @xs.process(autodoc=False)
    class Plain:
        """Plain."""

        depth = xs.variable()

    assert Plain.__doc__ == "Plain."

"""What users of xarray-simlab expect of a process class, found by walking its documentation."""

import inspect

import attr
import numpy as np
import pytest

import simherd as sh
from simherd.engine.plan import Plan
from simherd.engine.simulate import Simulator
from simherd.errors import ModelError, ProcessClassError, StoreError


def test_a_step_gets_its_length_also_where_the_argument_has_a_default():
    with pytest.warns(FutureWarning, match="runtime"):

        @sh.process
        class Old:
            seen = sh.variable(intent="out")

            def run_step(self, dt=7.0):
                self.seen = dt

    plan = Plan(model=sh.Model({"old": Old}), clock="t", labels=np.array([0.0, 0.5]), shared={})

    assert Simulator(plan).run({}, [], 0).old.seen == 0.5


def test_on_demand_variables_of_a_class_that_attrs_made_are_an_error():
    with pytest.raises(ProcessClassError, match="on-demand"):

        @sh.process(apply_attrs=False)
        @attr.s
        class Made:
            value = sh.on_demand()

            @value.compute
            def _value(self):
                return 5


def test_the_section_of_variables_stands_at_the_margin_of_the_docstring():
    @sh.process
    class Documented:
        """Do something.

        More about it.
        """

        x = sh.variable(description="a thing")

    lines = inspect.getdoc(Documented).splitlines()

    assert lines[:5] == ["Do something.", "", "More about it.", "", "Attributes"]
    assert lines[5:8] == ["----------", "x : variable (in)", "    a thing"]


def test_what_a_class_inside_a_stage_assigns_is_its_own():
    @sh.process
    class Outer:
        a = sh.variable(default=1.0)

        def run_step(self):
            class Inner:
                def keep(self):
                    self.a = 3

            Inner().keep()

    assert Outer(a=2.0).a == 2.0


def test_assigning_an_on_demand_variable_is_an_error():
    with pytest.raises(ModelError, match=r"Wrong\.run_step assigns 'value', which it may only read"):

        @sh.process
        class Wrong:
            value = sh.on_demand()

            @value.compute
            def _value(self):
                return 1

            def run_step(self):
                self.value = 3


def test_a_process_of_a_model_cannot_be_replaced_by_assignment():
    @sh.process
    class Empty:
        pass

    model = sh.Model({"empty": Empty})

    with pytest.raises(AttributeError, match="update_processes"):
        model.empty = 1


def test_a_store_that_is_none_is_an_error():
    @sh.process
    class One:
        x = sh.variable(intent="out")

        def initialize(self):
            self.x = 1.0

    model = sh.Model({"one": One})
    setup = sh.create_setup(model, output_vars={"one__x": None})

    with pytest.raises(StoreError, match="store of type list"):
        setup.simherd.run(model, store=[])

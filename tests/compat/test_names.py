import subprocess
import sys
from importlib import import_module

import pytest

import simherd.compat.xsimlab as xs
from simherd.compat.xsimlab.install import SUBMODULES
from simherd.errors import SetupError


@pytest.fixture
def _without_alias():
    """Leave no module named xsimlab behind, and start without one."""

    def forget():
        for name in [n for n in sys.modules if n == "xsimlab" or n.startswith("xsimlab.")]:
            del sys.modules[name]

    forget()
    yield
    forget()


TOP_LEVEL = """
    RuntimeHook runtime_hook Model filter_variables process process_info runtime RuntimeSignal
    variable_info any_object variable index on_demand foreign global_ref group group_dict
    SimlabAccessor create_setup monitoring __version__ __git_revision__ MAIN_CLOCK
"""


def test_every_top_level_name_of_0_5_0_exists():
    assert [name for name in TOP_LEVEL.split() if not hasattr(xs, name)] == []


@pytest.mark.parametrize(
    ("submodule", "names"),
    [
        (
            "variable",
            "VarIntent VarType any_object foreign global_ref group group_dict index on_demand variable",
        ),
        (
            "process",
            "NotAProcessClassError RuntimeSignal SimulationStage filter_variables get_process_cls",
        ),
        ("process", "get_process_obj process process_info runtime variable_info"),
        ("model", "Model VarType _ModelBuilder filter_variables get_model_variables get_process_cls"),
        ("formatting", "add_attribute_section repr_model repr_process var_details"),
        ("utils", "variables_dict"),
        ("validators", "in_bounds is_subdtype"),
        ("monitoring", "ProgressBar"),
        ("hook", "RuntimeHook flatten_hooks group_hooks runtime_hook"),
        ("dot", "dot_graph"),
        ("ipython", "load_ipython_extension"),
        ("xr_accessor", "Model SimlabAccessor as_variable_key create_setup"),
    ],
)
def test_every_submodule_has_the_names_that_packages_import(submodule, names):
    module = import_module(f"simherd.compat.xsimlab.{submodule}")

    assert [name for name in names.split() if not hasattr(module, name)] == []


def test_functions_stay_functions_although_submodules_have_their_names():
    for name in SUBMODULES:
        import_module(f"simherd.compat.xsimlab.{name}")

    assert callable(xs.process)
    assert callable(xs.variable)


@pytest.mark.usefixtures("_without_alias")
def test_install_makes_import_xsimlab_give_this_module():
    xs.install()

    assert import_module("xsimlab") is xs
    for name in SUBMODULES:
        assert import_module(f"xsimlab.{name}") is import_module(f"simherd.compat.xsimlab.{name}")
    assert callable(xs.process)


@pytest.mark.usefixtures("_without_alias")
def test_install_may_be_called_twice():
    xs.install()
    xs.install()

    assert import_module("xsimlab") is xs


@pytest.mark.usefixtures("_without_alias")
def test_install_refuses_to_replace_xarray_simlab_itself():
    sys.modules["xsimlab"] = import_module("json")

    with pytest.raises(SetupError, match="imported already"):
        xs.install()


def test_nothing_is_named_xsimlab_before_install():
    code = "import sys, simherd.compat.xsimlab; sys.exit('xsimlab' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_argument_group_still_works_with_a_warning():
    with pytest.warns(FutureWarning, match="groups"):
        declared = xs.variable(group="old", groups=["new"])
    with pytest.warns(FutureWarning, match="groups"):
        computed = xs.on_demand((), "old")

    assert declared.metadata["groups"] == ("new", "old")
    assert computed.attribute.metadata["groups"] == ("old",)


def test_arguments_of_variable_have_the_order_of_0_5_0():
    with pytest.warns(FutureWarning):
        declared = xs.variable("x", "inout", "a_name", "a_group", "another_group", 1.0)

    assert declared.metadata["global_name"] == "a_name"
    assert declared.metadata["groups"] == ("another_group", "a_group")


def test_filter_variables_filters_by_type_intent_group_and_function():
    @xs.process
    class P:
        a = xs.variable(groups="g")
        b = xs.variable(intent="out", dims="x")
        c = xs.index(dims="x")

    assert list(xs.filter_variables(P)) == ["a", "b", "c"]
    assert list(xs.filter_variables(P, var_type="index")) == ["c"]
    assert list(xs.filter_variables(P, intent="in")) == ["a"]
    assert list(xs.filter_variables(P, group="g")) == ["a"]
    assert list(xs.filter_variables(P, func=lambda v: v.metadata["dims"] == (("x",),))) == ["b", "c"]
    assert list(xs.utils.variables_dict(P)) == ["a", "b", "c"]

import ast
from types import ModuleType

import pytest

import simherd as sh
from simherd.errors import ModelError, UnknownNameError
from simherd.ipython import _find_model, setup_cell


@sh.process
class Field:
    rate = sh.variable(
        dims=[(), "x"], default=2.0, static=True, description="how fast", attrs={"units": "m/s"}
    )
    start = sh.variable()
    value = sh.variable(intent="out")


@pytest.fixture
def model():
    return sh.Model({"field": Field})


def test_the_cell_names_all_inputs_and_no_outputs(model):
    cell = setup_cell(model, "my_model")

    assert "import simherd as sh" in cell
    assert "model=my_model," in cell
    assert "        'field__rate': ,\n        'field__start': ,\n" in cell
    assert "value" not in cell


def test_inputs_with_a_default_can_be_left_out(model):
    cell = setup_cell(model, "m", skip_default=True)

    assert "field__rate" not in cell
    assert "'field__start': ," in cell


def test_defaults_are_written_as_python(model):
    assert "'field__rate': 2.0," in setup_cell(model, "m", default=True)


def test_inputs_are_nested_by_process(model):
    cell = setup_cell(model, "m", nested=True, default=True)

    assert "        'field': {\n            'rate': 2.0,\n" in cell
    assert ast.parse(cell.replace("'start': ,", "'start': 1,"))


def test_more_is_said_the_more_verbose_it_is(model):
    cells = [setup_cell(model, "m", verbose=level) for level in range(4)]

    assert ["how fast" in cell for cell in cells] == [False, True, True, True]
    assert ["dimensions: () or ('x',)" in cell for cell in cells] == [False, False, True, True]
    assert ["static" in cell for cell in cells] == [False, False, True, True]
    assert ["units: m/s" in cell for cell in cells] == [False, False, False, True]


def test_what_is_no_model_is_an_error():
    with pytest.raises(UnknownNameError, match="not defined"):
        _find_model({}, "m")
    with pytest.raises(ModelError, match="is a int"):
        _find_model({"m": 1}, "m")


def test_the_magic_fills_the_next_cell(model, tmp_path):
    interactive = pytest.importorskip("IPython.core.interactiveshell")
    # A module and a folder of its own: __main__, which others read, and the home stay as they are.
    shell = interactive.InteractiveShell(user_module=ModuleType("notebook"), ipython_dir=str(tmp_path))
    cells = []
    shell.set_next_input = lambda text, replace: cells.append(text)
    shell.user_ns["my_model"] = model
    shell.run_line_magic("load_ext", "simherd.ipython")
    shell.run_line_magic("create_setup", "my_model --default")
    shell.history_manager.end_session()

    assert cells == ["# %create_setup my_model --default\n" + setup_cell(model, "my_model", default=True)]

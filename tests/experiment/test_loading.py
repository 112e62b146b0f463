"""Rules of loading a model by its name."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import cloudpickle
import pytest

from simherd.errors import ExperimentError
from simherd.experiment.loading import load_model, load_object
from simherd.model import Model
from simherd.setup.digests import digest_of
from simherd.setup.sources import CodeWalk

MODEL = """\
import simherd.model as sm

@sm.process
class Growth:
    rate = sm.variable(default=1.0)

def initial():
    return 42

def make():
    return sm.Model({"growth": Growth})

def needs(x):
    return x

def breaks():
    raise ValueError("no\\nwater")

model = make()
number = 3
_hidden = 4
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "grow.py").write_text(MODEL)
    return tmp_path


@pytest.mark.parametrize("name", ["model", "make"])
def test_a_model_or_a_function_that_gives_one_is_loaded(folder, name):
    assert isinstance(load_model(f"grow.py:{name}", folder), Model)


def test_a_path_is_relative_to_the_base_or_absolute(folder, monkeypatch):
    monkeypatch.chdir("/")

    assert load_object("./grow.py:number", folder) == 3
    assert load_object(f"{folder}/grow.py:number", folder / "other") == 3


def test_a_module_is_imported_by_name(tmp_path):
    assert load_object("os.path:join", tmp_path) is os.path.join


def test_a_file_is_executed_once_until_it_changes(folder):
    first = load_object("grow.py:model", folder)

    assert load_object("grow.py:model", folder) is first
    (folder / "grow.py").write_text(MODEL + "\nmodel = 5\n")
    assert load_object("grow.py:model", folder) == 5


def test_files_of_one_name_in_two_folders_are_two_modules(folder):
    (folder / "b").mkdir()
    (folder / "b" / "grow.py").write_text("number = 8")

    assert load_object("b/grow.py:number", folder) == 8
    assert load_object("grow.py:number", folder) == 3


def test_loading_leaves_nothing_in_the_folder_of_the_file(folder):
    load_object("grow.py:model", folder)

    assert os.listdir(folder) == ["grow.py"]


def test_a_worker_process_need_not_find_the_file_or_its_neighbours(folder, tmp_path):
    (folder / "neighbour_of_grow.py").write_text("def value():\n    return 21\n")
    (folder / "uses.py").write_text(
        "import neighbour_of_grow\ndef double():\n    return 2 * neighbour_of_grow.value()\n"
    )
    pickled = cloudpickle.dumps(load_object("uses.py:double", folder))

    code = "import sys, pickle; print(pickle.load(sys.stdin.buffer)())"
    done = subprocess.run(
        [sys.executable, "-c", code], input=pickled, capture_output=True, check=True, cwd="/"
    )

    assert done.stdout == b"42\n"
    assert str(folder) not in sys.path


BROKEN = {
    "syntax.py": "x = 1\ndef (:\n",
    "raises.py": "import os\n\n1 / 0\n",
    "imports.py": "import no_such_module_at_all\n",
    "exits.py": "raise SystemExit(3)\n",
}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("grow", ["does not name an object", "module:attribute"]),
        ("grow.py:", ["does not name an object"]),
        (":model", ["does not name an object"]),
        ("grwo.py:model", ["Cannot read", "No such file", "Did you mean 'grow.py'", "'simherd new model'"]),
        ("models/grow.py:model", ["there is no folder"]),
        ("grow.py:modell", ["'grow.py' has no 'modell'. Did you mean 'model'"]),
        ("grow:model", ["There is no module 'grow'", "write 'grow.py' for the file"]),
        ("no.such:model", ["There is no module 'no.such' (found no 'no')", "path/to/file.py"]),
        ("os.no:model", ["There is no module 'os.no'"]),
        ("..no:model", ["Importing '..no' gave TypeError"]),
        ("grow.py:number", ["is of type int, not a simherd Model"]),
        ("grow.py:initial", ["is of type int, not a simherd Model"]),
        ("grow.py:needs", ["calling it gave TypeError", "without arguments"]),
        ("grow.py:breaks", ["calling it gave ValueError: no water (line 17 of '", "grow.py'"]),
        ("syntax.py:model", ["SyntaxError", "(line 2 of '", "syntax.py'"]),
        ("raises.py:model", ["ZeroDivisionError: division by zero (line 3 of '", "raises.py'"]),
        ("imports.py:model", ["ModuleNotFoundError", "no_such_module_at_all", "line 1 of"]),
        ("exits.py:model", ["SystemExit: 3"]),
    ],
)
def test_each_fault_gives_one_error_in_one_line(folder, text, parts):
    for name, source in BROKEN.items():
        (folder / name).write_text(source)

    with pytest.raises(ExperimentError) as caught:
        load_model(text, folder)

    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_a_file_that_broke_is_not_kept(folder):
    (folder / "late.py").write_text("1 / 0")
    with pytest.raises(ExperimentError):
        load_object("late.py:x", folder)
    (folder / "late.py").write_text("x = 1")

    assert load_object("late.py:x", folder) == 1


@pytest.mark.parametrize("how", ["copied", "linked"])
def test_a_model_is_the_same_where_its_file_lies_elsewhere(tmp_path, how):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    (here / "herds.py").write_text(FOREIGN)
    shutil.copytree(here, there) if how == "copied" else there.symlink_to(here)

    first, second = (load_object("herds.py:Sheep", folder) for folder in (here, there))

    assert CodeWalk().digests_of_process(first) == CodeWalk().digests_of_process(second)
    assert digest_of(first, first.LIMIT) == digest_of(second, second.LIMIT)


FOREIGN = """
import simherd as sh

class Limit:
    def __init__(self, most):
        self.most = most

@sh.process
class Grass:
    amount = sh.variable(intent="out")

@sh.process
class Sheep:
    LIMIT = Limit(3)
    grass = sh.foreign(Grass, "amount")
"""

from __future__ import annotations

import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import simherd as sh
from simherd.executors.origin import MOST_BYTES, Origin, arrive, origin_here
from simherd.executors.payload import pack
from simherd.experiment.loading import load_object

LIBRARY = """
import numpy as np
RATE = 1.0
TABLE = {"a": 1}
MISSING = object()
LARGE = np.zeros(3_000_000)
class Settings:
    steps = 1
settings = Settings()
def value(missing=MISSING):
    return RATE, TABLE["a"], settings.steps, Settings.steps, float(LARGE[0]), missing is MISSING
"""


@pytest.fixture
def library(tmp_path, monkeypatch):
    """Return a module of the user's own, which no test finds without its folder."""
    folder = tmp_path / "folder of user"
    folder.mkdir()
    (folder / "library_of_user.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "library_of_user", raising=False)
    import library_of_user

    yield library_of_user
    sys.modules.pop("library_of_user", None)


@pytest.fixture
def worker(tmp_path):
    """Return a function that unpacks a payload in another process, without the folders of this one."""

    def call(payload):
        code = """
            import pickle, sys
            from simherd.errors import PicklingError
            from simherd.executors.payload import unpack
            try:
                print(unpack(pickle.load(open(sys.argv[1], "rb")))())
            except PicklingError as error:
                print(error)
        """
        (tmp_path / "payload").write_bytes(pickle.dumps(payload))
        return subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "payload")],
            capture_output=True,
            text=True,
            check=True,
            cwd="/",
        )

    return call


def constants_of(module):
    names = ("RATE", "TABLE", "MISSING", "LARGE", "settings", "Settings.steps")
    found = {**vars(module), "Settings.steps": module.Settings.steps}
    return [(module.__name__, name, found[name]) for name in names]


def test_worker_finds_modules_where_the_client_does(library, worker):
    assert worker(pack(library.value)).stdout == "(1.0, 1, 1, 1, 0.0, True)\n"


def test_state_of_modules_reaches_workers(library, worker):
    library.RATE, library.TABLE["a"], library.Settings.steps = 2.0, 3, 4
    library.settings.steps = 5

    done = worker(pack(library.value, constants=constants_of(library)))

    assert done.stdout == "(2.0, 3, 5, 4, 0.0, True)\n"
    assert done.stderr == ""


def test_large_state_that_stays_here_is_a_warning(library, worker):
    assert library.LARGE.nbytes > MOST_BYTES
    library.LARGE[0] = 7.0

    done = worker(pack(library.value, constants=constants_of(library)))

    assert done.stdout == "(1.0, 1, 1, 1, 0.0, True)\n"
    assert "'LARGE' of module 'library_of_user' was changed after its import" in done.stderr


def test_module_that_a_worker_cannot_import_is_named_with_its_folder(library, worker):
    payload = pack(library.value)
    (file,) = [file for name, file in payload.origin.files.items() if name == "library_of_user"]
    library_file = type(payload.origin)(front=(), back=(), files=payload.origin.files)
    object.__setattr__(payload, "origin", library_file)

    said = worker(payload).stdout

    assert "it cannot import 'library_of_user'" in said
    assert f"which is {file!r} here" in said
    assert "cloudpickle.register_pickle_by_value(library_of_user)" in said


def test_order_of_folders_is_kept(monkeypatch):
    installed = next(folder for folder in sys.path if "site-packages" in folder)
    monkeypatch.setattr(sys, "path", ["/first", "", installed, "/last"])

    origin = origin_here()
    monkeypatch.setattr(sys, "path", ["/last", installed])
    arrive(origin)

    assert sys.path[0] == "/first"
    assert sys.path[2:] == ["/last", installed]
    assert origin.back == ("/last",)


def test_module_of_a_file_can_be_imported_again(tmp_path, worker):
    (tmp_path / "beside.py").write_text("print('executed')\nSTEPS = 3\n")
    (tmp_path / "model.py").write_text(
        textwrap.dedent("""
            import importlib
            import sys
            import beside
            def call():
                module = importlib.import_module(__name__)
                return module.__name__ == __name__, importlib.import_module("beside").STEPS
        """)
    )
    call = load_object(f"{tmp_path / 'model.py'}:call", tmp_path)

    done = worker(pack(call))

    assert done.stdout == "executed\n(True, 3)\n"


def test_module_that_cannot_be_executed_has_no_attributes(monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, "elsewhere_of_user", raising=False)
    arrive(Origin(front=(), back=(), by_value={"elsewhere_of_user": str(tmp_path / "gone.py")}))
    module = sys.modules.pop("elsewhere_of_user")

    assert not hasattr(module, "anything")
    assert not hasattr(module, "__path__")


@pytest.mark.slow
def test_classes_and_state_of_a_script_reach_process_workers(library):
    class Offset:
        def __init__(self, value):
            self.value = value

    @sh.process
    class P:
        x = sh.variable()
        y = sh.variable(intent="out")

        def initialize(self):
            self.y = self.x.value + library.value()[0]

    model = sh.Model({"p": P})
    offsets = np.array([Offset(value) for value in range(3)])
    setup = sh.create_setup(model, input_vars={"p__x": ("m", offsets)}, output_vars={"p__y": None})
    library.RATE = 10.0

    result = setup.simherd.run(model, batch_dim="m", scheduler="processes", workers=1)

    assert result.p__y.values.tolist() == [10.0, 11.0, 12.0]

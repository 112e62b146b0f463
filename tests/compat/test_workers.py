import subprocess
import sys
import textwrap

import pytest

PACKAGE = """
import xsimlab as xs
from xsimlab.variable import VarIntent


@xs.process
class Square:
    side = xs.variable()
    area = xs.variable(intent="out")

    def initialize(self):
        self.area = 0.0

    def run_step(self):
        self.area = self.side**2


class Shapes(xs.Model):
    def __init__(self, processes=None):
        super().__init__(processes or {"square": Square})
"""

SCRIPT = """
import simherd.compat.xsimlab

simherd.compat.xsimlab.install()
import xsimlab as xs
from package_for_xsimlab import Shapes, Square


@xs.process
class Cube(Square):
    volume = xs.variable(intent="out")

    def run_step(self):
        super().run_step()
        self.volume = self.side * self.area


my_model = Shapes().update_processes({"cube": Cube})
in_ds = xs.create_setup(
    model=my_model,
    clocks={"t": [0, 1]},
    input_vars={"square__side": ("batch", [2.0, 1.0]), "cube__side": ("batch", [3.0, 4.0])},
    output_vars={"square__area": None, "cube__volume": None},
)
out_ds = in_ds.xsimlab.run(
    model=my_model, batch_dim="batch", parallel=True, scheduler="processes", store="output.zarr"
)
print(out_ds.square__area.values.tolist(), out_ds.cube__volume.values.tolist())
"""


@pytest.mark.cluster
def test_a_script_without_a_main_guard_runs_a_package_for_xsimlab_on_processes(tmp_path):
    (tmp_path / "package_for_xsimlab.py").write_text(textwrap.dedent(PACKAGE))
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True)

    assert done.stderr == ""
    assert done.stdout.split("\n")[-2] == "[4.0, 1.0] [27.0, 64.0]"
    assert (tmp_path / "output.zarr").is_dir()


LINES = """
import {module} as xs


@xs.process
class Square:
    side = xs.variable()
    area = xs.variable(intent="out")

    def run_step(self):
        self.area = self.side**2


my_model = xs.Model({{"square": Square}})
in_ds = xs.create_setup(
    model=my_model,
    clocks={{"t": [0, 1]}},
    input_vars={{"square__side": 3.0}},
    output_vars={{"square__area": None}},
)
out_ds = in_ds.{accessor}.run(model=my_model, parallel=True)
print(out_ds.square__area.values)

in_ds = in_ds.{accessor}.update_vars(model=my_model, input_vars={{"square__side": ("batch", [1.0, 2.0])}})
out_ds = in_ds.{accessor}.run(model=my_model, batch_dim="batch", parallel=True, store="output.zarr")
print(out_ds.square__area.values)
"""


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("module", "accessor"), [("simherd.compat.xsimlab", "xsimlab"), ("simherd", "simherd")]
)
def test_lines_of_the_documentation_run_in_a_script_without_a_main_guard(tmp_path, module, accessor):
    script = tmp_path / "script.py"
    script.write_text(LINES.format(module=module, accessor=accessor))
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True)

    assert done.stdout == "9.0\n[1. 4.]\n"
    assert "Traceback" not in done.stderr
    assert (tmp_path / "output.zarr").is_dir()


@pytest.mark.cluster
def test_processes_of_one_simulation_run_in_threads_whatever_scheduler_is_named(tmp_path):
    script = tmp_path / "script.py"
    lines = LINES.format(module="simherd.compat.xsimlab", accessor="xsimlab")
    script.write_text(lines.replace("parallel=True)", 'parallel=True, scheduler="processes")', 1))
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True)

    assert done.stdout == "9.0\n[1. 4.]\n"
    assert "run in threads here" in done.stderr

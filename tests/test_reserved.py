"""Names that stores use themselves are refused when a setup is made, and before a run."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import simherd as sh
from simherd.errors import ExperimentError, SetupError
from simherd.experiment.assemble import assemble
from simherd.experiment.document import read_document
from simherd.experiment.schema import check

NAMES = [
    "simulation_status",
    "simulation_seconds",
    "simulation_of_mine",
    "checkpoints",
    "journal",
    "zarr.json",
    "fingerprint.json",
    ".running",
    ".",
    "..",
    "../outside",
    "a/b",
    "line\nbreak",
    "",
    "x" * 300,
    "é" * 150,
]


@sh.process
class Counts:
    start = sh.variable(default=0.0)
    grid = sh.variable(dims=[(), "x"], default=0.0)
    out = sh.variable(intent="out")

    def run_step(self):
        self.out = self.start


MODEL = sh.Model({"p": Counts})
SETUP = sh.create_setup(MODEL, clocks={"t": [0, 1]}, output_vars={"p__out": "t"})


@pytest.mark.parametrize("name", NAMES)
def test_clocks_and_coordinates_of_inputs_are_refused_when_the_setup_is_made(name):
    with pytest.raises(SetupError, match=r"Clock .* has a name"):
        sh.create_setup(MODEL, clocks={"t": [0, 1], name: [0]}, main_clock="t")
    grid = xr.DataArray(np.zeros(2), dims="x", coords={name: ("x", [1, 2])})
    with pytest.raises(SetupError, match=r"Coordinate of input p__grid .* has a name"):
        SETUP.simherd.update_vars(MODEL, input_vars={"p__grid": grid})


@pytest.mark.parametrize(
    ("put", "name"),
    [("coordinate", name) for name in NAMES]
    + [("dimension", name) for name in NAMES]
    + [("variable", name) for name in NAMES[2:]],  # results have the first two, and may be run again
)
def test_names_put_in_by_hand_are_refused_before_the_run(name, put, tmp_path):
    made = {
        "coordinate": lambda: SETUP.assign_coords({name: 1}),
        "variable": lambda: SETUP.assign({name: ("other", [1, 2])}),
        "dimension": lambda: SETUP.assign(other=(name, [1, 2])),
    }[put]()

    with pytest.raises(SetupError, match="has a name"):
        made.simherd.run(MODEL, store=tmp_path / "o.zarr")
    assert not (tmp_path / "o.zarr").exists()


def test_names_of_processes_and_index_variables_are_refused():
    @sh.process
    class Grid:
        journal = sh.index("x")

        def initialize(self):
            self.journal = np.arange(2)

    with pytest.raises(SetupError, match="Input 'a/b__start' has a name"):
        sh.create_setup(sh.Model({"a/b": Counts}))
    with pytest.raises(SetupError, match="Index variable 'journal' has a name"):
        sh.create_setup(sh.Model({"g": Grid})).simherd.run(sh.Model({"g": Grid}))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("clocks: {t: {values: [0, 1]}, .running: {every: 1}}", "key 'clocks'"),
        (
            "batch: {dim: simulation_status, sampling: grid, parameters: {p__start: [1, 2]}}",
            "key 'batch.dim'",
        ),
    ],
)
def test_a_dry_run_refuses_them_with_their_place(text, place, tmp_path):
    (tmp_path / "m.py").write_text(
        "import simherd as sh\n"
        "@sh.process\nclass P:\n    start = sh.variable(default=0.0)\n"
        "model = sh.Model({'p': P})\n"
    )
    (tmp_path / "e.yaml").write_text(f"model: m.py:model\n{text}\n")

    with pytest.raises(ExperimentError, match=f"{place}: .* has a name"):
        assemble(check(read_document(tmp_path / "e.yaml")))


def test_a_result_of_a_batch_can_be_run_again(tmp_path):
    batch = SETUP.simherd.update_vars(MODEL, input_vars={"p__start": ("member", [1.0, 2.0])})
    result = batch.simherd.run(MODEL, batch_dim="member")

    one = result.isel(member=1).simherd.run(MODEL, store=tmp_path / "o.zarr")

    assert one.p__out.values.tolist() == [2.0, 2.0]
    assert "simulation_status" not in one

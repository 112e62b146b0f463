"""What the journal tells of a failed simulation."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import simherd as sh
from simherd.engine.failures import Place, as_failure
from simherd.store.journal import read_journal


@sh.process
class Faulty:
    stage = sh.variable(default="")
    level = sh.variable(intent="out")

    def initialize(self):
        self.level = 0.0
        self._fail("initialize")

    @sh.runtime(args="step")
    def run_step(self, step):
        if step == 2:
            self._fail("run_step")

    def finalize(self):
        self._fail("finalize")

    def _fail(self, stage):
        if self.stage == stage:
            raise ValueError(f"told to fail in {stage}")


@pytest.mark.parametrize("scheduler", ["sync", "processes"])
def test_an_entry_names_process_stage_and_step(scheduler, tmp_path):
    model = sh.Model({"faulty": Faulty})
    stages = ["", "initialize", "run_step", "finalize"]
    setup = sh.create_setup(
        model,
        clocks={"time": np.arange(5.0)},
        input_vars={"faulty__stage": ("member", stages)},
        output_vars={"faulty__level": "time"},
    )

    setup.simherd.run(
        model,
        batch_dim="member",
        store=tmp_path / "out.zarr",
        on_error="record",
        parallel=True,
        scheduler=scheduler,
        workers=2,
    )

    entries = read_journal(tmp_path / "out.zarr")
    assert [(e["simulation"], e["process"], e["stage"], e["step"]) for e in entries] == [
        (1, "faulty", "initialize", None),
        (2, "faulty", "run_step", 2),
        (3, "faulty", "finalize", None),
    ]
    assert all("told to fail" in entry["traceback"] for entry in entries)


def test_an_error_outside_of_processes_has_no_place(tmp_path):
    failure = as_failure(3, ValueError("elsewhere"))

    assert failure.place is None


def test_the_place_travels_with_the_failure():
    error = ValueError("here")
    vars(error)["__simherd_place__"] = Place(process="p", stage="run_step", step=7)

    assert pickle.loads(pickle.dumps(as_failure(3, error))).place == Place(
        process="p", stage="run_step", step=7
    )


class UnspeakableError(Exception):
    def __repr__(self):
        raise RuntimeError("no words for it")


@sh.process
class Unspeakable:
    level = sh.variable()
    twice = sh.variable(intent="out")

    def initialize(self):
        if self.level == 1:
            raise UnspeakableError
        self.twice = 2 * self.level


def test_an_error_that_cannot_be_put_into_words_is_one_failure(tmp_path):
    model = sh.Model({"p": Unspeakable})
    setup = sh.create_setup(
        model,
        {"t": [0, 1]},
        input_vars={"p__level": ("m", [0, 1, 2])},
        output_vars={"p__twice": None},
    )

    out = setup.simherd.run(model, batch_dim="m", store=tmp_path / "out.zarr", on_error="record")

    assert out.simulation_status.values.tolist() == [1, 2, 1]
    assert [entry["error"] for entry in read_journal(tmp_path / "out.zarr")] == ["UnspeakableError"]

"""Whatever a simulation raises is one failed simulation; only KeyboardInterrupt ends a run."""

from __future__ import annotations

import asyncio
import sys

import cloudpickle
import numpy as np
import pytest
import xarray as xr

import simherd as sh
from simherd.store.journal import read_journal

# Worker processes cannot import this file: its classes travel by value.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

pytestmark = pytest.mark.slow


class Panic(BaseException):
    """As the panics of Rust extensions."""


class Mute(Panic):
    def __str__(self):
        raise Panic("no text")

    __repr__ = __str__


class Immovable(Panic):
    def __reduce__(self):
        raise Panic("no pickle")


def noted(notes):
    error = ValueError("noted")
    error.__notes__ = notes
    return error


ODD = {
    1: lambda: Panic("index out of bounds"),
    2: lambda: GeneratorExit(),
    3: lambda: asyncio.CancelledError(),
    4: lambda: Mute(),
    5: lambda: Immovable("stays"),
    6: lambda: noted([1, "told"]),
    7: lambda: noted(1),
    8: lambda: SystemExit(3),
}


@sh.process
class Odd:
    number = sh.variable()
    interrupts = sh.variable(default=False)
    out = sh.variable(intent="out")

    def initialize(self):
        self.out = self.number

    def run_step(self):
        if self.interrupts and self.number == 3:
            raise KeyboardInterrupt("of the simulation")
        if not self.interrupts and self.number in ODD:
            raise ODD[self.number]()


MODEL = sh.Model({"p": Odd})
WHERE = ["sync", "threads", "processes", pytest.param("client", marks=pytest.mark.cluster)]


@pytest.fixture
def run(request, tmp_path):
    def run_batch(size, scheduler, **options):
        setup = sh.create_setup(
            MODEL,
            clocks={"t": [0, 1]},
            input_vars={"p__number": ("member", np.arange(size)), "p__interrupts": options.pop("interrupts")},
            output_vars={"p__out": None},
        )
        if scheduler == "client":
            scheduler = request.getfixturevalue("local_client")
        return setup.simherd.run(
            MODEL, batch_dim="member", parallel=True, scheduler=scheduler, workers=2, on_error="record",
            store=tmp_path / "o.zarr", **options,
        )  # fmt: skip

    return run_batch


@pytest.fixture(scope="module")
def local_client():
    with sh.open_client("local", workers=1) as client:
        yield client


@pytest.mark.parametrize("scheduler", WHERE)
def test_any_error_is_one_failed_simulation(run, tmp_path, scheduler):
    expected = [2 if number in ODD else 1 for number in range(10)]

    first = run(10, scheduler, block_size=5, interrupts=False)
    again = run(10, scheduler, rerun="failed", interrupts=False)

    assert first.simulation_status.values.tolist() == again.simulation_status.values.tolist() == expected
    journal = {entry["simulation"]: entry for entry in read_journal(tmp_path / "o.zarr")}
    assert journal.keys() == ODD.keys()
    assert "index out of bounds" in journal[1]["traceback"]
    assert "told" in journal[6]["where"]
    assert all("in run_step" in entry["traceback"] for entry in journal.values())


@pytest.mark.parametrize("scheduler", WHERE)
def test_only_a_keyboard_interrupt_ends_a_run(run, tmp_path, scheduler):
    with pytest.raises(KeyboardInterrupt, match="of the simulation"):
        run(4, scheduler, block_size=4, interrupts=True)

    status = xr.open_zarr(tmp_path / "o.zarr").simulation_status.values
    assert status.tolist() == [1, 1, 1, 0]


@sh.process(vectorized=True)
class OddArrays:
    number = sh.variable()
    error = sh.variable()
    out = sh.variable(intent="out")

    def initialize(self):
        self.out = self.number * 2.0

    def run_step(self):
        if np.any(self.number == 40):
            raise self.error


@pytest.mark.parametrize("error", [Panic(), KeyboardInterrupt()])
def test_an_error_among_simulations_advanced_together_is_one_failure(error):
    model = sh.Model({"p": OddArrays})
    setup = sh.create_setup(
        model,
        clocks={"t": [0, 1]},
        input_vars={"p__number": ("member", np.arange(64.0)), "p__error": error},
        output_vars={"p__out": None},
    )

    def run():
        return setup.simherd.run(model, batch_dim="member", vectorize=True, on_error="record")

    if isinstance(error, KeyboardInterrupt):
        with pytest.raises(KeyboardInterrupt):
            run()
    else:
        assert np.flatnonzero(run().simulation_status == 2).tolist() == [40]

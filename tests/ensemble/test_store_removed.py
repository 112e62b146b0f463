"""A store that is removed while a run writes it ends the run with one error, on every executor."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import cloudpickle
import numpy as np
import pytest

import simherd as sh
from simherd.errors import StoreError

# Worker processes cannot import this file: its classes travel by value.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

pytestmark = pytest.mark.slow


@sh.process
class Removes:
    number = sh.variable()
    path = sh.variable(description="what simulation 5 removes, when it is there")
    out = sh.variable(intent="out")

    def initialize(self):
        self.out = self.number
        if self.number == 5 and Path(self.path).exists():
            shutil.rmtree(self.path, ignore_errors=True)


MODEL = sh.Model({"p": Removes})


@pytest.mark.parametrize("what", ["..", ".", ".running"])
@pytest.mark.parametrize(
    "scheduler", ["sync", "threads", "processes", pytest.param("client", marks=pytest.mark.cluster)]
)
def test_a_store_that_is_removed_ends_the_run_with_one_error(request, tmp_path, scheduler, what):
    store = tmp_path / "results" / "o.zarr"
    store.parent.mkdir()
    setup = sh.create_setup(
        MODEL,
        input_vars={"p__number": ("member", np.arange(8)), "p__path": str((store / what).resolve())},
        output_vars={"p__out": None},
    )
    if scheduler == "client":
        scheduler = request.getfixturevalue("one_worker")
    started = time.monotonic()

    with pytest.raises(StoreError, match=r"o\.zarr.*do not remove or move a store"):
        setup.simherd.run(
            MODEL, batch_dim="member", store=store, parallel=True, scheduler=scheduler, workers=1,
            block_size=2, on_error="record",
        )  # fmt: skip

    assert time.monotonic() - started < 30


@pytest.fixture(scope="module")
def one_worker():
    with sh.open_client("local", workers=1) as client:
        yield client

"""The same experiment gives the same values, bit for bit, wherever it runs."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import simherd as sh

BLOCK = 2


@pytest.fixture(scope="module")
def landscape():
    """Return the landscape model on a small rough map, with five pairs of parameters."""
    from simherd.examples.landscape import model

    y, x = np.mgrid[:12, :14]
    rough = 50 + 3 * x + 2 * y + 10 * np.random.default_rng(3).random((12, 14))
    rng = np.random.default_rng(4)
    setup = sh.create_setup(
        model,
        clocks={"time": np.linspace(0, 5e4, 11), "snapshot": np.linspace(0, 5e4, 3)},
        master_clock="time",
        input_vars={
            "terrain__dx": 90.0,
            "terrain__dy": 90.0,
            "surface__elevation": rough,
            "incision__erodibility": ("member", 1e-6 * (1 + rng.random(5))),
            "diffusion__diffusivity": ("member", 1e-2 * (1 + rng.random(5))),
        },
        output_vars={
            "surface__elevation": "snapshot",
            "surface__relief": "time",
            "surface__mean_erosion": None,
        },
    )
    return model, setup


def run(landscape, store=None, **where):
    model, setup = landscape
    return setup.simherd.run(model, batch_dim="member", block_size=BLOCK, store=store, **where).load()


@pytest.fixture(scope="module")
def reference(landscape):
    return run(landscape)


def check_same(found: xr.Dataset, reference: xr.Dataset) -> None:
    assert set(found.variables) == set(reference.variables)
    for name in reference.variables:
        if name != "simulation_seconds":
            assert found[name].dims == reference[name].dims, name
            assert found[name].dtype == reference[name].dtype, name
            assert found[name].values.tobytes() == reference[name].values.tobytes(), name


STORES = pytest.mark.parametrize("in_store", [False, True], ids=["memory", "store"])


@sh.process
class Solve:
    """Solves equations with BLAS, whose sums depend on its number of threads."""

    seed = sh.variable()
    solution = sh.variable(dims="x", intent="out")

    def initialize(self):
        rng = np.random.default_rng(self.seed)
        self.solution = np.linalg.solve(rng.normal(size=(600, 600)), rng.normal(size=600))


@pytest.mark.cluster
def test_blas_gives_the_same_bits_everywhere(two_workers):
    model = sh.Model({"solve": Solve})
    setup = sh.create_setup(
        model, input_vars={"solve__seed": ("member", [1, 2, 3])}, output_vars={"solve__solution": None}
    )

    places = [
        {},
        {"parallel": True, "scheduler": "threads", "workers": 2},
        {"parallel": True, "scheduler": "processes", "workers": 2},
        {"parallel": True, "scheduler": two_workers},
    ]

    found = [setup.simherd.run(model, batch_dim="member", block_size=1, **place) for place in places]

    assert len({one.solve__solution.values.tobytes() for one in found}) == 1


def test_the_reference_has_done_something(reference):
    assert (reference.simulation_status == 1).all()
    assert reference.surface__elevation.isel(snapshot=-1).std("member").max() > 0


@STORES
@pytest.mark.parametrize("scheduler", ["sync", "threads", "processes"])
def test_pools_give_the_bits_of_the_serial_executor(landscape, reference, tmp_path, scheduler, in_store):
    store = tmp_path / "out.zarr" if in_store else None

    check_same(run(landscape, store, parallel=True, scheduler=scheduler, workers=2), reference)


@STORES
@pytest.mark.cluster
def test_two_workers_of_a_cluster_give_the_bits_of_the_serial_executor(
    landscape, reference, tmp_path, two_workers, in_store
):
    store = tmp_path / "out.zarr" if in_store else None

    check_same(run(landscape, store, parallel=True, scheduler=two_workers), reference)


@pytest.mark.cluster
def test_one_worker_of_a_cluster_gives_the_bits_of_the_serial_executor(landscape, reference, tmp_path):
    with sh.open_client("local", workers=1) as client:
        for store in (tmp_path / "out.zarr", None):
            check_same(run(landscape, store, parallel=True, scheduler=client), reference)

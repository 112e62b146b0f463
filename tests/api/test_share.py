from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import simherd as sh
from simherd.errors import SetupError

GAINS = np.linspace(0.5, 4.0, 23)


def test_shares_one_after_another_give_what_one_run_gives(walk, tmp_path):
    store, options = str(tmp_path / "out.zarr"), {"model": walk.model, "batch_dim": "member", "block_size": 4}
    for number in (2, 3, 1):
        result = sh.run(walk.setup(GAINS), store=store, share=(number, 3), **options)
    whole = sh.run(walk.setup(GAINS), **options)

    xr.testing.assert_identical(
        result.drop_vars("simulation_seconds").load(), whole.drop_vars("simulation_seconds")
    )


def test_a_share_leaves_the_simulations_of_the_others_pending(walk, tmp_path):
    store = str(tmp_path / "out.zarr")
    sh.run(walk.setup(GAINS), walk.model, "member", store=store, share=(2, 3), block_size=4)

    status = xr.open_zarr(store).simulation_status.values
    assert status.tolist() == [0] * 8 + [1] * 8 + [0] * 7


def test_a_share_runs_only_its_own_failed_simulations_again(walk, tmp_path):
    store, gains = str(tmp_path / "out.zarr"), np.where(np.arange(23) % 5 == 0, -1.0, GAINS)
    options = {"batch_dim": "member", "store": store, "on_error": "record", "block_size": 4}
    sh.run(walk.setup(gains), walk.model, **options)
    before = xr.open_zarr(store).simulation_seconds.values
    sh.run(walk.setup(gains), walk.model, share=(1, 2), rerun="failed", **options)

    changed = np.flatnonzero(xr.open_zarr(store).simulation_seconds.values != before)
    assert changed.tolist() == [0, 5, 10]


@pytest.mark.parametrize("share", [(0, 2), (3, 2), 1, (1, 2, 3), (True, 2)])
def test_a_share_that_is_none_is_an_error(walk, tmp_path, share):
    with pytest.raises(SetupError, match="share="):
        sh.run(walk.setup(GAINS), walk.model, "member", store=str(tmp_path / "out.zarr"), share=share)


def test_a_share_needs_a_store(walk):
    with pytest.raises(SetupError, match="share needs a batch and a store"):
        sh.run(walk.setup(GAINS), walk.model, "member", share=(1, 2))


@sh.process
class Events:
    count = sh.variable()
    depth = sh.variable(dims="event", intent="out")

    def initialize(self):
        if self.count < 0:
            raise ValueError("a negative number of events")
        self.depth = np.arange(1.0 * self.count)


def test_a_share_that_fails_as_the_last_one_tidies_up(tmp_path):
    """Others have left that to it: here, rows that had room for more."""
    store, model = tmp_path / "out.zarr", sh.Model({"events": Events})

    def run(count, **options):
        setup = sh.create_setup(
            model, input_vars={"events__count": ("b", [2, 3, 4, count])}, output_vars={"events__depth": None}
        )
        encoding = {"events__depth": {"layout": "concatenated"}}
        return sh.run(setup, model, "b", store=store, encoding=encoding, block_size=2, **options)

    run(-1, on_error="record")
    with pytest.raises(ValueError, match="a negative number"):
        run(-1, share=(2, 2), rerun="failed", resume=True)

    assert xr.open_zarr(store).events__depth.shape == (2, 5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.zarr"]
    assert not (store / ".running").exists()


EXPERIMENT = """
model: simherd.examples.influenza:model
clocks: {day: {start: 0, stop: 13, num: 14}}
inputs: {epidemic__first_infected: 3.0}
outputs: {fit__misfit: null}
batch:
  sampling: random
  size: 200
  seed: 3
  parameters:
    epidemic__transmission_rate: {low: 1.0, high: 2.6}
    epidemic__recovery_rate: {low: 0.2, high: 0.8}
run: {store: out.zarr, block_size: 7}
"""


@pytest.mark.slow
def test_shares_at_the_same_time_make_one_store_with_one_seed(tmp_path, forks):
    (tmp_path / "experiment.yaml").write_text(EXPERIMENT)
    simherd = str(Path(sys.executable).with_name("simherd"))
    argv = [simherd, "run", "experiment.yaml", "--set", "run.parallel=false"]
    shares = [forks.start([*argv, "--share", f"{n}/4"], cwd=tmp_path) for n in (1, 2, 3, 4)]

    assert [share.wait(120) for share in shares] == [0, 0, 0, 0]
    with xr.open_zarr(tmp_path / "out.zarr") as result:
        assert (result.simulation_status == 1).all()
        assert np.isfinite(result.fit__misfit).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["experiment.yaml", "out.zarr"]
    assert not (tmp_path / "out.zarr" / ".running").exists()

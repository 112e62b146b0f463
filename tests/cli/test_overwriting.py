"""``simherd run --overwrite`` replaces a store; what goes on does not."""

from __future__ import annotations

import pytest
import xarray as xr


@pytest.fixture
def path(simherd, experiment):
    """Return an experiment whose store is there."""
    path = experiment()
    assert simherd("run", path).code == 0
    return path


def test_overwrite_replaces_the_store(simherd, path, tmp_path):
    done = simherd("run", path, "--overwrite", "--set", "inputs.walk__start=1.5")

    assert done.code == 0, done.err
    assert xr.open_zarr(tmp_path / "out.zarr").walk__height[0, 0] == 2.5  # after a step


def test_existing_store_is_refused_with_options(simherd, path):
    done = simherd("run", path)

    assert done.code == 1
    assert "(--resume), replace it (--overwrite), or write to another store (--store PATH)" in done.err
    assert "resume=True" not in done.err


@pytest.mark.parametrize("options", [("--resume",), ("--rerun", "all"), ("--share", "1/2")])
def test_overwrite_does_not_go_on(simherd, path, options):
    done = simherd("run", path, "--overwrite", *options)

    assert done.code == 2
    assert "--overwrite begins anew" in done.err


def test_dry_run_replaces_nothing(simherd, path, tmp_path):
    before = (tmp_path / "out.zarr" / "zarr.json").read_bytes()

    assert simherd("run", path, "--overwrite", "--dry-run").code == 0
    assert (tmp_path / "out.zarr" / "zarr.json").read_bytes() == before


def test_interrupted_overwrite_without_results_keeps_the_store(simherd, path, tmp_path, monkeypatch):
    before = xr.open_zarr(tmp_path / "out.zarr").load()

    def press_ctrl_c(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", press_ctrl_c)
    done = simherd("run", path, "--overwrite")

    assert (done.code, done.out) == (4, "")
    assert done.err.splitlines()[-2:] == [
        "Interrupted: no simulation has finished, and the store is as it was.",
        f"Run again with: simherd run {path} --overwrite",
    ]
    xr.testing.assert_identical(xr.open_zarr(tmp_path / "out.zarr").load(), before)

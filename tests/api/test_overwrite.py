"""``overwrite=True``: a store that is there is replaced, when the new one is there."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import simherd as sh
from simherd.errors import SetupError, StoreExistsError, StoreLockedError
from simherd.store.leftovers import clean_up
from simherd.store.lock import locked


@pytest.fixture
def run(walk, tmp_path):
    """Return a function that writes a batch of three, or a single simulation, to one folder."""

    def write(gains, **options):
        batch_dim = "member" if np.ndim(gains) else None
        return walk.setup(gains).simherd.run(
            walk.model, batch_dim=batch_dim, store=tmp_path / "out.zarr", **options
        )

    return write


OLD, NEW = [1.0, 2.0, 3.0], [5.0, 6.0]


def heights(folder):
    return xr.open_zarr(folder / "out.zarr").walk__height[..., -1].values.tolist()


@pytest.mark.parametrize(("old", "new"), [(OLD, NEW), (OLD, 7.0), (7.0, NEW), (7.0, 8.0)])
def test_store_is_replaced_as_a_whole(run, tmp_path, old, new):
    run(old)

    result = run(new, overwrite=True)

    assert result.walk__height[..., -1].values.tolist() == (3 * np.array(new)).tolist()
    assert [path.name for path in tmp_path.iterdir()] == ["out.zarr"]


@pytest.mark.parametrize("new", [NEW, 7.0])
def test_what_is_not_there_or_empty_is_made(run, tmp_path, new):
    (tmp_path / "out.zarr").mkdir()

    run(new, overwrite=True)

    assert heights(tmp_path) == (3 * np.array(new)).tolist()


@pytest.mark.parametrize("damage", ["zarr.json", "fingerprint.json", "simulation_status/zarr.json"])
def test_damaged_store_is_replaced_too(run, tmp_path, damage):
    run(OLD)
    (tmp_path / "out.zarr" / damage).unlink()

    run(NEW, overwrite=True)

    assert heights(tmp_path) == [15.0, 18.0]


@pytest.mark.parametrize("kind", ["file", "folder", "foreign store"])
def test_only_what_simherd_made_is_replaced(run, tmp_path, kind):
    path = tmp_path / "out.zarr"
    if kind == "file":
        path.write_text("mine")
    elif kind == "folder":
        path.mkdir()
        (path / "thesis.tex").write_text("mine")
    else:
        xr.Dataset({"mine": ("x", [1, 2])}).to_zarr(path)
    before = {p: p.read_bytes() for p in [path, *path.rglob("*")] if p.is_file()}

    for options in ({"overwrite": True}, {}):
        with pytest.raises(StoreExistsError, match=r"simherd (did not make|made)"):
            run(NEW, **options)
    assert {p: p.read_bytes() for p in [path, *path.rglob("*")] if p.is_file()} == before


@pytest.mark.parametrize("new", [NEW, 7.0])
def test_old_store_stays_where_the_new_one_does_not_come_to_be(run, tmp_path, new):
    run(OLD)

    @sh.runtime_hook("run_step")
    def fail(model, context, state):
        raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        run(new, overwrite=True, hooks=[fail])

    assert heights(tmp_path) == [3.0, 6.0, 9.0]


def test_store_that_a_run_writes_is_not_replaced(run, tmp_path):
    run(OLD)

    with locked(tmp_path / "out.zarr"), pytest.raises(StoreLockedError):
        run(NEW, overwrite=True)

    assert heights(tmp_path) == [3.0, 6.0, 9.0]


@pytest.mark.parametrize("options", [{"resume": True}, {"rerun": "all"}, {"share": (1, 2)}])
def test_overwrite_does_not_go_on(run, options):
    with pytest.raises(SetupError, match="overwrite begins anew"):
        run(NEW, overwrite=True, **options)


def test_old_store_is_put_back_after_a_kill_between_the_renames(run, tmp_path):
    run(OLD)
    (tmp_path / "out.zarr").rename(tmp_path / ".out.zarr.replaced")

    clean_up(tmp_path / "out.zarr")

    assert heights(tmp_path) == [3.0, 6.0, 9.0]
    assert [path.name for path in tmp_path.iterdir()] == ["out.zarr"]


def test_old_checkpoints_are_not_gone_on_from(run, tmp_path):
    class Stop(Exception):
        pass

    @sh.runtime_hook("run_step")
    def stop(model, context, state):
        if context["step"] == 2:
            raise Stop

    with pytest.raises(Stop):
        run(1.0, checkpoint_every=1, hooks=[stop])
    assert list((tmp_path / "out.zarr" / "checkpoints").iterdir())

    assert run(2.0, checkpoint_every=1, overwrite=True).walk__height[-1] == 6.0

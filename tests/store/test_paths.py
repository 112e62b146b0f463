"""A store stays where it was when a run began, whatever becomes of the working folder."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

import simherd as sh
from simherd.errors import StoreError, StoreLockedError
from simherd.store.lock import locked
from simherd.store.places import as_folder
from simherd.store.reading import read_state
from simherd.store.shares import Share, claimed_share

GAINS = np.array([1.0, 2.0, 0.0])


def run(walk, store, **options):
    return walk.setup(GAINS).simherd.run(walk.model, batch_dim="member", store=store, **options)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Return the working folder of a test; there is a folder "elsewhere" beside it."""
    for name in ("here", "elsewhere"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def test_a_result_is_read_from_where_it_was_written(walk, here):
    ds = run(walk, "out.zarr")
    os.chdir("../elsewhere")

    np.testing.assert_array_equal(ds.walk__height[:, -1], run(walk, None).walk__height[:, -1])


def test_workers_that_were_there_before_write_to_the_same_place(walk, here):
    with ProcessPoolExecutor(1) as pool:
        pool.submit(os.getpid).result()
        os.chdir("../elsewhere")
        ds = run(walk, "out.zarr", scheduler=pool, parallel=True)

    assert (ds.simulation_status == 1).all()
    assert not list(here.iterdir())


@pytest.mark.parametrize("batch_dim", ["member", None])
def test_a_model_that_goes_elsewhere_leaves_the_store_here(walk, here, batch_dim):
    go = sh.runtime_hook("initialize")(lambda *_: os.chdir(here.parent / "elsewhere"))
    setup = walk.setup(GAINS) if batch_dim else walk.setup(GAINS).isel(member=0)

    ds = setup.simherd.run(walk.model, batch_dim=batch_dim, store="out.zarr", hooks=[go])

    assert os.getcwd() != str(here)
    assert np.isfinite(ds.walk__height.values).all()
    assert [path.name for path in here.iterdir()] == ["out.zarr"]
    assert not list((here.parent / "elsewhere").iterdir())


def test_an_empty_working_folder_can_become_the_store(walk, here):
    run(walk, ".")

    assert read_state(here).done == len(GAINS)


def test_all_names_of_a_store_have_one_lock(walk, here):
    (here.parent / "link.zarr").symlink_to(here / "out.zarr")

    assert as_folder("out.zarr") == as_folder("../link.zarr") == here / "out.zarr"
    run(walk, "out.zarr")
    with locked(as_folder("out.zarr")), pytest.raises(StoreLockedError):
        run(walk, "../link.zarr", resume=True)


def test_a_run_is_seen_under_all_names_of_its_store(here):
    (here.parent / "link.zarr").symlink_to(here / "out.zarr")

    with locked(here / "out.zarr"):
        assert read_state("../link.zarr").is_running


def test_a_simulation_runs_again_where_loading_its_model_goes_elsewhere(walk, here, monkeypatch):
    def load(store):
        os.chdir("../elsewhere")
        return walk.model

    run(walk, "out.zarr")
    monkeypatch.setattr("simherd.experiment.replay._load", load)

    assert sh.replay("out.zarr", 1).walk__height[-1] == 6.0


@pytest.mark.parametrize(
    ("name", "batch_dim"),
    [
        ("checkpoints", "member"),
        ("checkpoints", None),
        (".running", "member"),
        ("journal", "member"),
        ("walk__height", "member"),
        ("dangling", "member"),
    ],
)
def test_a_folder_of_a_store_that_is_a_link_is_refused(walk, here, name, batch_dim):
    setup = walk.setup(GAINS) if batch_dim else walk.setup(GAINS).isel(member=0)
    setup.simherd.run(walk.model, batch_dim, store="out.zarr")
    victim = here.parent / "elsewhere"
    (victim / "0.pkl").write_text("precious")
    if name == "walk__height":
        (here / "out.zarr" / name).rename(here / "moved")
    (here / "out.zarr" / name).symlink_to(victim if name != "dangling" else "nothing")
    before = sorted(here.rglob("*"))

    for options in ({"resume": True}, {"overwrite": True}):
        with pytest.raises(StoreError, match=f"/{name}' is a symbolic link"):
            setup.simherd.run(walk.model, batch_dim, store="out.zarr", **options)

    assert (sorted(here.rglob("*")), os.listdir(victim)) == (before, ["0.pkl"])


def test_a_share_refuses_a_folder_that_is_a_link(walk, here):
    run(walk, "out.zarr")
    with claimed_share(here / "out.zarr", Share(1, 2)) as claim:
        claim.let_others_in()
        (here / "out.zarr" / "checkpoints").symlink_to("../../elsewhere")

        with pytest.raises(StoreError, match="/checkpoints' is a symbolic link"):
            run(walk, "out.zarr", resume=True, share=(2, 2))


@pytest.mark.parametrize("root", ["/", "//", "/.."])
def test_the_root_of_the_file_system_is_no_store(walk, root):
    with pytest.raises(StoreError, match="is no store: it is the root of the file system"):
        run(walk, root)

from __future__ import annotations

import os
import pickle
import shutil

import numpy as np
import pytest
import zarr

import simherd as sh
from simherd.errors import StoreError
from simherd.store import signing
from simherd.store.batch_store import read_fingerprint
from simherd.store.checkpoints import CheckpointFolder
from simherd.store.signing import checkpoint_key, is_signed, make_key, sign_text

FINGERPRINT = {"python": "cpython 3.11", "processes": {"walk": {"run_step": "digest"}}}


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "simherd"


@pytest.fixture
def folder(tmp_path):
    make_key()
    (tmp_path / "out.zarr").mkdir()
    return CheckpointFolder(tmp_path / "out.zarr", checkpoint_key(FINGERPRINT))


class Evil:
    """Says that it was unpickled."""

    def __reduce__(self):
        return os.mkdir, (os.environ["XDG_STATE_HOME"] + "/executed",)


def plant(folder, number=1):
    folder.folder.mkdir()
    (folder.folder / f"{number}.pkl").write_bytes(pickle.dumps(Evil()))


def test_checkpoint_comes_back_as_it_was_kept(folder, recwarn):
    folder.save(3, b"a state")

    assert folder.load(3) == b"a state"
    assert folder.load(4) is None
    folder.warn_of_others()
    assert not recwarn.list


def test_checkpoint_of_another_user_is_not_read(folder, state):
    plant(folder)

    assert folder.load(1) is None
    with pytest.warns(RuntimeWarning, match="simulations 1 in .* not written by a run of yours"):
        folder.warn_of_others()


@pytest.mark.parametrize(
    "other", [{**FINGERPRINT, "python": "cpython 3.12"}, {**FINGERPRINT, "processes": {"walk": {}}}]
)
def test_checkpoint_of_another_model_is_not_read(folder, other):
    folder.save(1, b"a state")
    changed = CheckpointFolder(folder.store, checkpoint_key(other))

    assert changed.load(1) is None
    with pytest.warns(RuntimeWarning, match="begin anew"):
        changed.warn_of_others()


def checkpoints_of(store):
    return CheckpointFolder(store, checkpoint_key(read_fingerprint(store)))


def test_checkpoint_of_another_store_is_not_read(walk, tmp_path):
    def run(store, simulations, **options):
        setup = walk.setup(np.arange(float(simulations)))
        setup.simherd.run(walk.model, batch_dim="member", store=tmp_path / store, **options)
        return checkpoints_of(tmp_path / store)

    make_key()
    run("a.zarr", 2).save(1, b"a state")
    shutil.copytree(tmp_path / "a.zarr", tmp_path / "moved.zarr")

    other = run("b.zarr", 2)
    shutil.copytree(tmp_path / "a.zarr" / "checkpoints", other.folder)

    assert other.load(1) is None
    assert checkpoints_of(tmp_path / "moved.zarr").load(1) == b"a state"
    assert run("moved.zarr", 3, resume=True).key == checkpoints_of(tmp_path / "a.zarr").key
    assert run("moved.zarr", 3, overwrite=True).key != checkpoints_of(tmp_path / "a.zarr").key


def test_single_simulation_goes_on_from_its_own_checkpoint_alone(walk, tmp_path):
    class Stop(Exception):
        pass

    @sh.runtime_hook("run_step")
    def stop(model, context, state):
        if context["step"] == 2:
            raise Stop

    def run(gain, store, hooks):
        return walk.setup(gain).simherd.run(
            walk.model, store=tmp_path / store, checkpoint_every=1, hooks=hooks, resume=True
        )

    for gain, store in ((1.0, "a.zarr"), (2.0, "b.zarr")):
        with pytest.raises(Stop):
            run(gain, store, [stop])
    expected = walk.setup(2.0).simherd.run(walk.model).walk__height
    shutil.copy(tmp_path / "a.zarr" / "checkpoints" / "0.pkl", tmp_path / "b.zarr" / "checkpoints")

    with pytest.warns(RuntimeWarning, match="not written by a run of yours in this store"):
        result = run(2.0, "b.zarr", [])

    np.testing.assert_array_equal(result.walk__height, expected)


def test_without_a_key_no_checkpoint_is_read(folder, state):
    folder.save(1, b"a state")
    (state / signing.KEY).unlink()

    assert checkpoint_key(FINGERPRINT) is None
    assert CheckpointFolder(folder.store, None).load(1) is None


def test_changed_checkpoint_begins_anew_with_a_warning(folder):
    folder.save(1, b"a state")
    path = folder.folder / "1.pkl"
    path.write_bytes(path.read_bytes()[:-1] + b"!")

    with pytest.warns(RuntimeWarning, match="damaged or was changed by others"):
        assert folder.load(1) is None


def test_checkpoint_of_another_simulation_is_not_read(folder):
    folder.save(1, b"a state")
    (folder.folder / "1.pkl").rename(folder.folder / "2.pkl")

    with pytest.warns(RuntimeWarning, match="simulation 2 begins anew"):
        assert folder.load(2) is None


def test_planted_links_and_pipes_are_no_checkpoints(folder):
    folder.save(1, b"a state")
    (folder.folder / "2.pkl").symlink_to(folder.folder / "1.pkl")
    os.mkfifo(folder.folder / "3.pkl")

    assert folder.load(2) is None
    assert folder.load(3) is None


def test_key_is_made_once_and_only_its_user_can_read_it(state):
    assert make_key() == make_key()
    assert (state / signing.KEY).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in state.iterdir()] == [signing.KEY]


def test_key_that_others_can_read_is_an_error(state):
    make_key()
    (state / signing.KEY).chmod(0o640)

    with pytest.raises(StoreError, match="not yours alone"):
        make_key()


def test_key_that_cannot_be_kept_is_an_error_before_anything_runs(walk, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))

    with pytest.raises(StoreError, match="let XDG_STATE_HOME name a folder"):
        walk.setup(1.0).simherd.run(walk.model, store=tmp_path / "out.zarr", checkpoint_every=1)
    assert not (tmp_path / "out.zarr").exists()


def test_signature_is_of_one_text_and_purpose(state):
    signature = sign_text("model", "a.py:model")

    assert is_signed("model", "a.py:model", signature)
    assert not is_signed("model", "b.py:model", signature)
    assert not is_signed("other", "a.py:model", signature)
    assert not is_signed("model", "a.py:model", None)
    assert not is_signed("model", "a.py:model", "ä")
    (state / signing.KEY).unlink()
    assert not is_signed("model", "a.py:model", signature)


@pytest.mark.parametrize("checkpoints", [{}, {"checkpoint_every": 1}])
def test_resumed_run_executes_no_planted_checkpoint(walk, tmp_path, state, checkpoints):
    def run(**options):
        return walk.setup(np.array([1.0, -1.0, 2.0])).simherd.run(
            walk.model, batch_dim="member", store=tmp_path / "out.zarr", on_error="record", **options
        )

    run()
    plant(CheckpointFolder(tmp_path / "out.zarr", None))
    with pytest.warns(RuntimeWarning, match="not written by a run of yours"):
        result = run(rerun="failed", **checkpoints)

    assert result.simulation_status.values.tolist() == [1, 2, 1]
    assert not (state.parent / "executed").exists()


def test_single_simulation_executes_no_planted_checkpoint(walk, tmp_path, state):
    setup, store = walk.setup(1.0), tmp_path / "out.zarr"
    setup.simherd.run(walk.model, store=store)
    zarr.open_group(store).attrs["simulation_status"] = "pending"
    plant(CheckpointFolder(store, None), 0)

    with pytest.warns(RuntimeWarning, match="not written by a run of yours"):
        result = setup.simherd.run(walk.model, store=store, resume=True)

    assert result.walk__count == 3
    assert not (state.parent / "executed").exists()

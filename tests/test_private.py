"""The folder for the state of simherd is the user's alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from simherd import private as state
from simherd.errors import ClusterError


@pytest.fixture
def top(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home" / "state"))
    return tmp_path / "home" / "state"


@pytest.mark.parametrize("umask", [0, 0o077])
def test_state_folders_are_private_from_the_top_whatever_the_umask(top, umask):
    before = os.umask(umask)
    try:
        folder = state.private_folder("clusters", "one")
    finally:
        os.umask(before)

    made = [path for path in (folder, *folder.parents) if path.is_relative_to(top.parent)]
    assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o700}


def test_open_state_folder_of_an_older_version_is_closed(top):
    (top / "simherd" / "clusters").mkdir(parents=True)
    for path in (top / "simherd", top / "simherd" / "clusters"):
        path.chmod(0o777)

    state.private_folder("clusters", "one")

    assert {stat.S_IMODE(path.stat().st_mode) for path in (top / "simherd").glob("**")} == {0o700}


def test_state_folder_of_another_user_is_refused(top, monkeypatch):
    state.private_folder()
    monkeypatch.setattr(os, "getuid", lambda: 12345)

    with pytest.raises(ClusterError, match="belongs to user"):
        state.private_folder("clusters")


def test_planted_link_in_the_state_folder_is_refused(top, tmp_path):
    (tmp_path / "theirs").mkdir()
    state.private_folder()
    (top / "simherd" / "clusters").symlink_to(tmp_path / "theirs")

    with pytest.raises(ClusterError, match="Cannot make the folder"):
        state.private_folder("clusters", "one")

    assert list((tmp_path / "theirs").iterdir()) == []


def test_state_folder_may_be_elsewhere(top, tmp_path):
    (tmp_path / "large").mkdir()
    top.mkdir(parents=True)
    (top / "simherd").symlink_to(tmp_path / "large")

    assert Path(state.private_folder("clusters")).resolve() == tmp_path / "large" / "clusters"

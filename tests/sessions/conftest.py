"""Sessions in a state folder, and thereby on tmux sockets, of each test's own; nothing stays behind."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from simherd.sessions import Request, SessionState, find, kill, list_all, request_stop, start
from simherd.sessions.tmux import socket_for

LIMIT_S = 60.0
TMUX = pytest.param(True, id="tmux", marks=pytest.mark.tmux)
PLAIN = pytest.param(False, id="plain")


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait_for: Any) -> Iterator[Path]:
    """Return a state folder for sessions, all of which have ended when the test is over."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    yield tmp_path / "state"
    for found in list_all():
        if found.state.is_live and found.processes is not None:
            kill(found, request_stop(found))
        assert not (Path(f"/tmp/tmux-{os.getuid()}") / socket_for(found.session.name)).exists()
    wait_for(lambda: not [p for p in psutil.process_iter() if str(tmp_path) in " ".join(_command_line(p))])


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@pytest.fixture(params=[TMUX, PLAIN])
def in_tmux(request: pytest.FixtureRequest) -> bool:
    """Return whether sessions of a test are to have tmux: what holds for both."""
    if request.param and shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    return bool(request.param)


@pytest.fixture
def begin(state: Path, in_tmux: bool) -> Callable[..., SessionState]:
    """Return a function that starts a session that runs Python code."""

    def begin(name: str, code: str) -> SessionState:
        start(Request(name=name, command=(sys.executable, "-c", code), in_tmux=in_tmux))
        return find(name)

    return begin


@pytest.fixture
def wait_for() -> Callable[[Callable[[], object]], None]:
    """Return a function that waits until something holds."""

    def wait(holds: Callable[[], object]) -> None:
        deadline = time.monotonic() + LIMIT_S
        while not holds():
            assert time.monotonic() < deadline, "waited too long"
            time.sleep(0.05)

    return wait

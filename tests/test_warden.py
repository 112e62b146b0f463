"""The warden ends a worker at its deadline."""

from __future__ import annotations

import mmap
import os
import signal
import time

import pytest

from simherd import warden

WORKER = 12345


@pytest.fixture
def seen(monkeypatch, tmp_path):
    """Return the memory of a worker whose time is over, and the signals that its warden sends to it."""
    file = os.memfd_create("test")
    os.ftruncate(file, warden.SIZE)
    memory, signals = mmap.mmap(file, warden.SIZE), []
    memory[warden.SIGN :] = os.fsencode(tmp_path / "sign").ljust(warden.SIZE - warden.SIGN, b"\0")
    warden.DEADLINE.pack_into(memory, 0, time.monotonic() - 1)
    monkeypatch.setattr(warden, "send", lambda processes, number: signals.append(number))
    monkeypatch.setattr(warden, "end_all", lambda find: None)
    monkeypatch.setattr(warden, "_wait_for_end", lambda worker: None)
    monkeypatch.setattr(warden, "_stacks_of", lambda worker, stacks: b"stacks")
    yield memory, signals
    os.close(file)


def end(memory):
    return warden._end_at_deadline(WORKER, "mark", memory, -1)


def test_worker_whose_time_is_over_is_ended_with_a_sign(seen, tmp_path):
    memory, signals = seen

    assert end(memory)
    assert signals == [signal.SIGSTOP, signal.SIGKILL]
    assert (tmp_path / "sign").read_bytes() == b"stacks"


def test_worker_that_gets_on_at_the_last_moment_is_not_ended(seen, tmp_path, monkeypatch):
    memory, signals = seen

    def get_on(worker, stacks):
        warden.DEADLINE.pack_into(memory, 0, time.monotonic() + 60)
        return b"stacks"

    monkeypatch.setattr(warden, "_stacks_of", get_on)

    assert not end(memory)
    assert signals == [signal.SIGSTOP, signal.SIGCONT]
    assert not (tmp_path / "sign").exists()

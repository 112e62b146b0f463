"""A nanny closes although its worker process does not even end when it is killed."""

from __future__ import annotations

import asyncio
import multiprocessing
from types import SimpleNamespace

import pytest
from distributed import Nanny

from simherd.clusters.base import GuardedNanny


class Process:
    """A process that waits for a file system that hangs."""


def test_process_that_outlives_its_kill_is_forgotten(monkeypatch):
    async def wait_for_ever(nanny, timeout, reason):
        await asyncio.sleep(60)

    monkeypatch.setattr(Nanny, "kill", wait_for_ever)
    stuck, nanny = Process(), GuardedNanny.__new__(GuardedNanny)
    nanny.process = SimpleNamespace(process=SimpleNamespace(_process=stuck))
    monkeypatch.setattr(multiprocessing.process, "_children", {stuck})

    with pytest.raises(TimeoutError):
        asyncio.run(nanny.kill(timeout=0.01))

    assert not multiprocessing.process._children

"""How the loss of a worker is told where the log of its job says why."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from simherd.executors import losses
from simherd.executors.base import Lost

SAID = "its log says 'MemoryError': ask for more memory"


@pytest.mark.parametrize(
    ("lost", "said", "reason"),
    [
        (Lost("worker 1 ended"), SAID, f"worker 1 ended; {SAID}"),
        (Lost("worker 1 ended"), "", "worker 1 ended"),
        (Lost("its node failed", is_innocent=True), SAID, "its node failed"),
    ],
)
def test_log_is_quoted_where_the_worker_is_to_blame(monkeypatch, lost, said, reason):
    monkeypatch.setattr(losses, "_how_lost", lambda client, worker: lost)
    client = SimpleNamespace(keeper=SimpleNamespace(complaint_of=lambda worker: said))

    assert losses.loss_of(client, SimpleNamespace(name="job-0")).reason == reason

"""Batch schedulers that are there, and one that does not answer."""

from __future__ import annotations

import pytest

from simherd.doctor import Verdict
from simherd.doctor.schedulers import look


@pytest.mark.slurm
def test_a_slurm_that_answers_tells_its_partitions(slurm):
    (found,) = (one for one in look() if one.topic == "SLURM")

    assert found.verdict is Verdict.FINE
    assert found.text.startswith(
        "answers; partitions: short (default, 2 nodes, 8 cores, 15.6 GiB, up to 01:00:00)"
    )


@pytest.mark.sge
def test_a_grid_engine_that_answers_tells_its_queues_and_parallel_environments(sge):
    queues, environments = (one for one in look() if one.topic == "Grid Engine")

    assert queues.text.startswith("answers; queues: all.q (1 node, 16 cores, ")
    assert "smp ($pe_slots)" in environments.text


@pytest.mark.sge
def test_one_that_does_not_answer_is_wrong_and_no_error(sge, monkeypatch):
    monkeypatch.setenv("SGE_QMASTER_PORT", "1")

    (found,) = (one for one in look() if one.topic == "Grid Engine")

    assert found.verdict is Verdict.WRONG
    assert "its commands are here, and it does not answer" in found.text
    assert "ended with exit code 1" in found.text
    assert found.fix

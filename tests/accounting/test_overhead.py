"""A run that is dominated by overhead is told what to change."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from simherd.accounting import JobUsage
from simherd.accounting.of_store import Simulations, StoreUsage
from simherd.accounting.overhead import cores_at_once, diagnose_store
from simherd.schedulers import JobState

NOON = datetime(2026, 11, 30, 12)


def job(start_s=0, wall_s=3600.0, cores=8):
    start = NOON + timedelta(seconds=start_s)
    times = {"started": start, "ended": start + timedelta(seconds=wall_s), "wall_s": wall_s}
    return JobUsage(scheduler="slurm", job_id="1", state=JobState.DONE, cores=cores, **times)


def store(count=10_000, median_s=0.1, block_size=4, jobs=(), failed=0):
    simulations = Simulations(
        done=count - failed,
        failed=failed,
        computed_s=count * median_s,
        failed_s=failed * median_s,
        median_s=median_s,
        block_size=block_size,
    )
    return StoreUsage(usages=tuple(jobs) or (job(),), unasked=(), simulations=simulations)


@pytest.mark.parametrize(
    ("changed", "words", "line"),
    [
        ({}, "blocks of 4 simulations take 0.4 s each", "run.block_size=100"),
        ({"median_s": 0.001, "count": 1_000_000}, "take 0.004 s", "run.block_size=10000"),
        ({"block_size": 5000}, "there are 2 blocks for 8 cores", "run.block_size=100"),
        ({"block_size": 5000, "median_s": 0.9}, "there are 2 blocks", "run.block_size=11"),
        ({"block_size": 100}, "computed simulations. One core", "fewer jobs"),
        ({"count": 100}, "One core would have taken 10.0 s for all 100 simulations", "--cluster local"),
        (
            {"count": 1, "median_s": 900.0, "block_size": None},
            "taken 15 min 00 s for all 1 simulation",
            "one core",
        ),
    ],
)
def test_overhead_names_serial_time_and_size_of_blocks(changed, words, line):
    (finding,) = diagnose_store(store(**changed))

    assert words in finding.sentence
    assert line in finding.line


def test_run_that_computes_most_of_the_time_needs_no_change():
    assert diagnose_store(store(count=200_000)) == []


def test_run_without_jobs_is_not_judged():
    nothing = JobUsage(scheduler="slurm", job_id="1", state=JobState.PENDING)

    assert diagnose_store(store(jobs=[nothing])) == []


def test_shares_of_the_allocation():
    found = store(failed=1000)

    assert found.computing == pytest.approx(1000 / (8 * 3600))
    assert found.failing == pytest.approx(100 / (8 * 3600))
    assert found.core_hours_per_thousand == pytest.approx(8 / 9)


def test_cores_are_those_of_jobs_at_the_same_time():
    assert cores_at_once([job(), job(3600), job(1800, cores=2)]) == 10
    assert cores_at_once([]) == 1

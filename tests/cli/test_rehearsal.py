"""A few simulations here tell what the whole batch needs on a cluster."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simherd.cli.rehearsal import Measured, extrapolate, most_memory

MIB = 2**20
ONE = Measured(simulations=10, seconds=2.0, longest=4.0, memory=300 * MIB)
BATCH = {
    "sampling": "latin_hypercube",
    "size": 4000,
    "seed": 1,
    "parameters": {"walk__gain": {"low": 0.0, "high": 1.0}},
}
GAINS = {"low": 0.0, "high": 1.0, "num": 50}
SLURM = {"slurm": {"jobs": 4, "cores": 8, "memory": "1 GiB", "walltime": "00:10:00"}}


def test_walltime_is_that_of_the_share_of_a_process_with_headroom():
    found = extrapolate(ONE, 1000, jobs=4, processes=5, threads=1)

    assert found.run_s == 50 * 2.0
    assert found.walltime == 600  # 1.5 * (100 + 4) + 300 = 456, in whole 5 minutes
    assert found.memory == 2816 * MIB  # 1.25 * 5 * (300 + 100) + 256 = 2756, in whole 256 MiB


def test_each_thread_of_a_process_runs_simulations_with_memory_of_their_own():
    found = extrapolate(ONE, 1000, jobs=4, processes=2, threads=5)

    assert found.run_s == 25 * 2.0
    assert found.memory == 4352 * MIB  # 1.25 * 2 * (5 * 300 + 100) + 256 = 4256, in whole 256 MiB


def test_no_run_is_shorter_than_its_longest_simulation():
    assert extrapolate(ONE, 1, jobs=100, processes=100, threads=1).run_s == 4.0


def test_memory_that_is_not_known_is_not_made_up():
    assert extrapolate(Measured(simulations=1, seconds=1, longest=1, memory=0), 10, 1, 1, 1).memory == 0


@given(
    st.floats(1e-6, 1e4),
    st.integers(1, 10**6),
    st.integers(1, 100),
    st.integers(1, 64),
    st.integers(1, 64),
    st.integers(1, 2**36),
)
def test_what_is_asked_for_holds_what_was_measured(seconds, simulations, jobs, processes, threads, memory):
    measured = Measured(simulations=1, seconds=seconds, longest=seconds, memory=memory)

    found = extrapolate(measured, simulations, jobs, processes, threads)

    assert found.walltime >= found.run_s >= seconds
    assert found.run_s * jobs * processes * threads >= simulations * seconds * 0.999
    assert found.memory >= processes * threads * memory
    assert (found.walltime % 300, found.memory % (256 * MIB)) == (0, 0)


def test_a_smaller_batch_tells_what_the_file_needs(simherd, experiment):
    path = experiment(batch=BATCH, cluster=SLURM, run={"store": "out.zarr", "scheduler": "processes"})

    done = simherd("run", path, "--set", "batch.size=20", "--workers", 1)

    assert done.code == 0, done.err
    assert re.search(
        r"^Rehearsal: 20 simulations, [\d.]+ ms each, at most [\d.]+ MiB in a worker\n"
        r"  all 4,000 of the file: [\d.]+ s of one core of this machine\n"
        r"  slurm, 4 jobs of 8 cores: about [\d.]+ s; ask for walltime 00:10:00 and memory '\d+ MiB' "
        r"\(the file asks for 00:10:00, 1\.0 GiB\)\n"
        r"    too much for the memory: workers will be ended\n\Z",
        done.out,
        re.M,
    )


def test_processes_and_threads_of_a_job_are_those_of_the_file(simherd, experiment, monkeypatch):
    monkeypatch.setattr("simherd.cli.rehearsal.most_memory", lambda: 60 * MIB)
    jobs = {"slurm": {**SLURM["slurm"], "processes": 2}}
    path = experiment(batch=BATCH, cluster=jobs, run={"store": "out.zarr", "scheduler": "threads"})

    done = simherd("run", path, "--set", "batch.size=20", "--workers", 1)

    assert "4 jobs of 8 cores" in done.out
    assert "memory '1280 MiB'" in done.out  # 1.25 * 2 * (4 * 60 + 100) + 256 = 1106


@pytest.mark.parametrize(
    "batch",
    [
        BATCH,
        {"sampling": "grid", "parameters": {"walk__gain": GAINS, "walk__start": GAINS}},
        {"sampling": "zip", "parameters": {"walk__gain": {"low": 0, "high": 1, "num": 4000}}},
        {"sampling": "table.csv"},
    ],
    ids=lambda batch: batch["sampling"],
)
def test_without_settings_of_a_scheduler_it_is_short(simherd, experiment, tmp_path, batch):
    (tmp_path / "table.csv").write_text("walk__gain\n" + "1.5\n" * 4000)
    path = experiment(batch=batch)

    planned = simherd("run", path, "--set", "batch.size=20", "--dry-run")
    done = simherd("run", path, "--set", "batch.size=20")

    assert "20 simulations along 'member'" in planned.out
    assert ("spread over the" in planned.out) == (batch is not BATCH)
    first, second = done.out.split("Rehearsal: ")[1].splitlines()
    assert first.startswith("20 simulations")
    assert second.startswith(f"  all {2500 if batch['sampling'] == 'grid' else 4000:,} of the file")


@pytest.mark.parametrize("batch", [{**BATCH, "size": 20}, None])
def test_what_is_the_whole_is_no_rehearsal(simherd, experiment, batch):
    inputs = {"inputs": {"walk__gain": 1.0}} if batch is None else {}

    done = simherd("run", experiment(batch=batch, **inputs))

    assert done.code == 0
    assert "Rehearsal" not in done.out


def test_the_most_memory_that_a_child_had_is_seen_after_it_is_freed():
    code = "x = bytearray(80 * 2**20); del x; print(1, flush=True); input()"
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child.stdout.readline()

    found = most_memory()

    child.communicate(b"\n", timeout=30)
    if os.path.exists("/proc/self/status"):
        assert found > 80 * MIB

"""Maps on clusters by name: ranks of MPI, jobs of SLURM and Grid Engine."""

from __future__ import annotations

import os
import subprocess
import sys

import dask
import pytest

import simherd as sh

ROOT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
SCRIPT = """
import os, sys
import simherd as sh

def task(number):
    if number == 2:
        raise ValueError("two")
    if number == 4:
        sys.exit("four")
    return number, os.getpid()

for _ in range(2):
    results = sh.parallelize(task, range(20), parallelizer="mpi", die=False)
    pids = {one[1] for one in results if isinstance(one, tuple)}
    print([n for n, one in enumerate(results) if not isinstance(one, tuple)], results[2], results[4])
print(len(pids) >= 2, "once")
"""


@pytest.mark.mpi
def test_map_uses_all_ranks_and_goes_on_after_failures(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)

    done = subprocess.run(
        ["mpirun", "--oversubscribe", "-np", "3", sys.executable, script],
        env={**os.environ, **ROOT}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip

    assert done.stdout.splitlines() == ["[2, 4] two four", "[2, 4] two four", "True once"], done.stderr


def check_jobs(kind):
    def task(number):
        return number**2, "JOB_ID" in os.environ or "SLURM_JOB_ID" in os.environ

    options = {"memory": "500 MiB", "interface": "lo", "walltime": "00:05:00"}
    with dask.config.set({"jobqueue": {kind: options}}):
        results = sh.parallelize(task, range(10), parallelizer=kind, ncpus=1)

    assert results == [(number**2, True) for number in range(10)]


@pytest.mark.slurm
def test_map_in_a_job_of_slurm(slurm):
    check_jobs("slurm")


@pytest.mark.sge
def test_map_in_a_job_of_grid_engine(sge):
    check_jobs("sge")

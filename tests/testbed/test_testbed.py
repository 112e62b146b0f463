"""The test bed runs jobs of both batch systems, and keeps to itself."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from simherd_testbed import SYSTEMS

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "testbed"
SGE = SYSTEMS[1]
LIMIT_S = 120
BED_LIMIT_S = 400  # a bed of its own starts, works and stops in 17 s, on a machine that does nothing else


def run(*argv: str, limit_s: float = LIMIT_S, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv, capture_output=True, text=True, timeout=limit_s, env={**os.environ, **environment}, check=False
    )


def output(*argv: str) -> str:
    done = run(*argv)
    assert done.returncode == 0, done.stderr
    return done.stdout


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.2)


def test_a_slurm_job_runs_on_both_nodes_and_is_accounted_for(slurm, tmp_path):
    printed = tmp_path / "nodes"
    script = "srun --mpi=none printenv SLURMD_NODENAME"

    job = output("sbatch", "--parsable", "--wait", "-N2", "-n2", "-o", str(printed), "--wrap", script).strip()

    assert sorted(printed.read_text().split()) == ["n1", "n2"]
    wait_until(lambda: output("sacct", "-nXPj", job, "-o", "State").strip() == "COMPLETED")


def test_a_job_of_grid_engine_gets_its_slots_and_is_accounted_for(sge, tmp_path):
    printed = tmp_path / "slots"
    script = tmp_path / "job.sh"
    script.write_text("echo $NSLOTS $JOB_ID\n")

    output("qsub", "-sync", "y", "-pe", "smp", "2", "-j", "y", "-o", str(printed), str(script))

    slots, job = printed.read_text().split()
    assert slots == "2"
    wait_until(lambda: run("qacct", "-j", job).returncode == 0)


@pytest.mark.parametrize("variables", [{}, {"SIMHERD_TESTBED_PORT": "18900"}])
def test_a_bed_that_runs_is_not_started_again(slurm, variables):
    before = (slurm.folder / "pids" / "slurmctld").read_text()

    started = run(str(SCRIPT), "start", "slurm", **variables)

    assert started.stdout == f"testbed: slurm is up in {slurm.folder}\n"
    assert (slurm.folder / "pids" / "slurmctld").read_text() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="daemons are started as root only")
def test_a_second_bed_refuses_the_ports_of_the_first(sge, tmp_path):
    started = run(str(SCRIPT), "start", "sge", SIMHERD_TESTBED=str(tmp_path / "bed"))

    assert started.returncode == 1
    assert "port 17021 is taken" in started.stderr


def test_another_user_of_the_machine_may_submit_and_not_cancel_for_others(slurm, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    job = output("sbatch", "--parsable", "--hold", "-o", "/dev/null", "--wrap", "true").strip()
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    try:
        done = run(*nobody, "sbatch", "--wait", "-D/", "-o", "/dev/null", "--wrap", "test $(id -u) = 65534")
        refused = run(*nobody, "scancel", job)
    finally:
        run("scancel", job)

    assert done.returncode == 0, done.stderr
    assert "Access/permission denied" in refused.stderr


def test_without_root_the_bed_says_why_it_cannot_be_had(tmp_path):
    if os.geteuid() != 0:
        argv: tuple[str, ...] = ()
    else:
        argv = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")

    started = run(*argv, "bash", str(SCRIPT), "start", "slurm", SIMHERD_TESTBED="/nowhere/bed")

    assert started.returncode == 3
    assert started.stderr == "the test bed starts its daemons as root only (as in a container)\n"


def test_status_fails_where_nothing_runs(tmp_path):
    asked = run(str(SCRIPT), "status", SIMHERD_TESTBED=str(tmp_path))

    assert asked.returncode == 1
    assert asked.stdout == "testbed: slurm is down\ntestbed: sge is down\n"


PYTEST = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--no-header", "-q")


def write_tests(folder: Path, code: str, budget: str = "slurm: 300") -> Path:
    folder.mkdir()
    (folder / "pytest.ini").write_text(
        f"[pytest]\npythonpath = {ROOT / 'tests' / 'plugins'}\nmarkers =\n    slurm: x\n    sge: x\n"
        f"time_budgets =\n    {budget}\n"
    )
    (folder / "conftest.py").write_text('pytest_plugins = ["simherd_testbed", "simherd_budgets"]\n')
    (folder / "test_it.py").write_text(code)
    return folder


@pytest.mark.slow
def test_tests_skip_with_the_reason_where_the_bed_cannot_be_had(tmp_path):
    tests = write_tests(tmp_path / "tests", "def test_it(sge): pass\n")
    programs = tmp_path / "programs"
    programs.mkdir()
    # A machine without Grid Engine: only what the script itself needs.
    for name in ("bash", "env", "hostname", "dirname", "readlink", "id", "mkdir", "chmod", "flock", "cat"):
        (programs / name).symlink_to(output("which", name).strip())

    done = run(
        *PYTEST, "-rs", str(tests), PATH=str(programs), SIMHERD_TESTBED=str(tmp_path / "bed"), SGE_ROOT=""
    )

    assert "1 skipped" in done.stdout
    assert "scripts/testbed install sge" in done.stdout or "as root only" in done.stdout


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="daemons are started as root only")
def test_the_last_run_of_tests_stops_what_tests_started(sge, tmp_path):
    code = """
import subprocess, pytest
@pytest.mark.parametrize("n", range(4))
def test_it(sge, n):
    argv = ["qsub", "-sync", "y", "-o", "/dev/null", "-j", "y", "-b", "y", "true"]
    subprocess.run(argv, check=True, timeout=60)
"""
    tests = write_tests(tmp_path / "tests", code)
    own = {"SIMHERD_TESTBED": str(tmp_path / "bed"), "SIMHERD_TESTBED_PORT": "18900"}
    try:
        done = run(*PYTEST, "-n2", str(tests), limit_s=BED_LIMIT_S, **own)

        assert "4 passed" in done.stdout, done.stdout
        assert run(str(SCRIPT), "status", "sge", **own).stdout == "testbed: sge is down\n"
    finally:
        run(str(SCRIPT), "remove", **own)


def test_a_bed_that_ran_before_the_tests_goes_on(sge, tmp_path):
    tests = write_tests(tmp_path / "tests", "def test_it(sge): pass\n")
    if sge.was_started_by_tests(SGE):
        pytest.skip("tests started this bed")

    done = run(*PYTEST, str(tests))

    assert "1 passed" in done.stdout
    assert run(str(SCRIPT), "status", "sge").returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("budget", "says", "code"),
    [
        ("slurm: 300", "slurm: 0 s of 300 s\n", 0),
        ("slurm: 0.15", "slurm: 0 s of 0 s: more than planned\n", 0),
        ("slurm: 0.01", "slurm: 0 s of 0 s: more than 2 times as much, which fails the run\n", 1),
    ],
)
def test_a_run_says_what_its_markers_cost_and_fails_when_that_is_twice_the_budget(
    tmp_path, budget, says, code
):
    lines = ("import time, pytest", "@pytest.mark.slurm", "def test_it(): time.sleep(0.2)", "")
    tests = write_tests(tmp_path / "tests", "\n".join(lines), budget)

    done = run(*PYTEST, "-n1", str(tests))

    assert says in done.stdout
    assert done.returncode == code

"""``simherd submit``: what it submits, and what it finds wrong before."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from simherd.errors import SubmitError
from simherd.schedulers import JobState, find

LIMIT_S = 300
MEMORY = {"slurm": "1GiB", "sge": "4GiB"}
SITE = """
simherd:
  sge: {memory-resource: h_vmem, parallel-environment: smp, mpi-parallel-environment: ib}
"""


@pytest.fixture
def submit(experiment, simherd, tmp_path, monkeypatch):
    """Return a function that submits a small experiment."""
    experiment(run={"store": "out.zarr"})
    (tmp_path / "site.yaml").write_text(SITE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DASK_CONFIG", os.devnull)

    def run(*arguments):
        return simherd("submit", "walk.yaml", "--config", "site.yaml", *arguments)

    return run


@pytest.fixture(params=[pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("slurm", "sge")])
def system(request):
    """Return the name of a batch scheduler of the test bed, which runs."""
    request.getfixturevalue(request.param)
    return request.param


def jobs_of_the_test(system):
    """Return the jobs that wait or run under the name of the test's experiment."""
    import subprocess

    argv = {"slurm": ["squeue", "-h", "-n", "walk"], "sge": ["qstat"]}[system]
    said = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout
    return [line for line in said.splitlines() if " walk " in line]


def end_of(system, job_id):
    scheduler = find(system)
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        status = scheduler.query([job_id])[job_id]
        if status.state.is_over and status.state is not JobState.GONE:
            return status
        time.sleep(0.5)
    scheduler.cancel([job_id])
    pytest.fail(f"job {job_id}: {status}")


def test_a_dry_run_prints_script_and_command_and_submits_nothing(submit, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", "/nowhere")

    done = submit("--scheduler", "slurm", "--dry-run")

    assert done.code == 0, done.err
    assert done.out.startswith("#!/bin/bash\n")
    assert done.out.splitlines()[-1] == "# would run: sbatch logs/walk-array.sh"
    assert not (tmp_path / "logs").exists()


def test_without_the_schedulers_commands_nothing_is_submitted(submit, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")

    done = submit("--scheduler", "sge")

    assert done.code == 1
    assert "commands of Grid Engine are not on this machine" in done.err


def test_scheduler_and_client_can_run_here(submit):
    done = submit("--scheduler", "slurm", "--mode", "jobqueue", "--jobs", "2", "--here", "--dry-run")

    assert done.code == 0, done.err
    assert done.out.endswith("run walk.yaml --config site.yaml --jobs 2 --cluster slurm --resume\n")


def test_other_modes_do_not_run_here(submit):
    assert submit("--scheduler", "slurm", "--mode", "array", "--here").code == 2


def test_submitting_prints_the_job_id_and_the_job_does_all(submit, system, tmp_path):
    done = submit("--scheduler", system, "--jobs", "2", "--cores", "1", "--memory", MEMORY[system])
    assert done.code == 0, done.err

    status = end_of(system, done.out.strip())

    logs = "\n".join(path.read_text() for path in (tmp_path / "logs").glob("*.log"))
    assert status.state is JobState.DONE, logs
    assert "4 of 4" in logs or "4 done" in logs
    assert (tmp_path / "logs" / "walk-array.sh").exists()


def test_several_array_jobs_where_the_site_takes_only_small_ones(submit, system, tmp_path):
    (tmp_path / "site.yaml").write_text(f"{SITE}\n  array-limit: 2\n")

    done = submit("--scheduler", system, "--jobs", "3", "--cores", "1", "--memory", MEMORY[system])
    ids = done.out.split()

    assert len(ids) == 2, done.err
    states = [end_of(system, job_id).state for job_id in ids]
    logs = "\n".join(path.read_text() for path in (tmp_path / "logs").glob("*.log"))
    assert states == [JobState.DONE, JobState.DONE], logs


IMPOSSIBLE = {
    "slurm": [
        (["--partition", "shrt"], "partition 'shrt' does not exist. Did you mean 'short'"),
        (["--walltime", "02:00:00"], "over the 1:00:00 h of the partition 'short'"),
        (["--mode", "mpi", "--ntasks", "3", "--cores", "2"], "need 6 cores of one node, over the 4"),
        (["--mode", "mpi", "--ntasks", "99", "--nodes", "99", "--cores", "1"], "99 nodes are over"),
        (["--memory", "20GiB"], "20.0 GiB of memory on a node is over"),
        (["--mode", "jobqueue", "--cores", "64"], "need 64 cores of one node, over the 4"),
    ],
    "sge": [
        (["--queue", "al.q"], "queue 'al.q' does not exist. Did you mean 'all.q'"),
        (["--cores", "2", "--parallel-environment", "smpp"], "'smpp' does not exist. Did you mean 'smp'"),
        (["--mode", "mpi", "--ntasks", "9", "--cores", "1"], "need 9 cores of one node, over the 8"),
        (
            ["--mode", "mpi", "--ntasks", "2", "--nodes", "2", "--parallel-environment", "smp"],
            "keeps a job on one host",
        ),
        (["--memory", "900GiB"], "900.0 GiB of memory on a node is over"),
        (["--mode", "jobqueue", "--cores", "64"], "need 64 cores of one node, over the 8"),
    ],
}


def test_what_can_never_start_is_one_message_before_anything_is_queued(submit, system, tmp_path):
    for arguments, text in IMPOSSIBLE[system]:
        done = submit("--scheduler", system, *arguments)

        assert done.code == 2, (arguments, done.out, done.err)
        assert text in done.err
        assert done.err.count("Error") == 1
        assert done.out == ""
    assert jobs_of_the_test(system) == []
    assert not Path("logs").exists()


def test_the_real_schedulers_refuse_it_too_or_let_it_wait_for_ever(submit, system, simherd, tmp_path):
    scheduler = find(system)
    (tmp_path / "logs").mkdir()
    for arguments, text in IMPOSSIBLE[system]:
        if "jobqueue" in arguments or "one host" in text:  # Grid Engine would give one host, and say nothing
            continue
        options = ("--scheduler", system, "--config", "site.yaml", "--output", "job.sh")
        assert simherd("script", "walk.yaml", *options, *arguments).code == 0, text
        try:
            job_id = scheduler.submit(Path("job.sh"))
        except SubmitError:
            continue
        try:
            assert never_starts(scheduler, job_id), (system, arguments)
        finally:
            scheduler.cancel([job_id])


def never_starts(scheduler, job_id):
    """Wait for the reason why a job waits."""
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        status = scheduler.query([job_id])[job_id]
        if not status.state.is_waiting:
            return False
        if status.reason and status.reason != "None":
            return True
        time.sleep(0.3)
    return False

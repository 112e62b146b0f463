"""Real batch schedulers: jobs are submitted, seen, told apart and ended."""

from __future__ import annotations

import time

import pytest

from simherd.accounting import diagnose, job_usage
from simherd.errors import SubmitError
from simherd.schedulers import JobState, find

LIMIT_S = 180
OPTIONS = {
    "slurm": ["--output=/dev/null", "--mem=100M"],
    "sge": ["-o", "/dev/null", "-j", "y", "-S", "/bin/bash"],
}
HOLD = {"slurm": ["--hold"], "sge": ["-h"]}
ARRAY = {"slurm": ["--array=1-3"], "sge": ["-t", "1-3"]}
TASK = {"slurm": "{}_2", "sge": "{}.2"}


class Submitted:
    """Jobs of a test, which end with it."""

    def __init__(self, name, folder):
        self.name, self.folder, self.ids = name, folder, []
        self.scheduler = find(name)

    def submit(self, text, *arguments, of_script=()):
        script = self.folder / "job.sh"
        script.write_text(f"#!/bin/bash\n{text}\n")
        job_id = self.scheduler.submit(script, [*OPTIONS[self.name], *arguments], of_script)
        self.ids.append(job_id)
        return job_id

    def wait(self, job_id, wanted):
        end = time.monotonic() + LIMIT_S
        while time.monotonic() < end:
            status = self.scheduler.query([job_id])[job_id]
            if wanted(status):
                return status
            time.sleep(0.3)
        return pytest.fail(f"job {job_id}: {status}")

    def usage(self, job_id):
        """Return what accounting says of a job that is over, which it does somewhat later."""
        end = time.monotonic() + LIMIT_S
        while time.monotonic() < end:
            (used,) = job_usage([job_id], self.name)
            if used.ended:
                return used
            time.sleep(0.3)
        return pytest.fail(f"job {job_id}: {used}")

    def wait_until_over(self, job_id):
        return self.wait(job_id, lambda status: status.state.is_over and status.state is not JobState.GONE)


@pytest.fixture
def jobs(batch_system, tmp_path):
    submitted = Submitted(batch_system, tmp_path)
    yield submitted
    submitted.scheduler.cancel(submitted.ids)


def test_the_commands_are_here(jobs):
    assert jobs.scheduler.is_installed()


def test_how_jobs_end_is_told_apart(jobs):
    done, failed = jobs.submit("exit 0"), jobs.submit("exit $1", of_script=["3"])

    assert jobs.wait_until_over(done).state is JobState.DONE
    status = jobs.wait(failed, lambda status: status.exit_code is not None)
    assert (status.state, status.exit_code) == (JobState.FAILED, 3)
    used = jobs.usage(failed)
    assert (used.state, used.exit_code, used.cores) == (JobState.FAILED, 3, 1)
    assert used.wall_s < LIMIT_S


def test_a_job_that_runs_is_seen_with_its_node_and_can_be_cancelled(jobs):
    job_id = jobs.submit("sleep 300")
    running = jobs.wait(job_id, lambda status: status.state is JobState.RUNNING)

    jobs.scheduler.cancel([job_id])

    assert running.node
    assert jobs.wait_until_over(job_id).state is JobState.CANCELLED


def test_a_held_job_says_so(jobs):
    job_id = jobs.submit("exit 0", *HOLD[jobs.name])

    status = jobs.wait(job_id, lambda status: status.state is JobState.HELD and status.reason)

    assert "eld" in status.reason or "hold" in status.reason
    (waiting,) = job_usage([job_id], jobs.name)
    (finding,) = diagnose(waiting)
    assert finding.sentence == "It has not started: it is held."
    assert job_id in finding.line


def test_a_job_that_cannot_start_says_why(jobs):
    wide = {"slurm": ["--ntasks=8", "--nodes=2", "--exclusive"], "sge": ["-pe", "smp", "999"]}[jobs.name]
    hinder = jobs.submit("sleep 300") if jobs.name == "slurm" else None
    if hinder:
        jobs.wait(hinder, lambda status: status.state is JobState.RUNNING)
    job_id = jobs.submit("exit 0", *wide)

    status = jobs.wait(job_id, lambda status: status.state is JobState.PENDING and status.reason)

    assert status.reason


def test_an_array_job_is_one_job_with_tasks(jobs):
    variable = {"slurm": "SLURM_ARRAY_TASK_ID", "sge": "SGE_TASK_ID"}[jobs.name]
    job_id = jobs.submit(f"[ ${variable} -ne 2 ]", *ARRAY[jobs.name])

    assert jobs.wait_until_over(job_id).state is JobState.FAILED
    assert jobs.wait_until_over(TASK[jobs.name].format(job_id)).state is JobState.FAILED


def test_jobs_that_are_over_or_unknown_can_be_cancelled(jobs):
    job_id = jobs.submit("exit 0")
    jobs.wait_until_over(job_id)

    jobs.scheduler.cancel([job_id, "999999"])
    jobs.scheduler.cancel([])


def test_a_job_that_nobody_knows_is_gone(jobs):
    assert jobs.scheduler.query(["999999"])["999999"].state is JobState.GONE
    assert jobs.scheduler.query([]) == {}


def test_a_refused_job_is_an_error_with_what_the_scheduler_said(jobs):
    option = {"slurm": "--partition=nowhere", "sge": "-qnowhere"}[jobs.name]

    with pytest.raises(SubmitError) as caught:
        jobs.submit("exit 0", *option.replace("-q", "-q ").split())

    assert caught.value.returncode
    assert caught.value.script.endswith("job.sh")
    assert jobs.ids == []


def test_a_job_can_submit_a_job_that_does_not_inherit_its_size(jobs):
    variable = {"slurm": "SLURM_CPUS_PER_TASK", "sge": "PE_HOSTFILE"}[jobs.name]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(variable, "7")
        options = ["-V"] if jobs.name == "sge" else ["--export=ALL"]
        job_id = jobs.submit(f'exit "${{{variable}:-0}}"', *options)

    assert jobs.wait_until_over(job_id).state is JobState.DONE


def test_a_site_says_what_it_has(jobs):
    site = jobs.scheduler.site()

    assert site.partitions
    assert all(partition.is_up and partition.cores_per_node for partition in site.partitions)
    assert site.max_array_tasks
    assert bool(site.parallel_environments) == (jobs.name == "sge")


@pytest.mark.slow
def test_a_job_that_reaches_its_walltime_says_so(jobs):
    limit = {"slurm": ["--time=1"], "sge": ["-l", "h_rt=5"]}[jobs.name]

    job_id = jobs.submit("sleep 300", *limit)

    assert jobs.wait_until_over(job_id).state is JobState.TIMEOUT


@pytest.mark.sge
def test_a_job_in_error_says_why(sge, tmp_path):
    jobs = Submitted("sge", tmp_path)
    job_id = jobs.submit("exit 0", "-wd", "/nonexistent")
    try:
        status = jobs.wait(job_id, lambda status: status.native.startswith("E") and status.reason)
    finally:
        jobs.scheduler.cancel([job_id])

    assert status.state is JobState.HELD
    assert "/nonexistent" in status.reason

"""The batch job that a process runs in, as its environment tells it."""

from __future__ import annotations

import pytest

from simherd.batch_jobs import BatchJob, job_here


@pytest.mark.parametrize(
    ("environment", "job"),
    [
        ({"SLURM_JOB_ID": "12"}, ("slurm", "12")),
        ({"SLURM_JOB_ID": "15", "SLURM_ARRAY_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": "3"}, ("slurm", "12_3")),
        ({"JOB_ID": "12", "SGE_TASK_ID": "undefined"}, ("sge", "12")),
        ({"JOB_ID": "12", "SGE_TASK_ID": "3"}, ("sge", "12.3")),
        ({"PBS_JOBID": "12.server"}, ("pbs", "12.server")),
    ],
)
def test_job_is_named_as_its_scheduler_names_it(environment, job):
    assert job_here(environment) == BatchJob(scheduler=job[0], job_id=job[1])


@pytest.mark.parametrize("environment", [{}, {"JOB_ID": "of another program"}, {"SLURM_JOB_ID": ""}])
def test_process_outside_of_jobs_has_none(environment):
    assert job_here(environment) is None

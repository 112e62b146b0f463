"""Jobs of batch schedulers, and the one that this process runs in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["JOB_VARIABLES", "BatchJob", "job_here"]

JOB_VARIABLES = {
    "SLURM_JOB_ID": "slurm",
    "JOB_ID": "sge",
    "PBS_JOBID": "pbs",
    "LSB_JOBID": "lsf",
    "OAR_JOB_ID": "oar",
}
"""Variables in which batch schedulers tell a job its id, and the kind of each scheduler."""
_GRID_ENGINE = "SGE_TASK_ID"
"""Set in every job of Grid Engine: other programs set JOB_ID, too."""


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class BatchJob:
    """A job of a batch scheduler."""

    scheduler: str
    """Kind of the batch scheduler, such as "slurm"."""
    job_id: str
    """Its id; of a task of an array job ``"12_3"`` in SLURM, ``"12.3"`` in Grid Engine, as they write it."""


def job_here(environment: Mapping[str, str] = os.environ) -> BatchJob | None:
    """Return the job that this process runs in; None if it runs in none.

    Parameters
    ----------
    environment : mapping of str to str, optional
        Environment variables.
    """
    for variable, scheduler in JOB_VARIABLES.items():
        job_id = environment.get(variable)
        if job_id and (scheduler != "sge" or _GRID_ENGINE in environment):
            return BatchJob(scheduler=scheduler, job_id=_of_task(scheduler, job_id, environment))
    return None


def _of_task(scheduler: str, job_id: str, environment: Mapping[str, str]) -> str:
    """Return the id of a job or, of an array job, of this task."""
    if scheduler == "slurm" and "SLURM_ARRAY_TASK_ID" in environment:
        return f"{environment.get('SLURM_ARRAY_JOB_ID', job_id)}_{environment['SLURM_ARRAY_TASK_ID']}"
    if scheduler == "sge" and environment[_GRID_ENGINE].isdigit():
        return f"{job_id}.{environment[_GRID_ENGINE]}"
    return job_id

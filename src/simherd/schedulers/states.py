"""The state of an array job, seen as one, from those of its tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from simherd.schedulers.base import JobState, JobStatus

__all__ = ["WORST_FIRST", "summarize"]

WORST_FIRST = (
    JobState.RUNNING,
    JobState.UNKNOWN,
    JobState.ENDING,
    JobState.PENDING,
    JobState.HELD,
    JobState.FAILED,
    JobState.OUT_OF_MEMORY,
    JobState.TIMEOUT,
    JobState.NODE_FAIL,
    JobState.PREEMPTED,
    JobState.CANCELLED,
    JobState.GONE,
    JobState.DONE,
)
"""What counts most in an array job: first what still happens, then what went wrong."""


def summarize(job_id: str, tasks: Sequence[JobStatus]) -> JobStatus:
    """Return the status of a job from those of its array tasks, or of itself.

    Parameters
    ----------
    job_id : str
        The job.
    tasks : sequence of JobStatus
        Its tasks; none if the scheduler has forgotten it.
    """
    if not tasks:
        return JobStatus(job_id=job_id, state=JobState.GONE)
    first = min(tasks, key=lambda task: WORST_FIRST.index(task.state))
    return replace(first, job_id=job_id)

"""Job scripts for batch schedulers: a plan, and the text made from it."""

from __future__ import annotations

from simherd.jobs.base import dialect_of
from simherd.jobs.plan import ArrayJob, JobPlan, Mode, Resources
from simherd.jobs.render import command_words, render, submit_commands

__all__ = [
    "ArrayJob",
    "JobPlan",
    "Mode",
    "Resources",
    "command_words",
    "dialect_of",
    "render",
    "submit_commands",
]

"""What jobs used of what they asked for, and what to change: from the accounting of batch schedulers."""

from __future__ import annotations

from simherd.accounting.diagnosis import Finding, diagnose
from simherd.accounting.efficiency import (
    Totals,
    add_up,
    cpu_efficiency,
    memory_efficiency,
    time_efficiency,
)
from simherd.accounting.qacct import parse_qacct
from simherd.accounting.query import job_usage, parse_any
from simherd.accounting.rules import Level
from simherd.accounting.sacct import parse_sacct
from simherd.accounting.usage import JobUsage

__all__ = [
    "Finding",
    "JobUsage",
    "Level",
    "Totals",
    "add_up",
    "cpu_efficiency",
    "diagnose",
    "job_usage",
    "memory_efficiency",
    "parse_any",
    "parse_qacct",
    "parse_sacct",
    "time_efficiency",
]

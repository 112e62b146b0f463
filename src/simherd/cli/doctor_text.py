"""Findings in words and as data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from simherd.doctor import Finding, Verdict

__all__ = ["as_data", "lines_of"]

MARKS = {Verdict.FINE: " ", Verdict.ABSENT: "-", Verdict.NOTE: "*", Verdict.WRONG: "!"}
WIDTH = 12


def lines_of(finding: Finding) -> Iterator[str]:
    """Yield a finding in a line, and what to do about it in another."""
    yield f"{finding.topic:<{WIDTH}}{MARKS[finding.verdict]} {finding.text}"
    if finding.fix:
        yield f"{'':<{WIDTH}}  Fix: {finding.fix}"


def as_data(finding: Finding) -> dict[str, Any]:
    """Return what ``--json`` shows of a finding."""
    return {
        "topic": finding.topic,
        "verdict": finding.verdict.value,
        "text": finding.text,
        "fix": finding.fix,
        **({"data": dict(finding.data)} if finding.data else {}),
    }

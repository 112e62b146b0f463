"""What is remarkable about a job, and what to change."""

from __future__ import annotations

from dataclasses import dataclass

from simherd.accounting.facts import Facts
from simherd.accounting.rules import GROUPS, Level, Rule
from simherd.accounting.usage import JobUsage

__all__ = ["Finding", "diagnose"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """Something that is remarkable about a job."""

    rule: str
    """Name of the rule that applies, such as "serial_code"."""
    level: Level
    """How much it matters."""
    sentence: str
    """What is the case."""
    line: str = ""
    """Line of the job script, or command, that mends it; "" if there is none."""


def diagnose(usage: JobUsage) -> list[Finding]:
    """Return what is remarkable about a job: how it ended, then its use of cores, memory and walltime."""
    facts = Facts(usage)
    found = (next((rule for rule in group if rule.applies(facts)), None) for group in GROUPS)
    return [_finding(rule, facts) for rule in found if rule is not None]


def _finding(rule: Rule, facts: Facts) -> Finding:
    cause, fix = rule.details(facts)
    words = _Words(facts, cause=cause, fix=fix)
    return Finding(
        rule=rule.name,
        level=rule.level,
        sentence=rule.sentence.format_map(words),
        line=rule.line.format_map(words),
    )


class _Words(dict[str, object]):
    """What templates name: attributes of the facts."""

    def __init__(self, facts: Facts, **more: object) -> None:
        super().__init__(more)
        self._facts = facts

    def __missing__(self, name: str) -> object:
        return getattr(self._facts, name)

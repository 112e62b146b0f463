"""What was found out about a thing, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

__all__ = ["Finding", "Verdict"]


class Verdict(Enum):
    """What a finding means for who wants to run simulations."""

    FINE = "fine"
    ABSENT = "absent"
    """It is not there; who does not want it needs nothing."""
    NOTE = "note"
    """It works, and may be otherwise than one thinks."""
    WRONG = "wrong"
    """It does not work as it should."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What was found out about a thing."""

    topic: str
    """What it is about, such as "cores"."""
    text: str
    """What was found, in words."""
    verdict: Verdict = Verdict.FINE
    """What it means."""
    fix: str = ""
    """What to do about it."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """The same for programs: names with plain values."""

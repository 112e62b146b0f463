"""Numbers as people read them."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["counted", "format_duration", "format_rate", "listed"]

MOST_LISTED = 8


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun: ``"1 block"``, ``"2 worker processes"``."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def listed(names: Iterable[str]) -> str:
    """Return names, of many only the first few: ``"12, 13"``, ``"1, 2, 3, 4, 5, 6, 7, 8 and 92 more"``."""
    found = list(names)
    more = len(found) - MOST_LISTED
    return ", ".join(found[:MOST_LISTED]) + (f" and {more} more" if more > 0 else "")


def format_rate(per_second: float) -> str:
    """Return a rate: ``"0.0123 per s"``, ``"6.34 per s"``, ``"7,791 per s"``."""
    return f"{per_second:,.0f} per s" if per_second >= 100 else f"{per_second:.3g} per s"


def format_duration(seconds: float) -> str:
    """Return a time for people: ``"4.2 s"``, ``"3 min 05 s"``, ``"2 h 10 min"``."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"

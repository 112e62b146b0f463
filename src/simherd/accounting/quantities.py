"""Times and sizes as batch schedulers print them.

Each function returns None for a text that it does not understand: the accounting then has no data.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

__all__ = ["read_count", "read_duration", "read_moment", "read_number", "read_size"]

_NUMBER = re.compile(r"\d{1,15}(?:\.\d{0,15})?", re.ASCII)
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{0,9})?)\s*([KMGTPE]?)(?:i?B)?", re.ASCII | re.IGNORECASE)
_DURATION = re.compile(r"(?:(\d{1,6})-)?(?:(\d{1,9}):)?(\d{1,9}):(\d{1,9})(\.\d{1,9})?", re.ASCII)
_DAY = re.compile(r"(\d{1,6})-(\d{1,2})", re.ASCII)
_EPOCH = re.compile(r"\d{9,14}(?:\.\d{1,9})?", re.ASCII)
_CTIME = re.compile(r"\w{3} +(\w{3}) +(\d{1,2}) +(\d{1,2}):(\d{2}):(\d{2}) +(\d{4})", re.ASCII)
_AMERICAN = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4}) +(\d{1,2}):(\d{2}):(\d{2})(?:\.(\d{1,6}))?", re.ASCII)
_ISO = re.compile(r"(\d{4})-(\d{2})-(\d{2})[T ](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,6}))?", re.ASCII)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_UNITS = {unit: 1024**power for power, unit in enumerate(("", "K", "M", "G", "T", "P", "E"))}
_YEARS = range(1971, 2200)
_MILLISECONDS = 10**11
"""Epochs above it count milliseconds."""


def read_number(text: str) -> float | None:
    """Return a number, such as ``24``, ``5.509s`` or ``137   (Killed)``, without what follows it."""
    found = _NUMBER.match(text.strip())
    return float(found[0]) if found else None


def read_count(text: str) -> int | None:
    """Return a whole number, without what follows it."""
    number = read_number(text)
    return None if number is None else int(number)


def read_size(text: str) -> float | None:
    """Return a size in bytes: units are binary, ``"1.934MB"`` is as large as ``"1.934M"``."""
    found = _SIZE.fullmatch(text.strip())
    return float(found[1]) * _UNITS[found[2].upper()] if found else None


def read_duration(text: str) -> float | None:
    """Return a time such as ``1-02:03:04``, ``02:03:04``, ``06:57.815`` or ``2-12`` in s."""
    text = text.strip()
    if found := _DAY.fullmatch(text):
        return float(int(found[1]) * 86400 + int(found[2]) * 3600)
    if not (found := _DURATION.fullmatch(text)):
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups()[:4])
    if found[1] and not found[2]:
        hours, minutes, seconds = minutes, seconds, 0
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds + float(found[5] or 0)


def read_moment(text: str) -> datetime | None:
    """Return a time of day and date: of ctime(3), ISO 8601, ``MM/DD/YYYY`` or s or ms since 1970.

    What counts from 1970 has a time zone, the others are in that of the batch scheduler.
    """
    text = text.strip()
    if _EPOCH.fullmatch(text):
        number = float(text)
        return datetime.fromtimestamp(number / 1000 if number > _MILLISECONDS else number, UTC)
    return _calendar(text)


def _calendar(text: str) -> datetime | None:
    if (found := _CTIME.fullmatch(text)) and found[1] in _MONTHS:
        month, day, hour, minute, second, year = found.groups()
        return _moment(year, _MONTHS.index(month) + 1, day, hour, minute, second)
    if found := _AMERICAN.fullmatch(text):
        month, day, year, *clock = found.groups()
        return _moment(year, month, day, *clock)
    found = _ISO.fullmatch(text)
    return _moment(*found.groups()) if found else None


def _moment(*parts: str | int | None) -> datetime | None:
    *whole, fraction = parts if len(parts) == 7 else (*parts, None)
    year, month, day, hour, minute, second = (int(part or 0) for part in whole)
    microsecond = int(str(fraction or "0").ljust(6, "0"))
    if year not in _YEARS:
        return None
    try:
        return datetime(year, month, day, hour, minute, second, microsecond)
    except ValueError:
        return None

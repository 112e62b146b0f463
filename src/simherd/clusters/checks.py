"""Options that several kinds of clusters have, checked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from os import PathLike
from typing import Any

from simherd.errors import ClusterOptionError, close_matches
from simherd.resources import is_count

__all__ = ["flag", "folder", "is_word", "keys", "lines", "one_line", "positive", "seconds", "shares", "word"]

_WORD = re.compile(r"[\w.,:@%/+=-]+")
_MINUTES = re.compile(r"mins?\s*$")  # which Dask calls m, minute or minutes
MEMORY_SHARES = ("target", "spill", "pause", "terminate")


def positive(name: str, value: Any) -> int:
    """Return a whole number of at least 1.

    Raises
    ------
    ClusterOptionError
        If it is something else.
    """
    if is_count(value, 1):
        return value
    raise ClusterOptionError(
        f"{name}={value!r} is not allowed: a whole number, 1 or more, is needed.",
        fix=f"give {name} as 1 or more, or leave it out.",
    )


def lines(name: str, value: Any) -> tuple[str, ...]:
    """Return lines of text, of which a single one may be given as it is.

    Raises
    ------
    ClusterOptionError
        If they are something else.
    """
    found = (value,) if isinstance(value, str) or not isinstance(value, Iterable) else tuple(value)
    if all(isinstance(line, str) for line in found):
        return found
    raise ClusterOptionError(f"{name}={value!r} is not allowed: lines of text are needed.")


def seconds(name: str, value: Any) -> float:
    """Return a time in s, which may be given as a text such as ``"5 min"`` or ``"90s"``.

    Raises
    ------
    ClusterOptionError
        If it is none, or not above 0.
    """
    found = value
    if isinstance(value, str):
        from dask.utils import parse_timedelta

        with suppress(ValueError, KeyError, IndexError, OverflowError):
            found = parse_timedelta(_MINUTES.sub("m", value))
    if isinstance(found, int | float) and not isinstance(found, bool) and found > 0:
        return float(found)
    raise ClusterOptionError(
        f"{name}={value!r} is not a time above 0.", fix="write seconds, or for instance '5 min'."
    )


def shares(name: str, value: Any) -> dict[str, float | bool]:
    """Return shares of a worker's memory at which Dask acts, by what it does then; false for never.

    Raises
    ------
    ClusterOptionError
        If one is unknown, or no share.
    """
    if not isinstance(value, Mapping):
        raise ClusterOptionError(f"{name}={value!r} is not allowed: keys with shares are needed.")
    for key, share in value.items():
        if key not in MEMORY_SHARES:
            raise ClusterOptionError(
                f"{name}: {key!r} is not known. {close_matches(str(key), MEMORY_SHARES)}"
            )
        if share is not False and (share is True or not isinstance(share, int | float) or not 0 < share <= 1):
            raise ClusterOptionError(
                f"{name}: {key}={share!r} is not allowed: a share above 0 and up to 1, or false."
            )
    return dict(value)


def is_word(value: Any) -> bool:
    """Return whether a value can stand in a directive as it is."""
    return _WORD.fullmatch(str(value)) is not None


def word(name: str, value: Any) -> str:
    """Return a text that can stand in a directive as it is.

    Raises
    ------
    ClusterOptionError
        If it is something else.
    """
    if is_word(value):
        return str(value)
    raise ClusterOptionError(
        f"{name}={value!r} cannot stand in a job script: letters, digits and . , : @ % / + = - _ can.",
        fix=f"choose another {name}, without spaces or quotes.",
    )


def one_line(name: str, value: Any) -> Any:
    """Return what is no text of several lines.

    Raises
    ------
    ClusterOptionError
        If it is something else.
    """
    if isinstance(value, str) and "\n" in value:
        raise ClusterOptionError(f"{name}: {value!r} is more than one line.", fix="give them one by one.")
    return value


def flag(name: str, value: Any) -> bool:
    """Return true or false.

    Raises
    ------
    ClusterOptionError
        If it is something else.
    """
    if isinstance(value, bool):
        return value
    raise ClusterOptionError(f"{name}={value!r} is not allowed: true or false is needed.")


def folder(name: str, value: Any) -> str:
    """Return the path of a folder as text.

    Raises
    ------
    ClusterOptionError
        If it is something else.
    """
    if isinstance(value, str | PathLike) and (text := str(value)):
        return text
    raise ClusterOptionError(f"{name}={value!r} is not allowed: the path of a folder is needed.")


def keys(name: str, value: Any) -> dict[str, Any]:
    """Return keys with values as a new dict.

    Raises
    ------
    ClusterOptionError
        If it is something else.
    """
    if isinstance(value, Mapping):
        return dict(value)
    raise ClusterOptionError(f"{name}={value!r} is not allowed: keys with values are needed.")

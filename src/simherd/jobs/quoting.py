"""Values in job scripts: quoted, so that no name can break a script or slip a command into it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

from simherd.errors import ClusterOptionError

__all__ = ["quote_directive", "quote_words", "refuse_control"]

_PLAIN = re.compile(r"[\w@%+=:,./\[\]$-]+", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")


def refuse_control(value: str, what: str) -> str:
    """Return a value that stays on its line.

    Raises
    ------
    ClusterOptionError
        If it has line breaks or other control characters.
    """
    if _CONTROL.search(value):
        raise ClusterOptionError(
            f"{what}={value!r} cannot stand in a job script: it has line breaks or control characters.",
            fix="write it on one line.",
        )
    return value


def quote_directive(value: str, what: str) -> str:
    """Return a value as it stands in a directive, in quotes if it needs them.

    Raises
    ------
    ClusterOptionError
        If it has line breaks, or quotes, which the schedulers read each in their own way.
    """
    refuse_control(value, what)
    if _PLAIN.fullmatch(value):
        return value
    if not value or set(value) & set("\"'\\`"):
        raise ClusterOptionError(
            f"{what}={value!r} cannot stand in a directive: it is empty, or has quotes or backslashes.",
            fix="choose another name.",
        )
    return f'"{value}"'


def quote_words(words: Iterable[str], what: str) -> str:
    """Return words of a command, quoted for a shell.

    Raises
    ------
    ClusterOptionError
        If one has line breaks.
    """
    return shlex.join(refuse_control(word, what) for word in words)

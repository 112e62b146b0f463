"""The table that sacct prints, as rows of texts by field: with ``--parsable``, or in columns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from simherd.errors import AccountingError

__all__ = ["Row", "has_header", "read_rows"]

Row = dict[str, str]
"""A line of the table; field names in lower case."""

_RULE = re.compile(r"-+(?: -+)*\s*")
_DELIMITER = "|"
_FREE_TEXT = "jobname"
"""The field whose values may have the delimiter in them."""
_NEEDED = ("jobid", "state")


def has_header(text: str) -> bool:
    """Return whether a text has a line that names the fields of sacct."""
    return any(_is_header(line) for line in text.splitlines())


def read_rows(text: str) -> list[Row]:
    """Return the rows of the table.

    Raises
    ------
    AccountingError
        If no line names the fields, or the fields that are needed are not among them.
    """
    lines = text.splitlines()
    header = next((number for number, line in enumerate(lines) if _is_header(line)), None)
    if header is None:
        raise AccountingError(
            "Cannot read accounting of SLURM: no line of the text names fields, among them JobID and State.",
            fix="give what 'sacct --parsable2 -D -j JOBID --format=...' prints, without --noheader.",
        )
    body = lines[header + 1 :]
    if _DELIMITER in lines[header]:
        return list(_delimited(lines[header], body))
    if body and _RULE.fullmatch(body[0]):
        return list(_columns(lines[header], body[0], body[1:]))
    return list(_words(lines[header], body))


def _is_header(line: str) -> bool:
    names = [name.strip().lower() for name in re.split(r"[|\s]+", line)]
    return all(name in names for name in _NEEDED)


def _delimited(header: str, body: Sequence[str]) -> Iterator[Row]:
    names = [name.strip().lower() for name in header.split(_DELIMITER)]
    for line in body:
        values = line.split(_DELIMITER)
        extra = len(values) - len(names)
        if extra > 0 and _FREE_TEXT in names:
            place = names.index(_FREE_TEXT)
            values[place : place + extra + 1] = [_DELIMITER.join(values[place : place + extra + 1])]
        if len(values) >= len(names):
            yield _row(names, values)


def _columns(header: str, rule: str, body: Sequence[str]) -> Iterator[Row]:
    """Yield the rows of a table whose columns are as wide as the dashes below their names."""
    spans = [found.span() for found in re.finditer(r"-+", rule)]
    names = [header[slice(*span)].strip().lower() for span in spans]
    for line in body:
        yield _row(names, [line[slice(*span)] for span in spans])


def _words(header: str, body: Sequence[str]) -> Iterator[Row]:
    """Yield the rows of a table without a rule, such as a pasted one: as long as no value is missing."""
    names = header.lower().split()
    for line in body:
        values = line.split()
        if len(values) == len(names):
            yield _row(names, values)


def _row(names: Sequence[str], values: Sequence[str]) -> Row:
    return {name: value.strip() for name, value in zip(names, values, strict=False) if name}

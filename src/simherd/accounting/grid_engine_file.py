"""The accounting file of Grid Engine, ``$SGE_ROOT/$SGE_CELL/common/accounting``, read without qacct."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["is_accounting_line", "read_lines"]

# accounting(5), under the names that qacct prints.
_BEFORE_CATEGORY = (
    "qname", "hostname", "group", "owner", "jobname", "jobnumber", "account", "priority", "qsub_time",
    "start_time", "end_time", "failed", "exit_status", "ru_wallclock", "ru_utime", "ru_stime", "ru_maxrss",
    "ru_ixrss", "ru_ismrss", "ru_idrss", "ru_isrss", "ru_minflt", "ru_majflt", "ru_nswap", "ru_inblock",
    "ru_oublock", "ru_msgsnd", "ru_msgrcv", "ru_nsignals", "ru_nvcsw", "ru_nivcsw", "project", "department",
    "granted_pe", "slots", "taskid", "cpu", "mem", "io",
)  # fmt: skip
_AFTER_CATEGORY = ("iow", "pe_taskid", "maxvmem", "arid", "ar_sub_time")
_MORE = 30
"""Most fields that other versions add."""
_COMMENT = "#"


def is_accounting_line(line: str) -> bool:
    """Return whether a line is a record of the accounting file."""
    return not line.startswith(_COMMENT) and _category_length(line.split(":")) is not None


def read_lines(text: str) -> Iterator[dict[str, str]]:
    """Yield the records of the file by the names that qacct prints; other lines are left out."""
    for line in text.splitlines():
        fields = line.split(":")
        length = None if line.startswith(_COMMENT) else _category_length(fields)
        if length is None:
            continue
        start = len(_BEFORE_CATEGORY)
        yield {
            **dict(zip(_BEFORE_CATEGORY, fields, strict=False)),
            "category": ":".join(fields[start : start + length]),
            **dict(zip(_AFTER_CATEGORY, fields[start + length :], strict=False)),
        }


def _category_length(fields: list[str]) -> int | None:
    """Return how many fields the category takes, which may have colons in it; None for another line.

    What follows it begins with two numbers around a name: other versions add fields at the end.
    """
    if not (fields[5:6] and fields[5].isdigit() and all(map(_is_number, fields[8:17]))):
        return None
    rest = fields[len(_BEFORE_CATEGORY) :]
    for length in range(1, min(len(rest) - 2, _MORE)):
        if _is_number(rest[length]) and _is_number(rest[length + 2]):
            return length
    return None


def _is_number(text: str) -> bool:
    return text.isascii() and text.replace(".", "", 1).isdigit()

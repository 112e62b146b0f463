"""Which records of Grid Engine are one attempt to run a job, and which attempts are one job.

A record tells of an array task, or of a slave of a parallel job. ``qacct`` leaves out which slave it is, and
times of submission change when a job is run again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from simherd.accounting.quantities import read_count, read_moment, read_number
from simherd.schedulers.sge_accounting import RUNS_AGAIN, Record, task_of

__all__ = ["RUN_AGAIN", "attempts_by_job", "has_environment", "master_of", "wall_of"]

RUN_AGAIN = 99
"""Exit code by which a job asks to be run again: qsub(1), option ``-r``."""


def attempts_by_job(records: Iterable[Record]) -> Iterator[list[list[Record]]]:
    """Yield of each job its attempts, and of each the records of its master and slaves."""
    by_id: dict[str, list[Record]] = {}
    for record in records:
        by_id.setdefault(task_of(record), []).append(record)
    for found in by_id.values():
        yield from _jobs(_attempts(found))


def _attempts(records: Iterable[Record]) -> list[list[Record]]:
    """Return records that ran at the same time together: those of slaves come before that of their master."""
    attempts: list[list[Record]] = []
    for record in records:
        together = [record]
        while attempts and _ran_with(attempts[-1], record):
            together = [*attempts.pop(), *together]
        attempts.append(together)
    return attempts


def _ran_with(others: Sequence[Record], record: Record) -> bool:
    begins, ends = min(map(_start, others)), max(map(_end, others))
    if any(map(_is_slave, (*others, record))):
        return begins <= _end(record) and _start(record) <= ends
    return has_environment(record) and begins < _end(record) and _start(record) < ends


def _jobs(attempts: Iterable[list[Record]]) -> Iterator[list[list[Record]]]:
    """Yield the attempts of each of several jobs that had the same id one after another."""
    job: list[list[Record]] = []
    for attempt in attempts:
        if job and not _runs_again(master_of(job[-1]), master_of(attempt)):
            yield job
            job = []
        job.append(attempt)
    yield job


def _runs_again(before: Record, record: Record) -> bool:
    """Return whether a record is of the next attempt of a job, which is submitted anew if it asked."""
    failed, code = read_count(before.get("failed", "")), read_count(before.get("exit_status", ""))
    return failed in RUNS_AGAIN or code == RUN_AGAIN or before.get("qsub_time") == record.get("qsub_time")


def master_of(records: Sequence[Record]) -> Record:
    """Return the record of the master: the longest one, if nothing says which are of slaves."""
    return min(records, key=lambda one: (_is_slave(one), -(wall_of(one) or 0.0)))


def _start(record: Record) -> float:
    return _timestamp(record, "start_time")


def _end(record: Record) -> float:
    return _timestamp(record, "end_time")


def _timestamp(record: Record, name: str) -> float:
    moment = read_moment(record.get(name, ""))
    return -math.inf if moment is None else moment.timestamp()


def wall_of(record: Record) -> float | None:
    """Return the wall time in s; what is printed of it is zero for some jobs that failed."""
    printed, between = read_number(record.get("ru_wallclock", "")), _end(record) - _start(record)
    return printed if printed or not math.isfinite(between) else max(between, 0.0)


def _is_slave(record: Record) -> bool:
    return record.get("pe_taskid", "NONE") != "NONE"


def has_environment(record: Record) -> bool:
    """Return whether a record is of a job in a parallel environment."""
    return record.get("granted_pe", "NONE") not in ("", "NONE")

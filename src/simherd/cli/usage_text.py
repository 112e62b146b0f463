"""Use of jobs for people: a table, the totals, and what to change."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from simherd.accounting import (
    Finding,
    JobUsage,
    Level,
    Totals,
    add_up,
    cpu_efficiency,
    diagnose,
    time_efficiency,
)
from simherd.accounting.efficiency import HOUR_S
from simherd.accounting.facts import percent
from simherd.accounting.overhead import diagnose_store
from simherd.cli.called import simherd_command
from simherd.control_characters import without_controls
from simherd.progress.words import counted, format_duration, listed
from simherd.resources import format_bytes

if TYPE_CHECKING:  # it loads Zarr
    from simherd.accounting.of_store import StoreUsage

__all__ = ["lines_of"]

ROWS = 40
SAME_KIND = 3
"""Findings of a kind that are shown: those of the largest jobs."""
LEAST_WIDTH = 100
"""Width that a table may have, also on a narrower terminal."""
_RANK = {Level.PROBLEM: 0, Level.WARNING: 1, Level.GOOD: 2, Level.NOTE: 3}
_MARKS = {Level.PROBLEM: "Problem", Level.WARNING: "Warning", Level.GOOD: "Good", Level.NOTE: "Note"}
_HEADINGS = ("Job", "Name", "State", "Took", "Walltime", "Cores", "CPU", "Memory", "Asked", "Core-hours")
_TEXTS = ("Job", "Name", "State")
_NAME_WIDTH = 20
_MISSING = "no data"


def lines_of(usages: Sequence[JobUsage], store: StoreUsage | None) -> Iterator[str]:
    """Yield what jobs used, in words."""
    if usages:
        yield from _table(usages)
    if len(usages) > ROWS:
        yield f"... and {len(usages) - ROWS} more; --json has all."
    if usages:
        yield ""
        yield from _total_lines(add_up(usages))
    if store is not None:
        yield from _store_lines(store)
    for finding, where in _grouped(usages, store):
        yield ""
        yield f"{_MARKS[finding.level]}{where}: {finding.sentence}"
        if finding.line:
            yield f"  Change: {finding.line}"


def _table(usages: Sequence[JobUsage]) -> Iterator[str]:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for heading in _HEADINGS:
        side: Literal["left", "right"] = "left" if heading in _TEXTS else "right"
        table.add_column(heading, justify=side, no_wrap=heading != "Name", overflow="ellipsis")
    for usage in usages[:ROWS]:
        table.add_row(*(Text(without_controls(cell)) for cell in _cells(usage)))
    text = io.StringIO()
    width = max(LEAST_WIDTH, shutil.get_terminal_size().columns)
    Console(file=text, width=width, color_system=None, legacy_windows=False).print(table)
    yield from (line.rstrip() for line in text.getvalue().splitlines())


def _cells(usage: JobUsage) -> Iterator[str]:
    yield usage.label
    yield _short(usage.name)
    yield usage.state.value
    yield _MISSING if usage.wall_s is None else format_duration(usage.wall_s)
    yield percent(time_efficiency(usage))
    yield str(usage.cores) if usage.cores else _MISSING
    yield percent(cpu_efficiency(usage))
    yield _bytes(usage.memory_bytes)
    yield _bytes(usage.memory_asked_bytes)
    yield _MISSING if usage.core_s is None else _hours(usage.core_s / HOUR_S)


def _short(name: str) -> str:
    return name if len(name) <= _NAME_WIDTH else f"{name[: _NAME_WIDTH - 3]}..."


def _hours(hours: float) -> str:
    return f"{hours:,.2f}" if hours >= 0.1 or not hours else f"{hours:.2g}"


def _bytes(nbytes: int | None) -> str:
    return _MISSING if nbytes is None else format_bytes(nbytes)


def _total_lines(totals: Totals) -> Iterator[str]:
    attempts = f" in {totals.attempts} attempts" if totals.attempts > totals.jobs else ""
    lost = (
        f", {_hours(totals.lost_core_hours)} of them in jobs that ended badly"
        if totals.lost_core_hours
        else ""
    )
    yield f"Total       {counted(totals.jobs, 'job')}{attempts}, {_hours(totals.core_hours)} core-hours{lost}"
    shares = [("CPU", totals.cpu), ("memory", totals.memory), ("walltime", totals.time)]
    yield "Efficiency  " + ", ".join(f"{name} {percent(share)}" for name, share in shares)
    if totals.unmeasured:
        yield f"            {counted(totals.unmeasured, 'attempt')} without data of CPU time left out"


def _store_lines(store: StoreUsage) -> Iterator[str]:
    simulations = store.simulations
    if not store.usages:
        yield "Jobs        no job of SLURM or Grid Engine is recorded in the store"
    if store.unasked:
        ids = listed(one.job.job_id for one in store.unasked)
        yield f"            accounting of {store.unasked[0].job.scheduler} cannot be read: jobs {ids}"
    each = store.core_hours_per_thousand
    cost = "" if each is None else f", {each:.3g} core-hours per 1,000 simulations"
    yield f"Simulations {simulations.done:,} done, {simulations.failed:,} failed{cost}"
    if store.computing is not None:
        failing = percent(store.failing)
        yield f"Allocation  {percent(store.computing)} computing, {failing} in simulations that failed"
    if store.computing is not None and store.computing > 1:
        yield "            more than all of it: some simulations ran elsewhere, or several on a core"
    if simulations.failed:
        yield f"See errors  {simherd_command('failures', 'STORE')}"


def _grouped(usages: Sequence[JobUsage], store: StoreUsage | None) -> Iterator[tuple[Finding, str]]:
    """Yield the findings, the worst first, with the jobs that each is about; of each kind only a few."""
    for finding in () if store is None else diagnose_store(store):
        yield finding, ""
    found: dict[Finding, list[JobUsage]] = {}
    for usage in sorted(usages, key=lambda one: -(one.core_s or 0.0)):
        for finding in diagnose(usage):
            found.setdefault(finding, []).append(usage)
    kinds: dict[str, list[tuple[Finding, list[JobUsage]]]] = {}
    for finding, jobs in sorted(found.items(), key=lambda one: _RANK[one[0].level]):
        kinds.setdefault(finding.rule, []).append((finding, jobs))
    for same in kinds.values():
        for finding, jobs in same[:SAME_KIND]:
            yield finding, "" if len(usages) == 1 else f", {_named(jobs)}"
        rest = sum(len(jobs) for _, jobs in same[SAME_KIND:])
        if rest:
            yield _rest_of(same[0][0], rest), ""


def _rest_of(finding: Finding, count: int) -> Finding:
    sentence = f"{counted(count, 'smaller job')} with the same finding ({finding.rule}): --json has all."
    return Finding(rule=finding.rule, level=finding.level, sentence=sentence)


def _named(jobs: Sequence[JobUsage]) -> str:
    return f"{'job' if len(jobs) == 1 else 'jobs'} {listed(one.label for one in jobs)}"

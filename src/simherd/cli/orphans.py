"""``simherd doctor --orphans``: jobs that killed runs left are found and cancelled."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from simherd.cli.exits import Exit
from simherd.cli.output import say
from simherd.progress.words import counted

if TYPE_CHECKING:
    from simherd.doctor.orphans import Orphans

__all__ = ["cancel_orphans"]


def cancel_orphans(yes: bool, as_json: bool) -> Exit:
    """Show jobs that killed runs left, and cancel them if that is wanted.

    Parameters
    ----------
    yes : bool
        Whether to cancel without asking, and to forget what cannot be cancelled from here; what is not a
        terminal cannot be asked, and cancels nothing.
    as_json : bool
        Whether to print data, and not to ask.

    Returns
    -------
    Exit
        DONE if none is left, ERROR if some are.
    """
    from simherd.doctor.orphans import cancel, find_orphans, forget

    found = find_orphans()
    jobs = sum(len(one.jobs) for one in found)
    forgettable = [one for one in found if one.is_forgettable]
    if not as_json:
        _show(found)
    is_wanted = yes or (bool(jobs) and not as_json and _asks(jobs))
    if is_wanted and jobs:
        cancel(found)
    if yes:
        forget(forgettable)
    if as_json:
        say(json.dumps([_as_data(one, is_wanted, yes) for one in found]))
    else:
        if jobs:
            say(_said_of_cancelled(jobs, is_wanted))
        if forgettable:
            say(_said_of_forgotten(sum(len(one.entry.jobs) for one in forgettable), yes))
    is_left = any(one.problem and not (yes and one.is_forgettable) for one in found)
    return Exit.ERROR if (jobs and not is_wanted) or is_left else Exit.DONE


def _said_of_cancelled(jobs: int, is_wanted: bool) -> str:
    return f"Cancelled {counted(jobs, 'job')}." if is_wanted else "Nothing is cancelled: --yes does."


def _said_of_forgotten(jobs: int, yes: bool) -> str:
    what = f"{counted(jobs, 'job')} that simherd cannot cancel"
    return f"Forgot {what}." if yes else f"--yes forgets {what}."


def _asks(jobs: int) -> bool:
    return sys.stdin.isatty() and click.confirm(f"Cancel {counted(jobs, 'job')}?", default=False)


def _show(found: Sequence[Orphans]) -> None:
    if not found:
        say("No killed run has left a job.")
    for one in found:
        say(f"{one.entry.kind}: left by {one.owner}")
        for job in one.jobs:
            where = f" on {job.node}" if job.node else ""
            why = f" ({job.reason})" if job.reason and job.state.is_waiting else ""
            say(f"  job {job.job_id}: {job.state.value}{where}{why}")
        if one.problem:
            listed = f"jobs {', '.join(one.entry.jobs)}: " if one.entry.jobs else ""
            say(f"  {listed}{one.problem}")


def _as_data(one: Orphans, is_cancelled: bool, yes: bool) -> dict[str, Any]:
    return {
        "kind": one.entry.kind,
        "host": one.entry.host,
        "pid": one.entry.pid,
        "jobs": [{"job_id": job.job_id, "state": job.state.value, "node": job.node} for job in one.jobs],
        "job_ids": one.entry.jobs,
        "is_cancelled": is_cancelled and bool(one.jobs),
        "is_forgotten": yes and one.is_forgettable,
        "problem": one.problem,
    }

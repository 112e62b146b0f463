"""``simherd usage``: what jobs used of what they asked for, and what to change."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from simherd.cli.output import say

if TYPE_CHECKING:
    from simherd.accounting import JobUsage
    from simherd.accounting.of_store import StoreUsage

__all__ = ["command"]

STDIN = "-"
_JOB_ID = re.compile(r"\d+([._]\d+)?(\+\d+)?", re.ASCII)


@click.command()
@click.argument("jobs", nargs=-1, metavar="[JOBID...|STORE|-]")
@click.option("--scheduler", type=click.Choice(["slurm", "sge"]), help="Batch scheduler of the job ids.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(jobs: tuple[str, ...], scheduler: str | None, as_json: bool) -> None:
    r"""Show how well jobs used what they asked for, and what to change.

    Efficiency of cores, memory and walltime, and a diagnosis, from the accounting of the batch scheduler.

    JOBID is a job or array task of SLURM or Grid Engine; STORE means all jobs that worked on a store.
    With - the text of qacct, sacct or Grid Engine's accounting file is read from standard input.

    \b
    simherd usage 3524046
    simherd usage results.zarr --json
    qacct -j 3524046 | simherd usage -
    sacct --parsable2 -j 118 --format=ALL | simherd usage -
    """
    store = None
    if jobs == (STDIN,) or (not jobs and not sys.stdin.isatty()):
        usages = _from_stdin(scheduler)
    elif len(jobs) == 1 and _is_store(jobs[0]):
        store = _from_store(jobs[0], scheduler)
        usages = list(store.usages)
    else:
        usages = _from_scheduler(jobs, scheduler)
    _show(usages, store, as_json)


def _show(usages: Sequence[JobUsage], store: StoreUsage | None, as_json: bool) -> None:
    from simherd.cli.usage_data import as_data
    from simherd.cli.usage_text import lines_of

    if as_json:
        say(json.dumps(as_data(usages, store)))
    else:
        say("\n".join(lines_of(usages, store)))


def _is_store(text: str) -> bool:
    return not _JOB_ID.fullmatch(text) and (os.path.exists(text) or os.sep in text or text.endswith(".zarr"))


def _from_stdin(scheduler: str | None) -> list[JobUsage]:
    from simherd.accounting import parse_any

    if scheduler is not None:
        raise click.UsageError("--scheduler has no effect for a text: leave it out.")
    return parse_any(sys.stdin.buffer.read().decode(errors="replace"))


def _from_store(store: str, scheduler: str | None) -> StoreUsage:
    from simherd.accounting.of_store import store_usage

    if scheduler is not None:
        raise click.UsageError("--scheduler has no effect for a store, which has recorded it: leave it out.")
    return store_usage(store)


def _from_scheduler(job_ids: Sequence[str], scheduler: str | None) -> list[JobUsage]:
    from simherd.accounting import job_usage

    if not job_ids:
        raise click.UsageError("Give ids of jobs, a store, or - to read the text of qacct or sacct.")
    wrong = [job_id for job_id in job_ids if not _JOB_ID.fullmatch(job_id)]
    if wrong:
        raise click.UsageError(
            f"{wrong[0]!r} is neither a job id, such as 123, 123_4 (SLURM) or 123.4 (Grid Engine), nor the "
            "folder of a store."
        )
    return job_usage(job_ids, scheduler)

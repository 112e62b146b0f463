"""``simherd script``: print the job script of an experiment."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from simherd.cli.job_request import job_options, read_job, say_cautions, with_array_limit
from simherd.cli.output import say
from simherd.errors import SchedulerError

__all__ = ["command"]

SMALL_ARRAY = 1000
"""Tasks of an array job that any site takes: SLURM's own default."""


@click.command()
@job_options
@click.option("--output", metavar="FILE", help="Write it there.")
@click.pass_context
def command(ctx: click.Context, /, output: str | None, **given: Any) -> None:
    r"""Print the job script of an experiment.

    \b
    simherd script experiment.yaml --scheduler slurm --jobs 8 --walltime 01:00:00
    simherd script experiment.yaml --scheduler sge --mode mpi --ntasks 8 --memory 48GiB
    simherd script experiment.yaml --scheduler slurm --mode jobqueue --jobs 4 --cores 8 --output job.sh
    """
    from simherd.config import using_file
    from simherd.jobs import render
    from simherd.schedulers import find

    ctx.with_resource(using_file(given["config"]))
    job = read_job(given)
    say_cautions(job)
    scheduler = find(job.plan.scheduler)
    if job.plan.shares > SMALL_ARRAY and scheduler.is_installed():
        with suppress(SchedulerError):
            job = with_array_limit(job, scheduler.site().max_array_tasks)
    if output is None:
        say(render(job.plan, "SCRIPT"), nl=False)
        return
    text = render(job.plan, output)
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.FileError(output, error.strerror or str(error)) from error
    say(f"wrote {output}")

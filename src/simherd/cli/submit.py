"""``simherd submit``: submit the job script of an experiment."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from simherd.cli.job_request import Job, job_options, read_job, with_array_limit

if TYPE_CHECKING:
    from simherd.errors import SchedulerError
    from simherd.schedulers import BatchScheduler

__all__ = ["command"]


@click.command()
@job_options
@click.option("--here", is_flag=True, help="jobqueue: run scheduler and client here, not as a job.")
@click.option("--dry-run", is_flag=True, help="Print the script and the command, submit nothing.")
@click.pass_context
def command(ctx: click.Context, /, here: bool, dry_run: bool, **given: Any) -> None:
    r"""Submit the job script of an experiment, and print the job id.

    \b
    simherd submit experiment.yaml --scheduler slurm --jobs 8 --walltime 01:00:00
    simherd submit experiment.yaml --scheduler sge --mode mpi --ntasks 8 --dry-run
    """
    from simherd.config import using_file

    ctx.with_resource(using_file(given["config"]))
    job = read_job(given)
    if here:
        _run_here(job, dry_run)
    elif dry_run:
        _show(job)
    else:
        scheduler = _reached(job)
        for job_id in _submit(_checked(job, scheduler), scheduler):
            click.echo(job_id)


def _run_here(job: Job, dry_run: bool) -> None:
    """Run the command of a mode jobqueue where this is called, such as in tmux on a login node."""
    from simherd.jobs import Mode, command_words

    if job.plan.mode is not Mode.JOBQUEUE:
        raise click.UsageError("--here is for --mode jobqueue: the other modes run in jobs alone.")
    words = command_words(job.plan)
    if dry_run:
        click.echo(shlex.join(words))
    else:
        _become(words)


def _become(words: list[str]) -> NoReturn:
    """Go on as another program: nothing stays in between that signals would end before, or instead of, it."""
    from simherd.errors import SubmitError

    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execvp(words[0], words)
    except OSError as error:
        raise SubmitError(
            f"Cannot run {shlex.join(words)} here: {error.strerror}.",
            fix=f"make {words[0]!r} available, such as by activating its environment.",
            argv=words,
        ) from error


def _reached(job: Job) -> BatchScheduler:
    from simherd.errors import SchedulerError
    from simherd.schedulers import find

    scheduler = find(job.plan.scheduler)
    if not scheduler.is_installed():
        raise SchedulerError(
            f"The commands of {scheduler.words.scheduler} are not on this machine.",
            fix="run this where jobs are submitted; --dry-run prints what would be.",
        )
    return scheduler


def _checked(job: Job, scheduler: BatchScheduler) -> Job:
    """Refuse what can never run, and split array jobs as the site needs it."""
    from simherd.experiment.assemble import assemble
    from simherd.schedulers.limits import check_request

    site = scheduler.site()
    for request in job.requests:
        check_request(request, site, scheduler)
    assemble(job.experiment)
    return with_array_limit(job, site.max_array_tasks)


def _show(job: Job) -> None:
    """Print what would be submitted: checked against the site's limits where there is one."""
    from simherd.jobs import render, submit_commands
    from simherd.schedulers import find

    scheduler = find(job.plan.scheduler)
    job = _checked(job, scheduler) if scheduler.is_installed() else job
    path = str(_path(job))
    click.echo(render(job.plan, path), nl=False)
    for line in submit_commands(job.plan, path):
        click.echo(f"# would run: {line}")


def _submit(job: Job, scheduler: BatchScheduler) -> Iterator[str]:
    """Give the id of each job as soon as it is submitted."""
    from simherd.errors import SchedulerError

    path = _written(job)
    submitted: list[str] = []
    for arguments, of_script in _calls(job):
        try:
            submitted.append(scheduler.submit(path, arguments, of_script))
        except SchedulerError as error:
            if not submitted:
                raise
            raise _partly(job, submitted, error) from error
        yield submitted[-1]
    click.echo(f"Submitted {path}; its log comes into {job.plan.log_directory}/.", err=True)


def _written(job: Job) -> Path:
    from simherd.jobs import render

    path = _path(job)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render(job.plan, str(path)), encoding="utf-8")
    return path


def _calls(job: Job) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
    """Give the arguments of the submitting command, and of the script, for each job."""
    from simherd.jobs import dialect_of

    array_jobs = list(job.plan.array_jobs(job.plan.site.array_limit)) if job.plan.is_array else []
    if len(array_jobs) <= 1:
        yield (), ()
        return
    dialect = dialect_of(job.plan.scheduler)
    for one in array_jobs:
        yield dialect.array_arguments(job.plan, one), (str(one.offset),)


def _partly(job: Job, submitted: Sequence[str], error: SchedulerError) -> SchedulerError:
    """Return the error that says what is in the queue all the same, and how to submit the rest."""
    from simherd.errors import SubmitError
    from simherd.jobs import submit_commands

    commands = submit_commands(job.plan, str(_path(job)))
    rest = " && ".join(commands[len(submitted) :])
    return SubmitError(
        f"{error.message} Submitted before, and in the queue: {', '.join(submitted)}, "
        f"{len(submitted)} of {len(commands)} array jobs.",
        fix=f"{error.fix.rstrip('. ')}; then submit the rest: {rest}"
        if error.fix
        else f"submit the rest: {rest}",
        argv=error.argv,
        returncode=error.returncode,
        stderr=error.stderr,
    )


def _path(job: Job) -> Path:
    """Return where the script is kept: with the logs, so that it can be seen what ran."""
    return Path(job.plan.log_directory) / f"{job.plan.name}-{job.plan.mode}.sh"

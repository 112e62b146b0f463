"""``simherd submit``: submit the job script of an experiment."""

from __future__ import annotations

import itertools
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from simherd.cli.job_request import Job, job_options, read_job, say_cautions, with_array_limit
from simherd.cli.output import say

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
        return
    say_cautions(job)
    if dry_run:
        _show(job)
    else:
        scheduler = _reached(job)
        for job_id in _submit(_checked(job, scheduler), scheduler):
            say(job_id)


def _run_here(job: Job, dry_run: bool) -> None:
    """Run the command of a mode jobqueue where this is called, such as in tmux on a login node."""
    from simherd.jobs import Mode, command_words

    if job.plan.mode is not Mode.JOBQUEUE:
        raise click.UsageError("--here is for --mode jobqueue: the other modes run in jobs alone.")
    words = command_words(job.plan)
    if dry_run:
        say(shlex.join(words))
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
    from simherd.cli.going import check_store
    from simherd.experiment.assemble import assemble
    from simherd.schedulers.limits import check_request

    site = scheduler.site()
    for request in job.requests:
        check_request(request, site, scheduler)
    assembled = assemble(job.experiment)
    check_store(assembled, _going(job))
    job = _with_tasks_for(job, assembled.prepared.setup.simulations)
    return with_array_limit(job, site.max_array_tasks)


def _going(job: Job) -> dict[str, Any]:
    """Return how the job's run goes on: of a folder that is there only a store of a batch is gone on with."""
    from simherd.store.batch_store import is_begun
    from simherd.store.places import as_folder

    goes_on = job.experiment.batch is None or is_begun(as_folder(str(job.experiment.run.store)))
    share = (1, job.plan.shares) if job.plan.is_array else None
    return {"resume": goes_on, "share": share, "overwrite": False}


def _with_tasks_for(job: Job, simulations: int) -> Job:
    """Return a job without array tasks that would have no simulation to run."""
    size = job.experiment.run.block_size
    blocks = -(-simulations // size) if isinstance(size, int) else simulations
    if job.plan.shares <= blocks:
        return job
    what = "simulations" if blocks == simulations else f"blocks of {size} simulations"
    say(f"The array job has {blocks} tasks, not {job.plan.shares}: there are no more {what}.", err=True)
    return replace(job, plan=replace(job.plan, shares=blocks))


def _show(job: Job) -> None:
    """Print what would be submitted: checked against the site's limits where there is one."""
    from simherd.cli.cost_text import settings_files
    from simherd.jobs import submit_commands
    from simherd.schedulers import find

    scheduler = find(job.plan.scheduler)
    job = _checked(job, scheduler) if scheduler.is_installed() else job
    path, text = _script(job)
    say(text, nl=False)
    say(f"# settings: {settings_files()}")
    for line in submit_commands(job.plan, str(path)):
        say(f"# would run: {line}")


def _submit(job: Job, scheduler: BatchScheduler) -> Iterator[str]:
    """Give the id of each job as soon as it is submitted."""
    from simherd.errors import SchedulerError

    path, text = _script(job)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    submitted: list[str] = []
    for arguments, of_script in _calls(job):
        try:
            submitted.append(scheduler.submit(path, arguments, of_script))
        except SchedulerError as error:
            if not submitted:
                raise
            raise _partly(job, path, submitted, error) from error
        yield submitted[-1]
    jobs = f"job{'s' if len(submitted) > 1 else ''} {', '.join(submitted)}"
    say(f"Submitted {path} as {jobs}; logs come into {job.plan.log_directory}/.", err=True)


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


def _partly(job: Job, path: Path, submitted: Sequence[str], error: SchedulerError) -> SchedulerError:
    """Return the error that says what is in the queue all the same, and how to submit the rest."""
    from simherd.errors import SubmitError
    from simherd.jobs import submit_commands

    commands = submit_commands(job.plan, str(path))
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


def _script(job: Job) -> tuple[Path, str]:
    """Return the script and where it is kept: with the logs, where none that is another is overwritten.

    So it can be seen what ran, and what a log says to submit again is there.
    """
    from simherd.jobs import render

    name = f"{job.plan.name}-{job.plan.mode}"
    names = itertools.chain([f"{name}.sh"], (f"{name}-{number}.sh" for number in itertools.count(2)))
    for path in (Path(job.plan.log_directory) / name for name in names):
        text = render(job.plan, str(path))
        if not path.exists() or (path.is_file() and path.read_bytes() == text.encode()):
            break
    return path, text

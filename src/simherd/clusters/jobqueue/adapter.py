"""From options to a client whose workers are jobs."""

from __future__ import annotations

import socket
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simherd.clusters.checks import is_word
from simherd.clusters.jobqueue.diagnosis import end_of_log, log_of
from simherd.clusters.jobqueue.fleet import Fleet
from simherd.clusters.jobqueue.herd import Herd
from simherd.clusters.jobqueue.kinds import Kind
from simherd.clusters.jobqueue.options import JobOptions, read_options, request_of
from simherd.clusters.jobqueue.pool import JobPool, PoolPlan
from simherd.clusters.jobqueue.script import Scripts, dask_jobqueue
from simherd.clusters.jobqueue.submitting import PlainScheduler
from simherd.clusters.journal import Journal
from simherd.clusters.scheduler import start_scheduler
from simherd.clusters.security import address_of, as_security, credential_files, write_credentials
from simherd.errors import ClusterError, ClusterOptionError
from simherd.progress.notices import Notices, notice
from simherd.progress.words import counted, format_duration, listed
from simherd.resources import format_bytes, format_walltime
from simherd.schedulers import SCHEDULERS, BatchScheduler, Site, find
from simherd.schedulers.limits import check_request
from simherd.threads import guarding

if TYPE_CHECKING:
    from simherd.clusters.base import OwningClient

__all__ = ["open_jobs", "worker_script"]

POLL_S = 0.02
SAY_AFTER_S = 3.0
ADDRESS = "<address of the Dask scheduler>"
KEYS = "simherd-keys-"
FOLDER = "<folder of this cluster>"
"""What stands in a script that is only shown for the folder of keys and logs."""


def worker_script(kind: Kind, given: Mapping[str, Any]) -> str:
    """Return the script of a worker's job as it is submitted, but for address, folder and name of the worker.

    Nothing is contacted, and no file is made.

    Raises
    ------
    ClusterOptionError
        If an option is wrong.
    """
    options = read_options(kind, given)
    security = as_security(options.security, is_wanted=True)
    shared = options.shared_temp_directory
    folder_of_keys = FOLDER if shared is None else f"{shared}/{KEYS}<name>"
    keys = None if security is None else credential_files(security, folder_of_keys)
    with tempfile.TemporaryDirectory() as folder:  # as dask-jobqueue makes the folder that it is given
        scripts = Scripts(
            kind=kind,
            options=options,
            address=f"{'tcp' if keys is None else 'tls'}://{ADDRESS}",
            security=keys,
            log_directory=folder,
        )
        return scripts.text("job-0").replace(folder, options.log_directory or FOLDER)


def open_jobs(kind: Kind, given: Mapping[str, Any]) -> OwningClient:
    """Start a Dask scheduler, submit jobs with workers, and return a client once one has connected.

    Parameters
    ----------
    kind : Kind
        The batch scheduler.
    given : mapping
        Options, on top of those of jobqueue.yaml.

    Raises
    ------
    ClusterOptionError
        If an option is wrong, or the scheduler could never start such a job.
    SubmitError
        If the scheduler refuses a job.
    ClusterError
        If the jobs end before a worker connects.
    """
    options = read_options(kind, given)
    with ThreadPoolExecutor(1) as asking, ExitStack() as stack:
        scheduler = _batch_scheduler(kind, options)
        site = asking.submit(scheduler.site)  # while Dask is imported
        from simherd.clusters.base import ended_by_signals

        stack.enter_context(ended_by_signals())
        journal = Journal(kind.name)
        stack.callback(journal.remove)
        stack.enter_context(guarding(options.guard_threads))
        client, pool = _start(kind, options, scheduler, site, journal, stack)
    try:
        _wait(pool, client, options)
    except BaseException:
        client.close()
        raise
    return client


def _batch_scheduler(kind: Kind, options: JobOptions) -> BatchScheduler:
    if kind.name in SCHEDULERS:
        scheduler = find(kind.name)
    else:
        scheduler = PlainScheduler(kind, getattr(dask_jobqueue(), kind.cluster).job_cls, options.own)
    if scheduler.is_installed():
        return scheduler
    raise ClusterError(
        f"The commands of {kind.title} are not on this machine.",
        fix="run where jobs are submitted, or choose another kind of cluster (simherd doctor shows which).",
    )


def _start(
    kind: Kind,
    options: JobOptions,
    scheduler: BatchScheduler,
    site: Future[Site],
    journal: Journal,
    stack: ExitStack,
) -> tuple[OwningClient, JobPool]:
    from simherd.clusters.base import OwningClient

    host = _host(options)
    security = as_security(options.security, is_wanted=True)
    scripts = Scripts(
        kind=kind,
        options=options,
        address=ADDRESS,
        security=None
        if security is None
        else write_credentials(security, _keys_folder(options, journal, stack)),
        log_directory=_log_directory(options, journal),
    )
    scripts.job("job-0")
    check_request(request_of(kind, options), site.result(), scheduler)
    jobs_end = stack.enter_context(ExitStack())
    cluster = stack.enter_context(_scheduler_only(options, host, security))
    scripts = replace(scripts, address=cluster.scheduler_address)
    plan = PoolPlan(
        title=kind.title,
        least=options.adapt[0] if options.adapt else options.jobs,
        first=options.jobs,
        most=options.most_jobs,
        threads_per_job=options.tasks,
        logs=Path(scripts.log_directory or journal.folder),
    )
    pool = JobPool(Fleet(scheduler, scripts.text, journal.folder, Herd(cluster), journal), plan)
    notice(_asked_for(kind, options))
    if (caution := kind.caution(scripts.text("job-0"))) is not None:
        notice(caution)
    jobs_end.callback(pool.close)
    stack.callback(pool.stop)
    pool.start()
    notice(f"Jobs of {kind.title}: {listed(job.job_id for job in pool.jobs)}.")
    return OwningClient(cluster, stack, keeper=pool), pool


def _host(options: JobOptions) -> str:
    given = options.scheduler_options
    return str(given["host"] if "host" in given else address_of(given.get("interface", options.interface)))


def _keys_folder(options: JobOptions, journal: Journal, stack: ExitStack) -> Path:
    """Return a folder that only the user may enter, and that ends with the cluster."""
    if options.shared_temp_directory is None:
        return journal.folder
    parent = Path(options.shared_temp_directory).expanduser()
    try:
        folder = tempfile.TemporaryDirectory(prefix=KEYS, dir=parent, ignore_cleanup_errors=True)
    except OSError as error:
        raise ClusterOptionError(
            f"The workers' keys cannot be put into shared_temp_directory={str(parent)!r}: {error.strerror}.",
            fix="name a folder that you may write and that all nodes see, or leave it out.",
        ) from error
    return Path(stack.enter_context(folder))


def _log_directory(options: JobOptions, journal: Journal) -> str:
    """Return the folder of the jobs' logs, whose name stands in directives without quotes."""
    folder = options.log_directory or str(journal.folder)
    if is_word(folder):
        return folder
    raise ClusterOptionError(
        f"The logs of jobs cannot go to {folder!r}: directives take no spaces or quotes.",
        fix="give log_directory, or an XDG_STATE_HOME without them.",
    )


def _scheduler_only(options: JobOptions, host: str, security: Any) -> Any:
    """Return a Dask cluster that has a scheduler, and gets its workers from elsewhere."""
    given = {name: value for name, value in options.scheduler_options.items() if name != "interface"}
    return start_scheduler(
        host, security, dashboard_address=options.dashboard_address, name=options.name, options=given
    )


def _wait(pool: JobPool, client: OwningClient, options: JobOptions) -> None:
    """Wait for the first worker, saying what for."""
    notices, begun = Notices(), time.monotonic()
    while not pool.has_workers:
        time.sleep(POLL_S)
        waited = time.monotonic() - begun
        if pool.failure is not None:
            raise pool.failure
        if options.wait_timeout is not None and waited > options.wait_timeout:
            raise ClusterError(
                f"No worker connected within {format_duration(options.wait_timeout)}. "
                f"Jobs: {pool.describe()}.{_said_by_one(pool)}",
                fix="wait longer (wait_timeout), or ask for less.",
            )
        if waited > SAY_AFTER_S:
            notices.say(f"Waiting for the first worker. Jobs: {pool.describe()}.")
    if options.dashboard_address is not None and (hint := _dashboard_hint(client)) is not None:
        notice(hint)


def _said_by_one(pool: JobPool) -> str:
    """Return the end of the log of a job that has one: the file may go when the cluster closes."""
    ends = ((job.job_id, end_of_log(log_of(job.job_id, pool.plan.logs))) for job in pool.jobs)
    return next((f" The end of the log of job {job_id}:{end}\n" for job_id, end in ends if end), "")


def _asked_for(kind: Kind, options: JobOptions) -> str:
    jobs = counted(options.jobs, "job")
    size = f"{counted(options.cores, 'core')}, {format_bytes(options.memory)}"
    more = f" (up to {options.most_jobs} as needed)" if options.most_jobs > options.jobs else ""
    limit = f", {format_walltime(options.walltime)}" if kind.has_walltime else ""
    return f"Submitting {jobs}{more} to {kind.title}: {size}{limit} each."


def _dashboard_hint(client: OwningClient) -> str | None:
    """Return where the dashboard is, and how it is reached from another machine."""
    port = client.dashboard_port
    if port is None:
        return None
    tunnel = f"ssh -N -L {port}:127.0.0.1:{port} {socket.gethostname()}"
    return f"Dashboard: {client.dashboard_link} (from elsewhere: {tunnel})"

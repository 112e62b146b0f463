"""From options to a client whose workers are jobs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from simherd.clusters.base import OwningClient
from simherd.clusters.jobqueue.herd import Herd
from simherd.clusters.jobqueue.kinds import Kind
from simherd.clusters.jobqueue.options import JobOptions, read_options
from simherd.clusters.jobqueue.pool import JobPool, PoolPlan
from simherd.clusters.jobqueue.script import Scripts, dask_jobqueue
from simherd.clusters.jobqueue.submitting import PlainScheduler
from simherd.clusters.journal import Journal
from simherd.clusters.security import address_of, as_security, write_credentials
from simherd.errors import ClusterError, ClusterOptionError
from simherd.progress.notices import Notices, notice
from simherd.progress.words import counted, format_duration
from simherd.resources import format_bytes, format_walltime
from simherd.schedulers import KNOWN, BatchScheduler, JobRequest, Site, find
from simherd.schedulers.limits import check_request

__all__ = ["open_jobs", "worker_script"]

POLL_S = 0.02
SAY_AFTER_S = 3.0
ADDRESS = "tcp://<address of the Dask scheduler>"


def worker_script(kind: Kind, given: Mapping[str, Any]) -> str:
    """Return the script of a worker's job, without contacting anything.

    Raises
    ------
    ClusterOptionError
        If an option is wrong.
    """
    options = read_options(kind, given)
    return Scripts(kind=kind, options=options, address=ADDRESS, log_directory=options.log_directory).text("job-0")


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
        scheduler = _batch_scheduler(kind)
        site = asking.submit(scheduler.site)  # while Dask is imported
        journal = Journal(kind.name)
        stack.callback(journal.remove)
        client, pool = _start(kind, options, scheduler, site, journal, stack)
    try:
        _wait(pool, client, options)
    except BaseException:
        client.close()
        raise
    return client


def _batch_scheduler(kind: Kind) -> BatchScheduler:
    if kind.name in KNOWN:
        scheduler = find(kind.name)
    else:
        scheduler = PlainScheduler(kind, getattr(dask_jobqueue(), kind.cluster).job_cls)
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
    host = _host(options)
    security = as_security(options.security, host)
    scripts = Scripts(
        kind=kind,
        options=options,
        address=ADDRESS,
        security=None if security is None else write_credentials(security, _keys_folder(options, journal)),
        log_directory=options.log_directory or str(journal.folder),
    )
    scripts.job("check")
    check_request(_request(options), site.result(), scheduler)
    cluster = stack.enter_context(_scheduler_only(options, host, security))
    scripts = _at(scripts, cluster.scheduler_address)
    plan = PoolPlan(
        kind=kind.title,
        write=scripts.text,
        folder=journal.folder,
        least=options.adapt[0] if options.adapt else options.jobs,
        first=options.jobs,
        most=options.most_jobs,
        threads_per_job=options.cores,
        logs=Path(options.log_directory or journal.folder),
    )
    pool = JobPool(scheduler, plan, Herd(cluster), journal)
    return OwningClient(cluster, stack), pool

"""Workers as jobs of HTCondor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simherd.clusters.jobqueue import Kind, open_jobs, option_names, worker_script
from simherd.clusters.jobqueue.options import JobOptions
from simherd.errors import ClusterOptionError

if TYPE_CHECKING:
    from simherd.clusters.base import OwningClient

__all__ = ["KIND", "OPTIONS", "job_script", "open"]


def _arguments(options: JobOptions) -> dict[str, Any]:
    """Give dask-jobqueue what it wants as keys, which elsewhere are lines, and the disk with its unit."""
    found = {"disk": f"{options.own['disk']} B"} if "disk" in options.own else {}
    if not options.directives or isinstance(options.directives, dict):
        return found
    pairs = [line.partition("=") for line in options.directives]
    for key, is_equal, _ in pairs:
        if not (key.strip() and is_equal):
            raise ClusterOptionError(
                f"directives: {key!r} is not allowed: HTCondor takes keys with values.",
                fix="write for instance 'accounting_group = weather'.",
            )
    return {**found, "job_extra_directives": {key.strip(): value.strip() for key, _, value in pairs}}


KIND = Kind(
    name="htcondor",
    title="HTCondor",
    cluster="HTCondorCluster",
    account="",
    has_queue=False,
    has_walltime=False,
    own=("disk", "submit_command_extra", "cancel_command_extra"),
    arguments=_arguments,
    job_id=r"submitted to cluster (\d+)",
)
OPTIONS = option_names(KIND)


def open(**options: Any) -> OwningClient:  # noqa: A001 (the one verb that all adapters have)
    """Submit jobs to HTCondor, each with workers, and return a client; see `simherd.open_client`."""
    return open_jobs(KIND, options)


def job_script(**options: Any) -> str:
    """Return the script of a worker's job."""
    return worker_script(KIND, options)

"""Workers as jobs of SLURM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simherd.clusters.jobqueue import Kind, open_jobs, option_names, worker_script
from simherd.clusters.jobqueue.options import JobOptions

if TYPE_CHECKING:
    from simherd.clusters.base import OwningClient

__all__ = ["KIND", "OPTIONS", "job_script", "open"]


def _arguments(options: JobOptions) -> dict[str, Any]:
    """Ask for memory in MiB: dask-jobqueue rounds it up to GiB."""
    own = {"job_mem": f"{options.memory // 2**20}M", **options.own}
    return {name: value for name, value in own.items() if value is not None}


KIND = Kind(
    name="slurm", title="SLURM", cluster="SLURMCluster", own=("job_cpu", "job_mem"), arguments=_arguments
)
OPTIONS = option_names(KIND)


def open(**options: Any) -> OwningClient:  # noqa: A001 (the one verb that all adapters have)
    """Submit jobs to SLURM, each with workers, and return a client; see `simherd.open_client`."""
    return open_jobs(KIND, options)


def job_script(**options: Any) -> str:
    """Return the script of a worker's job."""
    return worker_script(KIND, options)

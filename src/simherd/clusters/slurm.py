"""Workers as jobs of SLURM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simherd.clusters.jobqueue import Kind, open_jobs, option_names, worker_script
from simherd.clusters.jobqueue.options import JobOptions

if TYPE_CHECKING:
    from simherd.clusters.base import OwningClient

__all__ = ["KIND", "OPTIONS", "job_script", "open"]


def _arguments(options: JobOptions) -> dict[str, Any]:
    """Ask for memory in MiB, which dask-jobqueue rounds up to GiB, and for no second start of a lost job.

    SLURM starts a job anew only after two minutes; it is replaced at once.
    """
    memory = options.own.get("job_mem", options.memory)
    directives = ["--no-requeue", *options.directives]
    return {"job_extra_directives": directives, "job_mem": f"{-(-memory // 2**20)}M"}


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

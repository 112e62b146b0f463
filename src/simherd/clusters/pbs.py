"""Workers as jobs of PBS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simherd.clusters.jobqueue import Kind, open_jobs, option_names, worker_script

if TYPE_CHECKING:
    from simherd.clusters.base import OwningClient

__all__ = ["KIND", "OPTIONS", "job_script", "open"]

KIND = Kind(name="pbs", title="PBS", cluster="PBSCluster", has_resource_spec=True)
OPTIONS = option_names(KIND)


def open(**options: Any) -> OwningClient:  # noqa: A001 (the one verb that all adapters have)
    """Submit jobs to PBS, each with workers, and return a client; see `simherd.open_client`."""
    return open_jobs(KIND, options)


def job_script(**options: Any) -> str:
    """Return the script of a worker's job."""
    return worker_script(KIND, options)

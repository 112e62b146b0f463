"""Workers as jobs of LSF."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simherd.clusters.jobqueue import HandedOver, Kind, open_jobs, option_names, worker_script

if TYPE_CHECKING:
    from simherd.clusters.base import OwningClient

__all__ = ["KIND", "OPTIONS", "job_script", "open"]


def _as_input(script: Path, own: Mapping[str, Any]) -> HandedOver:
    """Hand over the text, as bsub reads no directives from a file; a site may want the file all the same."""
    if own.get("use_stdin", True):
        return HandedOver(stdin=script.read_text())
    return HandedOver(words=(str(script),))


KIND = Kind(
    name="lsf",
    title="LSF",
    cluster="LSFCluster",
    account="project",
    own=("ncpus", "mem", "lsf_units", "use_stdin"),
    walltime_format="%H:%M",
    walltime_may_begin_with_hours=True,
    hand_over=_as_input,
    job_id=r"Job <(\d+)>",
)
OPTIONS = option_names(KIND)


def open(**options: Any) -> OwningClient:  # noqa: A001 (the one verb that all adapters have)
    """Submit jobs to LSF, each with workers, and return a client; see `simherd.open_client`."""
    return open_jobs(KIND, options)


def job_script(**options: Any) -> str:
    """Return the script of a worker's job."""
    return worker_script(KIND, options)

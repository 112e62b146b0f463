"""Workers as jobs of OAR."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simherd.clusters.jobqueue import HandedOver, Kind, open_jobs, option_names, worker_script

if TYPE_CHECKING:
    from simherd.clusters.base import OwningClient

__all__ = ["KIND", "OPTIONS", "job_script", "open"]

DIRECTIVE = "#OAR "


def _as_words(script: Path, own: Mapping[str, Any]) -> HandedOver:
    """Hand over the directives as options, and the rest as the command: nodes need not see the file."""
    text = script.read_text()
    directives = [line.removeprefix(DIRECTIVE) for line in text.splitlines() if line.startswith(DIRECTIVE)]
    return HandedOver(words=(*(word for line in directives for word in shlex.split(line)), text))


KIND = Kind(
    name="oar",
    title="OAR",
    cluster="OARCluster",
    account="project",
    has_resource_spec=True,
    own=("memory_per_core_property_name",),
    hand_over=_as_words,
    job_id=r"OAR_JOB_ID=(\d+)",
)
OPTIONS = option_names(KIND)


def open(**options: Any) -> OwningClient:  # noqa: A001 (the one verb that all adapters have)
    """Submit jobs to OAR, each with workers, and return a client; see `simherd.open_client`."""
    return open_jobs(KIND, options)


def job_script(**options: Any) -> str:
    """Return the script of a worker's job."""
    return worker_script(KIND, options)

"""Workers as jobs of OAR."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simherd.clusters.jobqueue import HandedOver, Kind, open_jobs, option_names, worker_script
from simherd.clusters.jobqueue.options import JobOptions
from simherd.progress.notices import notice

if TYPE_CHECKING:
    from simherd.clusters.base import OwningClient

__all__ = ["KIND", "OPTIONS", "job_script", "open"]

DIRECTIVE = "#OAR "
MEMORY = "memory_per_core_property_name"


def _arguments(options: JobOptions) -> dict[str, Any]:
    """Say what dask-jobqueue leaves open: where logs go, and that memory is not booked unless asked for."""
    if MEMORY not in options.own:
        _say_that_memory_is_not_booked()
    return {
        MEMORY: options.own.get(MEMORY, "not_applicable"),
        "job_extra_directives": [*_logs(options), *options.directives],
    }


def _logs(options: JobOptions) -> tuple[str, ...]:
    if options.log_directory is None:
        return ()
    log = f"{options.log_directory}/{options.name}-%jobid%"
    return f"-O {shlex.quote(f'{log}.out')}", f"-E {shlex.quote(f'{log}.err')}"


@cache
def _say_that_memory_is_not_booked() -> None:
    """Say once what dask-jobqueue would say of each job."""
    notice(
        "OAR does not learn how much memory the jobs need: their nodes may have less. "
        f"Fix: give {MEMORY}, the property of nodes that is their memory per core in MiB "
        "('oarnodes' shows it), or 'not_applicable'."
    )


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
    own=(MEMORY,),
    walltime_may_begin_with_hours=True,
    arguments=_arguments,
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

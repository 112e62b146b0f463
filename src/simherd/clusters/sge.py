"""Workers as jobs of Grid Engine."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from simherd.clusters.jobqueue import Kind, open_jobs, option_names, worker_script
from simherd.clusters.jobqueue.options import JobOptions
from simherd.config import site_settings
from simherd.errors import ClusterOptionError
from simherd.schedulers.address_space import small_address_space

if TYPE_CHECKING:
    from simherd.clusters.base import OwningClient

__all__ = ["KIND", "OPTIONS", "job_script", "open"]

_BOOKING = re.compile(r"-pe\s+(\S+)\s+(\d+)")


def _arguments(options: JobOptions) -> dict[str, Any]:
    """Book slots with a parallel environment, and memory with the resource of the site; run in bash.

    Grid Engine books neither by itself, and many sites let it run scripts in another shell than their first
    line says. A lost job does not run again: another one takes its place.
    """
    site = site_settings("sge")
    resources = [options.resource_spec] if options.resource_spec else []
    if site.memory_resource and site.memory_resource not in (options.resource_spec or ""):
        slots = options.cores if site.memory_is_per_slot else 1
        resources.append(f"{site.memory_resource}={options.memory // slots // 2**20}M")
    directives, environment = ["-S /bin/bash", "-r n", *options.directives], _environment(options)
    if environment is not None and _booking(options) is None:
        directives.append(f"-pe {environment} {options.cores}")
    return {"resource_spec": ",".join(resources) or None, "job_extra_directives": directives}


def _environment(options: JobOptions) -> str | None:
    """Return the parallel environment: as given, in a directive, or the site's for jobs on one host."""
    booked = _booking(options)
    if booked is not None:
        _check_booking(booked[0], int(booked[2]), options.cores)
        return booked[1]
    found = options.parallel_environment or site_settings("sge").parallel_environment
    if found is None and options.cores > 1:
        raise ClusterOptionError(
            f"cores={options.cores}: Grid Engine gives one slot to a job without parallel environment.",
            fix="give parallel_environment='smp' ('qconf -spl' lists them), or "
            "simherd.sge.parallel-environment in jobqueue.yaml.",
        )
    return found


def _booking(options: JobOptions) -> re.Match[str] | None:
    """Return the directive that books slots already, if there is one."""
    return next((found for line in options.directives if (found := _BOOKING.search(line))), None)


def _check_booking(directive: str, slots: int, cores: int) -> None:
    if slots != cores:
        raise ClusterOptionError(
            f"The directive {directive!r} books {slots} slots, and cores={cores}.",
            fix="let them be equal, or leave the directive out and give parallel_environment.",
        )


def _caution(script: str) -> str | None:
    return small_address_space(line for line in script.splitlines() if line.startswith("#$"))


KIND = Kind(
    name="sge",
    title="Grid Engine",
    cluster="SGECluster",
    account="project",
    has_resource_spec=True,
    has_parallel_environment=True,
    arguments=_arguments,
    environment=_environment,
    caution=_caution,
)
OPTIONS = option_names(KIND)


def open(**options: Any) -> OwningClient:  # noqa: A001 (the one verb that all adapters have)
    """Submit jobs to Grid Engine, each with workers, and return a client; see `simherd.open_client`."""
    return open_jobs(KIND, options)


def job_script(**options: Any) -> str:
    """Return the script of a worker's job."""
    return worker_script(KIND, options)

"""Requests that a site can never meet, found before a job is submitted.

The schedulers' own checks let some of them pass: the job then waits for ever.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from simherd.errors import ClusterOptionError, close_matches
from simherd.resources import format_bytes
from simherd.schedulers import find
from simherd.schedulers.base import BatchScheduler, JobRequest, ParallelEnvironment, Partition, Site, Words

__all__ = ["check_request", "find_problems"]


def find_problems(request: JobRequest, site: Site, scheduler: str | BatchScheduler) -> list[str]:
    """Return what a site cannot give of what a job asks for, in sentences that say what it can.

    Parameters
    ----------
    request : JobRequest
        What the job asks for.
    site : Site
        What the batch scheduler has.
    scheduler : str or BatchScheduler
        The batch scheduler, for its words.

    Returns
    -------
    list of str
        Empty if nothing is wrong.
    """
    words = (find(scheduler) if isinstance(scheduler, str) else scheduler).words
    return [*_unknown_names(request, site, words), *_exceeded_limits(request, site, words)]


def check_request(request: JobRequest, site: Site, scheduler: str | BatchScheduler) -> None:
    """Raise one error that names all that a site cannot give.

    Raises
    ------
    ClusterOptionError
        If there is something.
    """
    found = find(scheduler) if isinstance(scheduler, str) else scheduler
    words = found.words
    unknown, exceeded = _unknown_names(request, site, words), _exceeded_limits(request, site, words)
    if unknown or exceeded:
        fixes = ["choose one that exists"] if unknown else []
        fixes += ["ask for less"] if exceeded else []
        raise ClusterOptionError(
            f"{words.scheduler} can never start this job: {' '.join([*unknown, *exceeded])}",
            fix=f"{' and '.join(fixes)}; see '{words.look}', '{words.look_limits}' and '{words.look_nodes}'.",
        )


def _unknown_names(request: JobRequest, site: Site, words: Words) -> list[str]:
    problems = []
    if site.partitions and not _candidates(request, site):
        names = [partition.name for partition in site.partitions]
        problems.append(f"The {words.queue} {_missing(request.queue or '', names)}")
    if request.parallel_environment is not None and _environment(request, site) is None:
        names = [environment.name for environment in site.parallel_environments]
        problems.append(f"The parallel environment {_missing(request.parallel_environment, names)}")
    return problems


def _exceeded_limits(request: JobRequest, site: Site, words: Words) -> list[str]:
    return [*_of_queue(request, site, words), *_of_environment(request, site), *_of_array(request, site)]


def _of_queue(request: JobRequest, site: Site, words: Words) -> list[str]:
    fits = [list(_misfits(request, partition, site, words)) for partition in _candidates(request, site)]
    return min(fits, key=len, default=[])


def _candidates(request: JobRequest, site: Site) -> list[Partition]:
    """Return the partition asked for; without one the default, where there is none all of them."""
    if request.queue is not None:
        named = request.queue.split(",")
        return [p for p in site.partitions if p.name in (name.partition("@")[0] for name in named)]
    return [p for p in site.partitions if p.is_default] or list(site.partitions)


def _misfits(request: JobRequest, partition: Partition, site: Site, words: Words) -> Iterator[str]:
    where = f"the {words.queue} {partition.name!r}"
    if not partition.is_up:
        yield f"Of {where} nothing starts: it is down or closed."
    limit = partition.max_walltime_s
    if limit is not None and request.walltime_s is not None and request.walltime_s > limit:
        yield f"A walltime of {_hours(request.walltime_s)} is over the {_hours(limit)} of {where}."
    if partition.nodes and request.nodes > partition.nodes:
        yield f"{_count(request.nodes, 'node')} {_are(request.nodes)} over the {partition.nodes} of {where}."
    yield from _sizes(request, partition, site, where)
    environment = _environment(request, site)
    if environment is not None and environment.name not in partition.parallel_environments:
        taken = ", ".join(map(repr, partition.parallel_environments)) or "none"
        yield f"The parallel environment {environment.name!r} is not for {where}, which takes {taken}."


def _sizes(request: JobRequest, partition: Partition, site: Site, where: str) -> Iterator[str]:
    cores, here = _cores_on_a_node(request, site), partition.cores_per_node
    if here is not None and cores > here:
        yield (
            f"{_count(request.ntasks, 'task')} of {_count(request.cpus_per_task, 'core')} on"
            f" {_count(request.nodes, 'node')} need {_count(cores, 'core')} of one node, over the {here}"
            f" that the largest node of {where} has."
        )
    memory, most = request.memory_bytes, partition.memory_bytes_per_node
    if memory is not None and most is not None and memory > most:
        yield f"{format_bytes(memory)} of memory on a node is over the {format_bytes(most)} of {where}."


def _cores_on_a_node(request: JobRequest, site: Site) -> int:
    """Return the cores that the fullest node must have."""
    environment = _environment(request, site)
    if environment is not None and not environment.is_one_host:
        return request.cpus_per_task
    return -(-request.ntasks // max(1, request.nodes)) * request.cpus_per_task


def _environment(request: JobRequest, site: Site) -> ParallelEnvironment | None:
    name = request.parallel_environment
    return next((pe for pe in site.parallel_environments if pe.name == name), None)


def _of_environment(request: JobRequest, site: Site) -> Iterator[str]:
    """Give what is wrong with a parallel environment: only Grid Engine has any."""
    names = [environment.name for environment in site.parallel_environments]
    environment = _environment(request, site)
    if request.parallel_environment is None:
        if names and request.cores > 1:
            yield _without_environment(request, names)
    elif environment is not None:
        yield from _misfits_of_environment(request, environment, site)


def _misfits_of_environment(
    request: JobRequest, environment: ParallelEnvironment, site: Site
) -> Iterator[str]:
    if request.cores > environment.slots:
        yield (
            f"{request.cores} slots are over the {environment.slots} of the parallel environment"
            f" {environment.name!r}."
        )
    if environment.is_one_host and request.nodes > 1:
        wider = [repr(pe.name) for pe in site.parallel_environments if not pe.is_one_host]
        yield (
            f"The parallel environment {environment.name!r} keeps a job on one host, and {request.nodes}"
            f" are asked for (over several hosts: {', '.join(wider) or 'none here'})."
        )


def _without_environment(request: JobRequest, names: list[str]) -> str:
    return (
        f"{request.cores} cores need a parallel environment, without which Grid Engine books one slot"
        f" (there are {', '.join(map(repr, names))})."
    )


def _of_array(request: JobRequest, site: Site) -> list[str]:
    tasks, most = request.array_tasks, site.max_array_tasks
    if tasks is not None and most is not None and tasks > most:
        return [f"An array job of {tasks} tasks is over the site's {most}."]
    return []


def _missing(name: str, names: Sequence[str]) -> str:
    found = close_matches(name, names)
    there = ", ".join(map(repr, sorted(names)))
    return f"{name!r} does not exist. {found}" + (f" (of {there})" if found.startswith("Did") else "")


def _hours(seconds: int) -> str:
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02} h"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"

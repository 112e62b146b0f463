"""Batch schedulers: which are there, whether they answer, what they have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from simherd.doctor.finding import Finding, Verdict
from simherd.errors import ClusterOptionError, SchedulerError
from simherd.progress.words import counted
from simherd.resources import format_bytes, format_walltime
from simherd.schedulers import SCHEDULERS, BatchScheduler, Partition, Site, find

__all__ = ["describe_partition", "look", "look_at_site"]


def look() -> Iterator[Finding]:
    """Yield what is to say of each batch scheduler that simherd knows."""
    for name in sorted(SCHEDULERS):
        yield from _look_at(find(name))


def _look_at(scheduler: BatchScheduler) -> Iterator[Finding]:
    title = scheduler.words.scheduler
    if not scheduler.is_installed():
        text = "its commands are not on this machine"
        yield Finding(topic=title, verdict=Verdict.ABSENT, text=text, data={"is_installed": False})
        return
    try:
        site = scheduler.site()
    except SchedulerError as error:
        yield Finding(
            topic=title,
            verdict=Verdict.WRONG,
            text=f"its commands are here, and it does not answer: {error.message}",
            fix=error.fix or "ask the people who run it, or look on a login node of the cluster.",
            data={"is_installed": True, "answers": False},
        )
        return
    except ClusterOptionError as error:
        text = f"not asked: {error.message}"
        yield Finding(
            topic=title, verdict=Verdict.WRONG, text=text, fix=error.fix, data={"is_installed": True}
        )
        return
    yield from look_at_site(scheduler, site)


def look_at_site(scheduler: BatchScheduler, site: Site) -> Iterator[Finding]:
    """Yield what a batch scheduler that answers has."""
    words = scheduler.words
    data = {"is_installed": True, "answers": True, "site": asdict(site)}
    partitions = "; ".join(describe_partition(one) for one in site.partitions)
    text = f"answers; {words.queue}s: {partitions}" if partitions else "answers"
    yield Finding(topic=words.scheduler, text=text, data=data)
    if site.parallel_environments:
        listed = (f"{one.name} ({one.allocation_rule})" for one in site.parallel_environments)
        yield Finding(topic=words.scheduler, text=f"parallel environments: {', '.join(listed)}")
    if not any(one.is_up for one in site.partitions):
        yield Finding(
            topic=words.scheduler,
            verdict=Verdict.WRONG,
            text=f"there is no {words.queue} whose jobs start",
            fix=f"'{words.look}' shows them.",
        )


def describe_partition(partition: Partition) -> str:
    """Return a partition or queue in words: name, nodes, what each has, the longest walltime."""
    parts = ["default"] if partition.is_default else []
    parts += [] if partition.is_up else ["down"]
    parts += [counted(partition.nodes, "node")] if partition.nodes else []
    parts += [counted(partition.cores_per_node, "core")] if partition.cores_per_node else []
    memory, walltime = partition.memory_bytes_per_node, partition.max_walltime_s
    parts += [format_bytes(memory)] if memory else []
    parts += [f"up to {format_walltime(walltime)}"] if walltime else []
    return f"{partition.name} ({', '.join(parts)})"

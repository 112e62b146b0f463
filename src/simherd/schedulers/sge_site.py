"""What Grid Engine's qconf and qhost print about a site, read: pure functions of text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

from simherd.schedulers.base import ParallelEnvironment, Partition
from simherd.schedulers.sge_accounting import read_size

__all__ = [
    "Host",
    "parse_array_limit",
    "parse_blocks",
    "parse_capacity",
    "parse_environments",
    "parse_hosts",
    "parse_queues",
]

_OFF = "dEucDCs"
"""Letters of a queue's state at a host that keep jobs from starting there: disabled, error, unknown ..."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Host:
    """An execution host."""

    name: str
    """Its name."""
    memory_bytes: int | None
    """Memory that jobs can have there; None if not known."""
    slots: Mapping[str, int]
    """Slots of each queue there."""
    open_queues: frozenset[str]
    """Queues that start jobs there."""
    books_memory: bool = False
    """Whether memory is a resource with a capacity of its own there: that counts, not what is built in."""


def parse_blocks(text: str) -> list[dict[str, str]]:
    """Return the blocks of ``name value`` lines that qconf prints; the first name begins each anew."""
    blocks: list[dict[str, str]] = []
    first = ""
    for line in _joined(text).splitlines():
        name, _, value = line.partition(" ")
        if not name:
            continue
        first = first or name
        if name == first:
            blocks.append({})
        blocks[-1][name] = value.strip()
    return blocks


def parse_hosts(text: str) -> list[Host]:
    """Return the hosts that ``qhost -q -F RESOURCE -xml`` lists."""
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError):
        return []
    return [_host(host) for host in root.iter("host") if host.get("name") != "global"]


def _host(host: ElementTree.Element) -> Host:
    values = {value.get("name"): (value.text or "").strip() for value in host.iter("hostvalue")}
    queues = {queue.get("name", ""): _queue_values(queue) for queue in host.iter("queue")}
    books = any(value.get("dominance", "").endswith("c") for value in host.iter("resourcevalue"))
    return Host(
        name=host.get("name", ""),
        memory_bytes=None if books else read_size(values.get("mem_total", "")),
        books_memory=books,
        slots={name: _number(found.get("slots", "")) or 0 for name, found in queues.items()},
        open_queues=frozenset(
            name for name, found in queues.items() if not set(found.get("state_string", "")) & set(_OFF)
        ),
    )


def parse_capacity(text: str, resource: str) -> int | None:
    """Return how much of a resource a host has, in bytes, from what ``qconf -se`` shows of it."""
    found = re.search(rf"^complex_values\s.*?\b{re.escape(resource)}=([^,\s]+)", _joined(text), re.MULTILINE)
    return read_size(found[1]) if found else None


def _joined(text: str) -> str:
    return re.sub(r"\\\n\s*", "", text)


def _queue_values(queue: ElementTree.Element) -> dict[str, str]:
    return {value.get("name", ""): (value.text or "").strip() for value in queue.iter("queuevalue")}


def parse_queues(text: str, hosts: list[Host]) -> tuple[Partition, ...]:
    """Return the queues that ``qconf -sq`` shows, with the largest of their hosts."""
    return tuple(_queue(block, hosts) for block in parse_blocks(text) if block.get("qname"))


def _queue(block: dict[str, str], hosts: list[Host]) -> Partition:
    name = block["qname"]
    members = [host for host in hosts if name in host.slots]
    memory = [host.memory_bytes for host in members if host.memory_bytes is not None]
    return Partition(
        name=name,
        is_up=not members or any(name in host.open_queues for host in members),
        max_walltime_s=_longest(block.get("h_rt", "INFINITY")),
        nodes=len(members),
        cores_per_node=max((host.slots[name] for host in members), default=None),
        memory_bytes_per_node=max(memory, default=None),
        parallel_environments=tuple(dict.fromkeys(_names(block.get("pe_list", "NONE")))),
    )


def _values(text: str) -> Iterator[str]:
    """Give the values of an attribute, those for single hosts too: ``8,[fast=16]``."""
    for own in re.findall(r"\[[^=\]]*=([^\]]*)\]", text):
        yield own.strip()
    yield re.sub(r",?\[[^\]]*\]", "", text).strip()


def _names(text: str) -> Iterator[str]:
    for value in _values(text):
        yield from (name for name in re.split(r"[\s,]+", value) if name and name != "NONE")


def _longest(text: str) -> int | None:
    """Return the longest walltime that a queue gives, in s; None for no limit."""
    limits = [_seconds(value) for value in _values(text)]
    known = [limit for limit in limits if limit is not None]
    return max(known) if known and len(known) == len(limits) else None


def _seconds(text: str) -> int | None:
    parts = text.split(":")
    if not 1 <= len(parts) <= 4 or not all(part.isascii() and part.isdigit() for part in parts):
        return None
    total = 0
    for part, factor in zip(reversed(parts), (1, 60, 3600, 86400), strict=False):
        total += int(part[:12]) * factor
    return total


def parse_environments(text: str) -> tuple[ParallelEnvironment, ...]:
    """Return the parallel environments that ``qconf -sp`` shows."""
    return tuple(
        ParallelEnvironment(
            name=block["pe_name"],
            slots=_number(block.get("slots", "")) or 0,
            allocation_rule=block.get("allocation_rule", ""),
        )
        for block in parse_blocks(text)
        if block.get("pe_name")
    )


def parse_array_limit(text: str) -> int | None:
    """Return from ``qconf -sconf`` how many tasks an array job may have; None for no limit."""
    found = re.search(r"^max_aj_tasks\s+(\d{1,15})\s*$", text, re.MULTILINE | re.ASCII)
    return (int(found[1]) or None) if found else None


def _number(text: str) -> int | None:
    return int(text[:12]) if text.isascii() and text.isdigit() else None

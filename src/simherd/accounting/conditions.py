"""Conditions of the rules of diagnosis. Thresholds are those in use at computing centres [1]_.

References
----------
.. [1] Princeton Research Computing, "jobstats" and "Job Defense Shield"; SLURM's seff.
"""

from __future__ import annotations

from collections.abc import Callable

from simherd.accounting.causes import SIGNALLED
from simherd.accounting.facts import KILL, Facts
from simherd.schedulers.base import JobState

__all__ = [
    "LEAST_S",
    "PERHAPS_REFUSED_MEMORY",
    "REFUSED_MEMORY",
    "ended_by",
    "failed_at_limit",
    "has_state",
    "is_exceeded",
    "is_fragmented",
    "is_long",
    "is_measured",
    "is_over_memory",
    "is_oversubscribed",
    "is_poor",
    "is_short_of_walltime",
    "is_tight",
    "is_used_well",
    "may_have_crashed",
    "unused_memory",
    "unused_walltime",
    "waits_for_io",
]

LEAST_S = 30.0
"""Wall time below which CPU time and peaks of memory say little, in s."""
GOOD_CPU = 0.8
POOR_CPU = 0.7
OVERSUBSCRIBED = 1.1
"""CPU efficiency above which threads outnumber cores."""
IO_WAIT = 0.1
"""Share of the wall time that is much to wait for input and output."""
IO_RATE = 20 * 2**20
"""Bytes per s that are much to read and write."""
UNUSED_MEMORY = 0.7
TIGHT_MEMORY = 0.95
EXCEEDED_MEMORY = 1.02
REFUSED_MEMORY = 0.8
"""Share of a limit of address space from which a program that failed was probably refused memory."""
PERHAPS_REFUSED_MEMORY = 0.3
WORTH_MEMORY = 2**30
"""Unused memory that is worth a word, in bytes."""
UNUSED_WALLTIME = 0.2
TIGHT_WALLTIME = 0.9
WORTH_WALLTIME_S = 3600.0
"""Unused walltime that is worth a word, in s."""
FRAGMENTED = 0.8


def ended_by(*signals: int) -> Callable[[Facts], bool]:
    """Return whether a job was ended by one of some signals."""
    return lambda facts: facts.usage.signal in signals


def has_state(*states: JobState) -> Callable[[Facts], bool]:
    """Return whether a job is in one of some states."""
    return lambda facts: facts.usage.state in states


def is_over_memory(facts: Facts) -> bool:
    """Return whether it was killed for its memory, which SLURM without control groups calls FAILED."""
    peak, asked = facts.peak, facts.usage.memory_asked_bytes
    if facts.usage.state is JobState.OUT_OF_MEMORY:
        return True
    return facts.usage.signal == KILL and bool(peak and asked and peak >= asked)


def failed_at_limit(share: float) -> Callable[[Facts], bool]:
    """Return whether a program failed that used at least a share of its limit of address space.

    Memory that is refused is never used, so that a single large piece is refused far from the limit.
    """

    def applies(facts: Facts) -> bool:
        peak, asked = facts.peak, facts.usage.memory_asked_bytes
        is_limit = facts.usage.memory_resource in ("h_vmem", "s_vmem")
        is_failed = facts.usage.state is JobState.FAILED and facts.usage.signal is None
        return is_limit and is_failed and bool(peak and asked and peak >= share * asked)

    return applies


def is_used_well(facts: Facts) -> bool:
    """Return whether it kept its cores busy, beyond doubt."""
    cpu, at_least = facts.cpu, facts.cpu_at_least
    return cpu is not None and at_least is not None and at_least >= GOOD_CPU and cpu <= OVERSUBSCRIBED


def is_long(facts: Facts) -> bool:
    """Return whether it ran long enough for a judgement."""
    return facts.cpu is not None and facts.wall_s >= LEAST_S


def is_oversubscribed(facts: Facts) -> bool:
    """Return whether it used more CPU time than its cores have."""
    return is_long(facts) and (facts.cpu_at_least or 0.0) > OVERSUBSCRIBED


def is_poor(facts: Facts) -> bool:
    """Return whether its cores idled."""
    return is_long(facts) and (facts.cpu or 0.0) < POOR_CPU


def waits_for_io(facts: Facts) -> bool:
    """Return whether its cores idled while it read and wrote."""
    waits_long = (facts.usage.io_wait_s or 0.0) >= IO_WAIT * facts.wall_s
    return is_poor(facts) and (waits_long or (facts.io_rate or 0.0) >= IO_RATE)


def is_measured(facts: Facts) -> bool:
    """Return whether it ran to its end, and long enough for a peak of memory."""
    return facts.is_complete and facts.wall_s >= LEAST_S and facts.peak is not None


def unused_memory(facts: Facts) -> bool:
    """Return whether it needed far less memory than it asked for."""
    peak, asked = facts.peak, facts.asked_bytes_of_needed_cores
    if peak is None or asked is None or not is_measured(facts):
        return False
    return peak < UNUSED_MEMORY * asked and asked - facts.fitting_bytes >= WORTH_MEMORY


def is_exceeded(facts: Facts) -> bool:
    """Return whether it ended well with more memory than it asked for."""
    peak, asked = facts.peak, facts.usage.memory_asked_bytes
    return facts.is_done and bool(peak and asked and peak > EXCEEDED_MEMORY * asked)


def is_tight(facts: Facts) -> bool:
    """Return whether it ended well close to its memory."""
    peak, asked = facts.peak, facts.usage.memory_asked_bytes
    return facts.is_done and bool(peak and asked and peak >= TIGHT_MEMORY * asked)


def unused_walltime(facts: Facts) -> bool:
    """Return whether it needed far less walltime than it asked for."""
    limit = facts.usage.walltime_s
    if not facts.is_done or limit is None:
        return False
    return facts.wall_s < UNUSED_WALLTIME * limit and limit - facts.wall_s >= WORTH_WALLTIME_S


def is_fragmented(facts: Facts) -> bool:
    """Return whether its cores would have fitted on fewer nodes."""
    nodes, cores = facts.usage.node_count or 1, facts.usage.cores_per_node
    needed = -(-facts.cores // cores) if cores else nodes
    return bool(cores) and nodes > needed and facts.cores <= FRAGMENTED * nodes * (cores or 1)


def may_have_crashed(facts: Facts) -> bool:
    """Return whether its exit code may stand for a signal."""
    is_failed = facts.usage.scheduler == "slurm" and facts.usage.state is JobState.FAILED
    return is_failed and facts.usage.exit_code in SIGNALLED


def is_short_of_walltime(facts: Facts) -> bool:
    """Return whether it ended well close to its walltime."""
    limit = facts.usage.walltime_s
    return facts.is_done and limit is not None and facts.wall_s >= TIGHT_WALLTIME * limit

"""Whether overhead dominates a run, and the size of blocks that would do better."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from simherd.accounting.diagnosis import Finding
from simherd.accounting.facts import percent
from simherd.accounting.rules import Level
from simherd.accounting.usage import JobUsage
from simherd.progress.words import counted, format_duration

if TYPE_CHECKING:  # it loads Zarr
    from simherd.accounting.of_store import Simulations, StoreUsage

__all__ = ["cores_at_once", "diagnose_store"]

OVERHEAD = 0.5
"""Share of the allocation spent computing below which overhead dominates."""
WORTH_JOBS_S = 600.0
"""Computing time below which jobs do not pay, in s."""
SMALL_S = 1.0
"""Computing time of a block below which it is too small, in s."""
WORTH_A_BLOCK_S = 10.0
"""Computing time that is worth a block, in s."""
BLOCKS_PER_CORE = 4


def diagnose_store(found: StoreUsage) -> list[Finding]:
    """Return what is remarkable about a run as a whole."""
    simulations, computing = found.simulations, found.computing
    if computing is None or not simulations.median_s or computing >= OVERHEAD:
        return []
    cause, line = _cause_and_line(simulations, simulations.median_s, cores_at_once(found.usages))
    sentence = (
        f"Overhead dominates: {percent(computing)} of the allocation computed simulations{cause}. One core "
        f"would have taken {format_duration(simulations.computed_s)} for all "
        f"{counted(simulations.settled, 'simulation')}."
    )
    return [Finding(rule="overhead", level=Level.WARNING, sentence=sentence, line=line)]


def _cause_and_line(simulations: Simulations, median_s: float, cores: int) -> tuple[str, str]:
    size = simulations.block_size
    if simulations.computed_s < WORTH_JOBS_S:
        return "", "simherd run EXPERIMENT --cluster local: it is too little work for jobs"
    if size is None:
        return "", "ask for one core: a single simulation uses no more"
    blocks = -(-simulations.settled // size)
    largest = max(1, simulations.settled // (BLOCKS_PER_CORE * cores))
    fitting = max(1, min(largest, round(WORTH_A_BLOCK_S / median_s)))
    if size * median_s < SMALL_S and fitting > size:
        took = f"{size * median_s:.2g} s"
        return f", since blocks of {counted(size, 'simulation')} take {took} each", _block_size(fitting)
    if blocks < BLOCKS_PER_CORE * cores and fitting < size:
        return f", since there are {counted(blocks, 'block')} for {cores} cores", _block_size(fitting)
    return "", "fewer jobs, or fewer cores in each"


def _block_size(size: int) -> str:
    return f"simherd run EXPERIMENT --set run.block_size={size}"


def cores_at_once(usages: Sequence[JobUsage]) -> int:
    """Return the most cores that jobs had at the same time; at least 1."""
    changes: list[tuple[float, int]] = []
    for usage in usages:
        if usage.started is not None and usage.cores:
            changes.append((usage.started.timestamp(), usage.cores))
            changes += [(usage.ended.timestamp(), -usage.cores)] if usage.ended else []
    return max(1, *accumulate((cores for _, cores in sorted(changes)), initial=0))

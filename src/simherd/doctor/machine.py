"""All that is looked at on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from simherd.doctor import configuration, hosting, mpi, network, orphans, resources, schedulers, software
from simherd.doctor.finding import Finding

__all__ = ["examine_machine"]

LOOKS: Sequence[Callable[[], Iterator[Finding]]] = (
    software.look,
    resources.look,
    schedulers.look,
    configuration.look_at_files,
    configuration.look,
    mpi.look,
    network.look,
    hosting.look,
)


def examine_machine() -> Iterator[Finding]:
    """Yield what this machine offers and what is wrong with it, one thing after the other."""
    for look in LOOKS:
        yield from look()
    left = orphans.look()
    if left is not None:
        yield left

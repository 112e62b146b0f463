"""Memory that Grid Engine sets as a limit of address space, and how little of it Python starts with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from simherd.resources import format_bytes

__all__ = ["LEAST_BYTES", "small_address_space"]

LEAST_BYTES = 2**30
"""Address space of a slot below which workers may lack threads or libraries, which map more than they use."""
_LIMIT = re.compile(r"(?<![\w.])([hs]_vmem)=(\d+(?:\.\d+)?)([KkMmGgTt]?)(?=[,\s]|$)")
_UNITS = {"": 1, **{unit: 1024**power for power, unit in enumerate("KMGT", start=1)}} | {
    unit: 1000**power for power, unit in enumerate("kmgt", start=1)
}
"""As in the manual page sge_types(1)."""


def small_address_space(directives: Iterable[str]) -> str | None:
    """Return a caution if a job asks for less address space than workers need; None if it does not.

    Parameters
    ----------
    directives : iterable of str
        Directives of Grid Engine, such as ``"-l h_vmem=500M"``.
    """
    small = [(text, size) for text, size in _limits(directives) if size < LEAST_BYTES]
    if not small:
        return None
    text, size = min(small, key=lambda one: one[1])
    return (
        f"The job asks for {text}, which limits the address space of each slot to {format_bytes(size)}. "
        "Python, its libraries and threads map more than they use, and may not start in less than 1 GiB: ask "
        "for more memory."
    )


def _limits(directives: Iterable[str]) -> Iterator[tuple[str, float]]:
    """Yield the limits of address space among directives, with their sizes in bytes."""
    for directive in directives:
        for name, number, unit in _LIMIT.findall(directive):
            yield f"{name}={number}{unit}", float(number) * _UNITS[unit]

"""What ``simherd status --check`` finds, in words and as data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from simherd.cli.paths import shown
from simherd.cli.status_text import resuming_command
from simherd.progress.words import counted
from simherd.store.checking import CheckedArray, Damage
from simherd.store.reading import StoreState

__all__ = ["as_data", "lines_of_array", "summary_lines"]

SHOWN = 8


def lines_of_array(array: CheckedArray) -> Iterator[str]:
    """Yield what was found in an array, and a line for each chunk that is damaged."""
    damaged = f"{len(array.damages)} damaged" if array.damages else "all can be read"
    yield f"Checked     {array.name}: {counted(array.chunks, 'chunk')}, {damaged}"
    for damage in array.damages:
        yield f"            {shown(str(damage.path))}: {damage.problem}{_simulations(damage)}"


def _simulations(damage: Damage) -> str:
    if not damage.simulations:
        return ""
    numbers = ", ".join(map(str, damage.simulations[:SHOWN]))
    more = f" and {len(damage.simulations) - SHOWN} more" if len(damage.simulations) > SHOWN else ""
    return f" ({'simulation' if len(damage.simulations) == 1 else 'simulations'} {numbers}{more})"


def summary_lines(state: StoreState, arrays: Sequence[CheckedArray]) -> Iterator[str]:
    """Yield what was found in all arrays, and what to do about it."""
    damages = [damage for array in arrays for damage in array.damages]
    chunks = counted(sum(array.chunks for array in arrays), "chunk")
    if not damages:
        yield f"Result      {chunks}, none is damaged"
        return
    lost = len({number for damage in damages for number in damage.simulations})
    yield f"Result      {len(damages)} of {chunks} damaged, with {counted(lost, 'finished simulation')}"
    if any(damage.is_there for damage in damages):
        yield "Remove      the unreadable files, then resume the run: it writes missing chunks again"
    yield f"Go on with  {resuming_command(state)}"


def as_data(arrays: Sequence[CheckedArray]) -> dict[str, Any]:
    """Return what ``--json`` shows of it."""
    return {
        "checked_chunks": sum(array.chunks for array in arrays),
        "damaged": [
            {
                "file": str(damage.path),
                "problem": damage.problem,
                "is_missing": not damage.is_there,
                "simulations": list(damage.simulations),
            }
            for array in arrays
            for damage in array.damages
        ],
    }

"""What stands at the end of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from simherd.cli.called import simherd_command
from simherd.cli.output import say
from simherd.cli.paths import shown

if TYPE_CHECKING:
    from simherd.progress.rate import Tally

__all__ = ["Counts", "summarize"]

ERRORS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """What became of the simulations of a batch."""

    done: int
    """Simulations that finished."""
    failed: int
    """Simulations that failed."""
    pending: int
    """Simulations that have not come to an end."""

    @property
    def settled(self) -> int:
        """Simulations that came to an end, good or bad."""
        return self.done + self.failed

    @classmethod
    def of(cls, store: str | None) -> Counts | None:
        """Return what a store says: earlier runs, and blocks that ended after an interruption, count too."""
        from simherd.engine.block import Status
        from simherd.store.places import read_status

        status = None if store is None else read_status(store)
        if status is None:
            return None
        done, failed = (int((status == kind).sum()) for kind in (Status.DONE, Status.FAILED))
        return cls(done=done, failed=failed, pending=len(status) - done - failed)


def summarize(tally: Tally, store: str | None) -> Counts:
    """Print what became of the simulations, where the results are, and why some failed.

    Parameters
    ----------
    tally : Tally
        What came back in this run.
    store : str, optional
        Where its results are.

    Returns
    -------
    Counts
        Those of the whole store.
    """
    here = Counts(done=tally.done, failed=tally.failed, pending=tally.simulations - tally.settled)
    counts = Counts.of(store) or here
    say(_counted(counts, tally))
    if store is None or not Path(store).exists():
        return counts
    if counts.failed:
        _show_errors(Path(store))
    _show_size(store)
    if counts.failed:
        say(f"Errors and tracebacks: {simherd_command('failures', shown(store))}")
    return counts


def _counted(counts: Counts, tally: Tally) -> str:
    from simherd.progress.words import format_duration, format_rate

    parts = [f"{counts.done} done", f"{counts.failed} failed"]
    parts += [f"{counts.pending} pending"] if counts.pending else []
    speed = format_duration(tally.elapsed_s)
    if not tally.settled and counts.settled:
        return ", ".join(parts)
    speed += f" ({format_rate(tally.mean_rate)})" if tally.settled else ""
    if counts.settled > tally.settled:
        return f"{', '.join(parts)}; {tally.settled} of them in this run, in {speed}"
    return f"{', '.join(parts)} in {speed}"


def _show_errors(store: Path) -> None:
    from simherd.cli.failures_text import error_lines
    from simherd.store.failures import group_errors, read_failures

    for line in error_lines(group_errors(read_failures(store)), ERRORS):
        say(line)


def _show_size(store: str) -> None:
    from simherd.resources import format_bytes
    from simherd.store.places import store_size

    nbytes, files = store_size(Path(store))
    say(f"{shown(store)}: {format_bytes(nbytes)} in {files} files")

"""Progress as lines for a log file: one every few seconds at first, one a minute in long runs."""

from __future__ import annotations

from contextlib import suppress
from typing import TextIO

from simherd.events import BlockFinished, BlockLost, Event, RunStarted, RunStopping, SimulationEnded
from simherd.progress import headline, loss, stopping
from simherd.progress.rate import Tally

__all__ = ["PlainProgress"]

FIRST_INTERVAL_S = 2.0
LONGEST_INTERVAL_S = 60.0


class PlainProgress:
    """Writes a line now and then. A stream that is gone ends no run.

    Parameters
    ----------
    stream : text file
        Where to.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.tally = Tally(0)
        self.due_s = FIRST_INTERVAL_S

    def __call__(self, event: Event) -> None:
        """Write what an event tells."""
        if isinstance(event, RunStarted):
            self.tally = Tally(event.simulations)
            self._write(headline(event))
        elif isinstance(event, BlockFinished):
            self.tally.add(event)
            is_last = self.tally.settled == self.tally.simulations
            if is_last or self.tally.elapsed_s >= self.due_s:
                elapsed = self.tally.elapsed_s
                self.due_s = elapsed + min(FIRST_INTERVAL_S + elapsed / 10, LONGEST_INTERVAL_S)
                self._write(self._line())

        elif isinstance(event, BlockLost):
            self._write(loss(event))
        elif isinstance(event, SimulationEnded):
            self._write(event.reason)
        elif isinstance(event, RunStopping):
            self._write(stopping(event))

    def close(self) -> None:
        """Nothing to leave: each line stands for itself."""

    def _line(self) -> str:
        tally = self.tally
        failed = f"{tally.failed} failed" if tally.failed else ""
        share = tally.settled / tally.simulations
        counted = f"{tally.settled}/{tally.simulations} ({share:.0%})"
        return ", ".join(part for part in (counted, failed, tally.speed) if part)

    def _write(self, line: str) -> None:
        with suppress(OSError):
            self.stream.write(line + "\n")
            self.stream.flush()

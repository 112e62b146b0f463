"""Progress as lines for a log file: at each tenth of the way, and at most every few seconds."""

from __future__ import annotations

from typing import TextIO

from simherd.events import BlockFinished, Event, RunStarted
from simherd.progress.rate import Tally, format_duration

__all__ = ["PlainProgress"]

INTERVAL_S = 2.0


class PlainProgress:
    """Writes a line now and then.

    Parameters
    ----------
    stream : text file
        Where to.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.tally = Tally(0)
        self.written_s = 0.0

    def __call__(self, event: Event) -> None:
        """Write what an event tells."""
        if isinstance(event, RunStarted):
            self.tally = Tally(event.simulations)
            self._write(f"{event.simulations} simulations in {event.blocks} blocks on {event.where}")
        elif isinstance(event, BlockFinished):
            self.tally.add(event)
            is_last = self.tally.settled == self.tally.simulations
            if is_last or self.tally.elapsed_s - self.written_s >= INTERVAL_S:
                self.written_s = self.tally.elapsed_s
                self._write(self._line())

    def close(self) -> None:
        """Nothing to leave: each line stands for itself."""

    def _line(self) -> str:
        tally = self.tally
        left = tally.remaining_s
        parts = [
            f"{tally.settled}/{tally.simulations} ({tally.settled / tally.simulations:.0%})",
            f"{tally.failed} failed" if tally.failed else "",
            f"{tally.rate:.3g} per s",
            f"{len(tally.workers)} workers busy",
            f"{format_duration(left)} left" if left else "",
        ]
        return ", ".join(part for part in parts if part)

    def _write(self, line: str) -> None:
        self.stream.write(line + "\n")
        self.stream.flush()

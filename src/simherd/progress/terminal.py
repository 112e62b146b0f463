"""Progress as a live bar on a terminal."""

from __future__ import annotations

from contextlib import suppress
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from simherd.events import (
    BlockFinished,
    BlockLost,
    Event,
    RunFinished,
    RunStarted,
    RunStopping,
    SimulationEnded,
)
from simherd.progress import headline, loss, stopping
from simherd.progress.rate import Tally

__all__ = ["TerminalProgress"]


class TerminalProgress:
    """Draws a bar with rate and time left. A terminal that is gone ends no run.

    Parameters
    ----------
    stream : text file, optional
        A terminal; by default where rich draws, which knows notebooks.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.bar = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[detail]}"),
            TimeElapsedColumn(),
            console=Console(file=stream),
        )
        self.tally = Tally(0)
        self.task = TaskID(0)

    def __call__(self, event: Event) -> None:
        """Show what an event tells."""
        with suppress(OSError):
            self._show(event)

    def _show(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self.tally = Tally(event.simulations)
            self.task = self.bar.add_task(f"{event.unit}s", total=event.simulations, detail="")
            self.bar.console.print(headline(event), highlight=False, markup=False)
            self.bar.start()
        elif isinstance(event, BlockFinished):
            self.tally.add(event)
            self.bar.update(self.task, completed=self.tally.settled, detail=self._detail())
        elif isinstance(event, BlockLost):
            self.bar.console.print(loss(event), highlight=False, markup=False)
        elif isinstance(event, SimulationEnded):
            self.bar.console.print(event.reason, highlight=False, markup=False)
        elif isinstance(event, RunStopping):
            self.bar.console.print(stopping(event), highlight=False, markup=False)
        elif isinstance(event, RunFinished):
            self.close()

    def close(self) -> None:
        """Leave the bar as it stands; also after an error."""
        with suppress(OSError):
            self.bar.stop()

    def _detail(self) -> str:
        failed = f"[red]{self.tally.failed} failed[/red]" if self.tally.failed else ""
        return ", ".join(part for part in (failed, self.tally.speed) if part)

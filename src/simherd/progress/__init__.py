"""Subscribers that show how a run goes: the one room below the command line that writes to a terminal."""

from __future__ import annotations

from typing import Protocol, TextIO

from simherd.control_characters import without_controls
from simherd.events import BlockLost, Event, RunStarted
from simherd.progress.words import counted

__all__ = ["Progress", "headline", "loss", "progress_on"]


class Progress(Protocol):
    """A subscriber that shows events."""

    def __call__(self, event: Event) -> None:
        """Show what an event tells."""
        ...

    def close(self) -> None:
        """Leave things tidy, also after an error."""
        ...


def progress_on(stream: TextIO) -> Progress:
    """Return what shows progress on a stream: a live bar on a terminal, plain lines elsewhere."""
    if stream.isatty():
        from simherd.progress.terminal import TerminalProgress

        return TerminalProgress(stream)
    from simherd.progress.plain import PlainProgress

    return PlainProgress(stream)


def headline(event: RunStarted) -> str:
    """Return what is about to run, in a line."""
    simulations, chunks = counted(event.simulations, "simulation"), counted(event.blocks, "chunk")
    return without_controls(f"{simulations} in {chunks} on {event.where}")


def loss(event: BlockLost) -> str:
    """Return which block went with its worker, in a line."""
    return without_controls(f"A worker was lost with {event.simulations}: {event.reason}.")

"""Subscribers that show how a run goes: the one room below the command line that writes to a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Protocol, TextIO

from simherd.control_characters import without_controls
from simherd.events import BlockLost, Event, RunStarted, RunStopping, Subscriber
from simherd.progress.rate import Tally
from simherd.progress.words import counted

__all__ = ["Progress", "headline", "loss", "progress_on", "showing", "stopping"]


class Progress(Protocol):
    """A subscriber that shows events."""

    tally: Tally
    """What has come back so far."""

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


@contextmanager
def showing(is_asked: bool | None) -> Iterator[tuple[Subscriber, ...]]:
    """Give who shows the progress of a run that was called from Python.

    Parameters
    ----------
    is_asked : bool, optional
        True shows it from the start, None only of a run that takes longer than a second, False never.
    """
    if is_asked is False:
        yield ()
        return
    from simherd.progress.late import LateProgress

    progress = _in_notebook() or progress_on(sys.stderr)
    shown = progress if is_asked else LateProgress(progress)
    try:
        yield (shown,)
    finally:
        shown.close()


def _in_notebook() -> Progress | None:
    """Return what draws a bar in a notebook; None elsewhere, and where widgets are missing."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if type(shell).__name__ != "ZMQInteractiveShell" or find_spec("ipywidgets") is None:
        return None
    from simherd.progress.terminal import TerminalProgress

    return TerminalProgress()


def headline(event: RunStarted) -> str:
    """Return what is about to run, in a line."""
    blocks = "" if event.blocks is None else f" in {counted(event.blocks, 'block')}"
    return without_controls(f"{counted(event.simulations, event.unit)}{blocks} on {event.where}")


def stopping(event: RunStopping) -> str:
    """Return what a run that was told to stop still does, in a line."""
    blocks = counted(event.blocks, "block")
    return f"{event.signal}: finishing {blocks}, up to {event.grace_s:g} s; Ctrl-C again ends at once."


def loss(event: BlockLost) -> str:
    """Return which block went with its worker, in a line."""
    return without_controls(f"A worker was lost with {event.simulations}: {event.reason}.")

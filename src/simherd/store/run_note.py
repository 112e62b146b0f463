"""How far a run is, left in the folder of its store for who looks at it from outside."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from simherd.events import BlockFinished, Event, RunStarted
from simherd.progress.rate import Tally
from simherd.store.marks import FOLDER

__all__ = ["NoteKeeper", "RunNote", "read_note"]

NAME = "run.json"
INTERVAL_S = 0.2


@dataclass(frozen=True, kw_only=True, slots=True)
class RunNote:
    """What a run says of itself."""

    started: float
    """When it began with the first block, in s since 1970."""
    where: str
    """What runs the simulations, in words."""
    simulations: int
    """Simulations that it is to run, which may be a part of the batch."""
    workers: int
    """Workers that blocks came back from."""
    rate_per_s: float | None
    """Simulations per s of late; None before it is known."""


class NoteKeeper:
    """A subscriber that keeps the note of a run, written anew at most a few times a second.

    A note that cannot be written costs a run nothing.

    Parameters
    ----------
    store : Path
        Folder of the store, with a folder for marks in it.
    """

    def __init__(self, store: Path) -> None:
        self._path = store / FOLDER / NAME
        self._tally = Tally(0)
        self._started = time.time()
        self._where = ""
        self._due = 0.0

    def __call__(self, event: Event) -> None:
        """Write what an event changes."""
        if isinstance(event, RunStarted):
            self._tally, self._where = Tally(event.simulations), event.where
            self._write()
        elif isinstance(event, BlockFinished):
            self._tally.add(event)
            if time.monotonic() >= self._due:
                self._due = time.monotonic() + INTERVAL_S
                self._write()

    def _write(self) -> None:
        unfinished = self._path.with_suffix(".partial")
        with suppress(OSError):
            unfinished.write_text(json.dumps(asdict(self._note())))
            os.replace(unfinished, self._path)

    def _note(self) -> RunNote:
        tally = self._tally
        return RunNote(
            started=self._started,
            where=self._where,
            simulations=tally.simulations,
            workers=len(tally.workers),
            rate_per_s=tally.rate or None,
        )


def read_note(store: Path) -> RunNote | None:
    """Return the note of the run that writes a store, or was killed while it did; None if there is none."""
    try:
        return RunNote(**json.loads((store / FOLDER / NAME).read_text()))
    except (OSError, ValueError, TypeError):
        return None

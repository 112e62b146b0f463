"""How far a run is, left in the folder of its store for who looks at it from outside."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from simherd.events import BlockFinished, Event, RunStarted
from simherd.progress.rate import Tally
from simherd.store.durable import replace_file
from simherd.store.marks import FOLDER

__all__ = ["NoteKeeper", "RunNote", "read_note"]

NOTE = "note"
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
    part : str, optional
        Tells it from other runs that write the same store.
    """

    def __init__(self, store: Path, part: str = "") -> None:
        self._path = store / FOLDER / f"{NOTE}{part and '-' + part}.json"
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
        with suppress(OSError):
            replace_file(self._path, json.dumps(asdict(self._note())).encode(), is_durable=False)

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
    """Return the note of the run that writes a store, or was killed while it did; None if there is none.

    Several that share the work are taken together.
    """
    notes = []
    for path in (store / FOLDER).glob(f"{NOTE}*.json"):
        with suppress(OSError, ValueError, TypeError, RecursionError):
            note = RunNote(**json.loads(path.read_text()))
            notes += [note] if _is_sound(note) else []
    return _together(notes) if notes else None


def _is_sound(note: RunNote) -> bool:
    """Return whether the fields of a note have the types of those that `NoteKeeper` writes."""
    numbers = (note.started, note.rate_per_s or 0.0)
    return (
        all(isinstance(number, int | float) and math.isfinite(number) for number in numbers)
        and all(isinstance(number, int) for number in (note.simulations, note.workers))
        and isinstance(note.where, str)
    )


def _together(notes: Sequence[RunNote]) -> RunNote:
    rates = [note.rate_per_s for note in notes if note.rate_per_s is not None]
    runs = "" if len(notes) == 1 else f"{len(notes)} runs, each on "
    return RunNote(
        started=min(note.started for note in notes),
        where=runs + notes[0].where,
        simulations=sum(note.simulations for note in notes),
        workers=sum(note.workers for note in notes),
        rate_per_s=sum(rates) if rates else None,
    )

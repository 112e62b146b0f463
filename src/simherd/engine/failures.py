"""Why a simulation failed: its error, whatever that is, as data that can be written down.

A simulation may raise anything, also what is no `Exception`: a panic of a Rust extension, `SystemExit`,
`GeneratorExit`. That is one failed simulation. Only `KeyboardInterrupt` ends the run.
"""

from __future__ import annotations

import pickle
import traceback
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import cloudpickle
from tblib import pickling_support

from simherd.errors import SimherdError, SimulationError

__all__ = [
    "Failure",
    "Hint",
    "Place",
    "add_note",
    "as_failure",
    "notes_of",
    "place_of",
    "said_by",
    "set_place",
]

PLACE = "__simherd_place__"


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where in a simulation something was raised."""

    process: str
    """Name of the process."""
    stage: str
    """The stage."""
    step: int | None
    """Number of the step, from 0; None in a stage without steps."""


def set_place(error: BaseException, place: Place) -> None:
    """Note at an error where it was raised."""
    vars(error)[PLACE] = place


def place_of(error: BaseException) -> Place | None:
    """Return where in a simulation an error was raised, if in a process."""
    return vars(error).get(PLACE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Why a simulation failed."""

    number: int
    """Position of the simulation in the batch."""
    error: BaseException
    """What it raised."""
    traceback: str
    """The traceback, as text."""
    place: Place | None = None
    """Where it was raised, if in a process."""

    @property
    def is_interrupt(self) -> bool:
        """Whether the error ends the run whatever is done about failures."""
        return isinstance(self.error, KeyboardInterrupt)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel by cloudpickle: the class of the error may stand in the user's script."""
        return _unpacked, (self.number, cloudpickle.dumps(self.error), self.traceback, self.place)


def _unpacked(number: int, error: bytes, traceback: str, place: Place | None) -> Failure:
    return Failure(number=number, error=pickle.loads(error), traceback=traceback, place=place)


def as_failure(number: int, error: BaseException) -> Failure:
    """Return why a simulation failed, with the traceback of its error."""
    return Failure(number=number, error=error, traceback=_traceback_of(error), place=place_of(error))


def _traceback_of(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(error))
    except BaseException:  # its text or notes are an error too
        frames = "".join(traceback.format_tb(error.__traceback__))
        return f"Traceback (most recent call last):\n{frames}{type(error).__name__}\n"


def said_by(error: BaseException) -> str:
    """Return the text of an error; its class alone where making the text is an error too."""
    try:
        return repr(error)
    except BaseException:  # whatever the user's own class raises
        return type(error).__name__


def portable(failure: Failure, substitute: type[SimherdError] = SimulationError) -> Failure:
    """Return a failure that travels with its traceback.

    Parameters
    ----------
    failure : Failure
        The failure.
    substitute : type, optional
        Class of the error that takes the place of one that does not pickle.
    """
    try:
        pickling_support.install(failure.error)
        cloudpickle.loads(cloudpickle.dumps(failure.error))
    except BaseException:  # whatever the user's own class raises
        return replace(failure, error=substitute(said_by(failure.error)))
    return failure


def notes_of(error: BaseException) -> list[str]:
    """Return the notes of an error that are texts."""
    notes = getattr(error, "__notes__", ())
    return [note for note in notes if isinstance(note, str)] if isinstance(notes, list | tuple) else []


class Hint(str):
    """A note of an error that says how to go on.

    Parameters
    ----------
    text : str
        The note in terms of Python.
    cli : str, optional
        The same in terms of the command line; empty if the command line shows nothing instead.
    """

    cli: str

    def __new__(cls, text: str, cli: str = "") -> Hint:
        """Make a note of two texts."""
        hint = super().__new__(cls, text)
        hint.cli = cli
        return hint


def add_note(error: BaseException, note: str) -> None:
    """Add a note to an error, unless it keeps something else in the place of its notes."""
    with suppress(TypeError):
        error.add_note(note)

"""Tracebacks of the user's code, without the frames of ours that only carried it."""

from __future__ import annotations

import re
import traceback
from pathlib import Path
from types import TracebackType

import simherd
from simherd.engine.failures import Hint, notes_of

__all__ = ["format_users_part", "users_part_of"]

OURS = (str(Path(simherd.__file__).parent), "<simherd ")
HEAD = "Traceback (most recent call last):\n"
FRAME = re.compile(r'^  File "([^"\n]*)", line ', re.MULTILINE)
CARRIERS = re.compile(r"^<simherd |[/\\]simherd[/\\](engine|ensemble|executors|model)[/\\]")


def format_users_part(error: BaseException) -> str:
    """Return the traceback of an error from where it left our code; the whole one if it arose there."""
    part = _after_ours(error.__traceback__) or error.__traceback__
    shown = traceback.TracebackException(type(error), error, part)
    shown.__notes__ = _notes_for_cli(error)
    return "".join(shown.format()).rstrip()


def _notes_for_cli(error: BaseException) -> list[str]:
    notes = [note.cli if isinstance(note, Hint) else note for note in notes_of(error)]
    return [note for note in notes if note]


def _after_ours(frames: TracebackType | None) -> TracebackType | None:
    rest = frames
    while frames is not None:
        if frames.tb_frame.f_code.co_filename.startswith(OURS):
            rest = frames.tb_next
        frames = frames.tb_next
    return rest


def users_part_of(text: str) -> str:
    """Return a traceback that was written down without the frames of ours that only carried it."""
    return "".join(map(_without_ours, re.split(rf"(?<=\n)(?={re.escape(HEAD)})", text)))


def _without_ours(text: str) -> str:
    frames = list(FRAME.finditer(text))
    ours = [number for number, frame in enumerate(frames) if CARRIERS.search(frame[1])]
    if not ours or ours[-1] == len(frames) - 1:
        return text
    return text[: frames[0].start()] + text[frames[ours[-1] + 1].start() :]

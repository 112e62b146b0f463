"""Tracebacks of the user's code, without the frames of ours that only carried it."""

from __future__ import annotations

import traceback
from pathlib import Path
from types import TracebackType

import simherd

__all__ = ["format_users_part"]

OURS = (str(Path(simherd.__file__).parent), "<simherd ")


def format_users_part(error: BaseException) -> str:
    """Return the traceback of an error from where it left our code; the whole one if it arose there."""
    part = _after_ours(error.__traceback__) or error.__traceback__
    return "".join(traceback.format_exception(type(error), error, part)).rstrip()


def _after_ours(frames: TracebackType | None) -> TracebackType | None:
    rest = frames
    while frames is not None:
        if frames.tb_frame.f_code.co_filename.startswith(OURS):
            rest = frames.tb_next
        frames = frames.tb_next
    return rest

"""Where a session is, from what is written down about it and which of its processes live."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import Enum

from simherd.sessions.record import Ending, Processes, Session

__all__ = ["SessionState", "State", "judge"]

STARTING_S = 30.0
"""Time after which a session whose runner has said nothing is taken for dead."""


class State(Enum):
    """Where a session is."""

    STARTING = "starting"
    RUNNING = "running"
    DONE = "done"
    """Its command ended with exit code 0."""
    FAILED = "failed"
    """Its command ended with another exit code."""
    KILLED = "killed"
    """Its processes are gone and nobody was left to say how they ended."""
    ELSEWHERE = "elsewhere"
    """It was started on another machine and has not ended, as far as one can see from here."""

    @property
    def is_live(self) -> bool:
        """Whether it has not ended, as far as one knows."""
        return self in (State.STARTING, State.RUNNING, State.ELSEWHERE)


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionState:
    """A session and where it is."""

    session: Session
    """What it was started with."""
    state: State
    """Where it is."""
    processes: Processes | None
    """Its processes; None before they are there."""
    ending: Ending | None
    """How it ended; None if it has not, or nobody knows."""

    @property
    def age_s(self) -> float:
        """How long it has run, in s; up to its end if that is known."""
        until = time.time() if self.ending is None else self.ending.ended
        return max(until - self.session.started, 0.0)


def judge(session: Session, ending: Ending | None, is_here: bool, lives: bool | None, age_s: float) -> State:
    """Return where a session is.

    Parameters
    ----------
    session : Session
        What it was started with.
    ending : Ending, optional
        How its command ended.
    is_here : bool
        Whether this is the machine that it was started on.
    lives : bool, optional
        Whether its runner or its command lives; None if they have not been written down.
    age_s : float
        Time since it was started, in s.
    """
    if ending is not None:
        return State.FAILED if ending.exit_code else State.DONE
    if not is_here:
        return State.ELSEWHERE
    if lives is None:
        return State.STARTING if age_s < STARTING_S else State.KILLED
    return State.RUNNING if lives else State.KILLED

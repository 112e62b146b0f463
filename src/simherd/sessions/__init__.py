"""Runs, and clusters for several runs, that outlive the terminal they were started from."""

from __future__ import annotations

from simherd.sessions.control import (
    attach_command,
    find,
    kill,
    list_all,
    remove,
    request_stop,
    wait_until_over,
)
from simherd.sessions.record import Ending, Processes, Session
from simherd.sessions.start import Request, start
from simherd.sessions.state import SessionState, State

__all__ = [
    "Ending",
    "Processes",
    "Request",
    "Session",
    "SessionState",
    "State",
    "attach_command",
    "find",
    "kill",
    "list_all",
    "remove",
    "request_stop",
    "start",
    "wait_until_over",
]

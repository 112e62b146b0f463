"""Signals that a worker leaves to the client: a terminal or batch scheduler sends them to all processes.

A worker takes a while to import what it needs, and a signal in that time would end it with a traceback. A
program that is executed keeps no handlers of its parent, but it keeps the mask of blocked signals.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker

__all__ = ["leave_signals_to_client", "starting_with_blocked"]


class _Blocking(threading.local):
    """How many contexts block signals in this thread; coroutines leave theirs in any order."""

    depth = 0
    before: frozenset[signal.Signals | int] = frozenset()


_blocking = _Blocking()


@contextmanager
def starting_with_blocked(*names: str) -> Iterator[None]:
    """Block signals in this thread, and so in the processes and threads that it starts.

    A signal that arrives meanwhile reaches this thread afterwards, and a new process once it has called
    `leave_signals_to_client`.

    Parameters
    ----------
    *names : str
        Such as ``"SIGTERM"``; the same in all contexts that are open in this thread.
    """
    resource_tracker.ensure_running()  # starting it later would unblock SIGINT and SIGTERM
    if _blocking.depth == 0:
        _blocking.before = frozenset(signal.pthread_sigmask(signal.SIG_BLOCK, _numbers(names)))
    _blocking.depth += 1
    try:
        yield
    finally:
        _blocking.depth -= 1
        if _blocking.depth == 0:
            signal.pthread_sigmask(signal.SIG_SETMASK, _blocking.before)


def leave_signals_to_client(*names: str) -> None:
    """Take no notice of signals, and unblock them.

    They get handlers that do nothing: programs that a simulation starts would inherit that a signal is
    ignored or blocked, and nobody could end them by it.

    Parameters
    ----------
    *names : str
        Such as ``"SIGTERM"``.
    """
    numbers = _numbers(names)
    for number in numbers:
        signal.signal(number, lambda number, frame: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)


def _numbers(names: tuple[str, ...]) -> list[signal.Signals]:
    return [signal.Signals[name] for name in names]

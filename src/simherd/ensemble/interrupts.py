"""Ctrl-C and the signals that batch schedulers send: no new work, a time of grace, then the end."""

from __future__ import annotations

import ctypes
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from simherd.engine.block import Stopped

__all__ = ["Interrupts"]

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


class Interrupts:
    """Turns signals into a wish to stop, while its context lasts.

    The first signal starts the time of grace. When that is over, or at a second signal, what runs in this
    thread is left at once. Outside the main thread, where Python takes no signals, nothing changes.
    Signals that C code handles (``faulthandler.register``) stay with it: Python cannot give them back. Where
    SIGALRM is one of them, only a second signal ends the grace.

    Parameters
    ----------
    grace_s : float
        Time in which blocks that run may still finish, in s.
    """

    def __init__(self, grace_s: float) -> None:
        self.grace_s = grace_s
        self.name: str | None = None
        """The signal that came."""
        self.is_over = False
        """Whether the time of grace has ended."""
        self._is_leaving = False
        self._may_raise = False
        self._before: dict[int, Any] = {}

    @property
    def is_stopping(self) -> bool:
        """Whether a signal came."""
        return self.name is not None

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number, handler in self._handlers().items():
                if not _is_of_c(number):
                    self._before[number] = signal.signal(number, handler)
        return self

    def __exit__(self, *exc_info: object) -> None:
        if signal.SIGALRM in self._before:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def leaving_at_the_end(self) -> Iterator[None]:
        """Let what runs here be left by an exception when the time of grace is over."""
        self._may_raise = True
        try:
            yield
        except Stopped:
            pass
        finally:
            self._may_raise = False

    def _handlers(self) -> dict[signal.Signals, Callable[[int, FrameType | None], None]]:
        return {**dict.fromkeys(SIGNALS, self._stop), signal.SIGALRM: self._end}

    @contextmanager
    def leaving_at_once(self) -> Iterator[None]:
        """Let what runs here be left as soon as a signal comes: there is nothing that grace could save."""
        self._is_leaving, self._may_raise = True, True
        try:
            yield
        finally:
            self._is_leaving, self._may_raise = False, False

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self.name is not None:
            self._end(number, frame)
        elif self._is_leaving:
            self.name = signal.Signals(number).name
            self._end(number, frame)
        else:
            self.name = signal.Signals(number).name
            if signal.SIGALRM in self._before:
                signal.setitimer(signal.ITIMER_REAL, max(self.grace_s, 1e-6))

    def _end(self, number: int, frame: FrameType | None) -> None:
        self.is_over = True
        if self._may_raise:
            raise Stopped


def _is_of_c(number: signal.Signals) -> bool:
    """Return whether C code handles a signal; Python knows of that only if it did before Python started."""
    if callable(signal.getsignal(number)):
        return False
    present = _present_handler(number)
    return present is not None and present != signal.SIG_IGN


_present_handler = ctypes.pythonapi.PyOS_getsig
_present_handler.argtypes = (ctypes.c_int,)
_present_handler.restype = ctypes.c_void_p  # None is SIG_DFL

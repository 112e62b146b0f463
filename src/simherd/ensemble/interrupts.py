"""Ctrl-C and the signals that batch schedulers send: no new work, a time of grace, then the end."""

from __future__ import annotations

import ctypes
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from simherd.engine.block import Stopped

__all__ = ["Interrupts"]

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


class Interrupts:
    """Turns signals into a wish to stop, while its context lasts.

    The first signal starts the time of grace. At its end the same signal is sent again: at a second signal,
    whoever sends it, what runs in this thread is left at once. Outside the main thread, where Python takes no
    signals, nothing changes. Signals that C code handles (``faulthandler.register``) stay with it: Python
    cannot give them back. All other signals, SIGALRM among them, are the user's.

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
        self._handles = threading.Lock()
        """Held by who sends the second signal, so that our handler is still there when it arrives."""
        self._alarm: threading.Timer | None = None

    @property
    def is_stopping(self) -> bool:
        """Whether a signal came."""
        return self.name is not None

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if not _is_of_c(number):
                    self._before[number] = signal.signal(number, self._stop)
        return self

    def __exit__(self, *exc_info: object) -> None:
        with self._handles:
            before, self._before = self._before, {}
        if self._alarm is not None:
            self._alarm.cancel()
        for number, handler in before.items():
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

    @contextmanager
    def leaving_at_once(self) -> Iterator[None]:
        """Let what runs here be left as soon as a signal comes: there is nothing that grace could save."""
        self._is_leaving, self._may_raise = True, True
        try:
            yield
        finally:
            self._is_leaving, self._may_raise = False, False

    def _stop(self, number: int, frame: FrameType | None) -> None:
        is_second = self.name is not None
        self.name = self.name or signal.Signals(number).name
        if not is_second and not self._is_leaving:
            self._alarm = threading.Timer(self.grace_s, self._send_again, [number])
            self._alarm.daemon = True
            self._alarm.start()
            return
        self.is_over = True
        if self._may_raise:
            raise Stopped

    def _send_again(self, number: int) -> None:
        """End the grace, in a thread of its own: a signal reaches also what waits in the main thread."""
        with self._handles:
            if self._before:
                signal.pthread_kill(threading.main_thread().ident or 0, number)


def _is_of_c(number: signal.Signals) -> bool:
    """Return whether C code handles a signal; Python knows of that only if it did before Python started."""
    if callable(signal.getsignal(number)):
        return False
    present = _present_handler(number)
    return present is not None and present != signal.SIG_IGN


_present_handler = ctypes.pythonapi.PyOS_getsig
_present_handler.argtypes = (ctypes.c_int,)
_present_handler.restype = ctypes.c_void_p  # None is SIG_DFL

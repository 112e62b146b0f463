"""A time limit for each simulation of a worker.

Two things happen when the time is up. First a watchdog thread raises an error in the thread that runs the
simulation; it arrives when that thread next executes Python code. Where it cannot arrive, because C code
keeps the interpreter to itself or sleeps, a timer in C ends the whole process a little later, if it may:
that a worker has died, and which simulation it ran, is found out by others.

The error may arrive anywhere in a simulation, so that what a library was just doing may stay half done. It
never arrives after the simulation.
"""

from __future__ import annotations

import ctypes
import faulthandler
import math
import os
import sys
import threading
import time
from dataclasses import KW_ONLY, dataclass
from types import FrameType
from typing import Any

from simherd.errors import SimulationTimeoutError

__all__ = ["TimeLimit"]

STDERR = 2  # the descriptor itself: sys.stderr may be replaced by something that is no file
SOONEST_S = 1e-3


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """How long a simulation may take.

    Pickles, so that it travels to workers. CPython only.
    """

    seconds: float
    """Time for one simulation, in s, more than 0."""
    _: KW_ONLY
    may_end_process: bool
    """Whether a simulation that no error reaches ends its process, with exit code 1 and the stacks of all
    threads on its standard error: for worker processes only."""

    @property
    def grace_s(self) -> float:
        """Time between the error and the end of the process, in s: for cleaning up after the error."""
        return max(1.0, 0.1 * self.seconds)

    def simulation(self, number: int) -> Timed:
        """Return the context in which one simulation runs, in the thread that enters it.

        Parameters
        ----------
        number : int
            Position of the simulation in its batch, for the message; negative outside of one.

        Raises
        ------
        SimulationTimeoutError
            Inside the ``with``, if that takes longer than the limit. It is raised again after each
            `grace_s` for as long as the simulation goes on nevertheless.
        """
        return Timed(self, number)


class Timed:
    """The time of one simulation, between entering and leaving its context; for one use."""

    __slots__ = ("body", "ends_at", "fires_at", "is_fired", "limit", "number", "thread")

    def __init__(self, limit: TimeLimit, number: int) -> None:
        self.limit = limit
        self.number = number
        self.is_fired = False

    def __enter__(self) -> None:
        self.thread = threading.get_ident()
        self.body: FrameType | None = sys._getframe(1)  # of the "with"
        watchdog = _watchdog()
        try:
            watchdog.begin(self)
        except BaseException:  # the time may be up before the body begins, and then nobody calls __exit__
            watchdog.end(self)
            raise

    def __exit__(self, *exc_info: object) -> None:
        _watchdog().end(self)

    def start(self, now: float) -> None:
        """Set when the error is raised, and when the process ends, on the monotonic clock."""
        self.fires_at = now + self.limit.seconds
        self.ends_at = self.fires_at + self.limit.grace_s if self.limit.may_end_process else math.inf

    def fire(self, now: float) -> None:
        """Raise the error in the thread of the simulation."""
        self.is_fired = True
        self.fires_at = now + self.limit.grace_s
        _raise_in(self.thread, _error_type(self))

    def arrive(self) -> SimulationTimeoutError:
        """Return the error, in the thread of the simulation, where it arrives or is first handled.

        It may arrive in ``__exit__`` before that has done anything; nobody else would end this then.
        """
        if self._is_left():
            _watchdog().end(self)
        what = f"Simulation {self.number}" if self.number >= 0 else "The simulation"
        return SimulationTimeoutError(
            f"{what} took longer than timeout_s={self.limit.seconds} s.",
            fix="give it more time (timeout_s); the traceback says where it was.",
        )

    def _is_left(self) -> bool:
        """Return whether this thread is leaving the context, or has left it.

        The frame of the ``with`` itself counts as left: its body calls what takes time.
        """
        frame: FrameType | None = sys._getframe(3)  # of who got the error
        called: FrameType | None = None
        while frame is not None and frame is not self.body:
            frame, called = frame.f_back, frame
        return frame is None or called is None or called.f_code is Timed.__exit__.__code__


class Watchdog:
    """One thread that watches the simulations of all threads of this process."""

    def __init__(self) -> None:
        self.lock = threading.RLock()  # an error that arrives while its thread holds it ends with it
        self.changed = threading.Condition(self.lock)
        self.running: set[Timed] = set()
        self.wakes_at = math.inf
        self.armed_for = math.inf
        threading.Thread(target=self._watch, name="simherd-timeouts", daemon=True).start()

    def begin(self, timed: Timed) -> None:
        """Watch a simulation from now on."""
        with self.lock:
            timed.start(time.monotonic())
            if timed.fires_at < self.wakes_at:
                self.changed.notify()
            if timed.ends_at < self.armed_for:
                self._arm(timed.ends_at)
            self.running.add(timed)

    def end(self, timed: Timed) -> None:
        """Watch a simulation no longer, and take back an error that has not arrived yet."""
        with self.lock:
            self.running.discard(timed)
            timed.body = None
            if timed.is_fired:
                _raise_in(timed.thread, None)
            if self.armed_for != math.inf and timed.ends_at == self.armed_for:
                self._arm(min((one.ends_at for one in self.running), default=math.inf))

    def _arm(self, ends_at: float) -> None:
        """Set the one timer of the process, which works while nobody can run Python code."""
        self.armed_for = ends_at
        if ends_at == math.inf:
            faulthandler.cancel_dump_traceback_later()
            return
        seconds = max(ends_at - time.monotonic(), SOONEST_S)
        faulthandler.dump_traceback_later(seconds, exit=True, file=STDERR)

    def _watch(self) -> None:
        with self.lock:
            while True:
                now = time.monotonic()
                for timed in self.running:
                    if timed.fires_at <= now:
                        timed.fire(now)
                self.wakes_at = min((timed.fires_at for timed in self.running), default=math.inf)
                self.changed.wait(None if self.wakes_at == math.inf else self.wakes_at - now)


_starting = threading.Lock()
_current: Watchdog | None = None


def _watchdog() -> Watchdog:
    """Return the watchdog of this process; it starts when it is first needed."""
    global _current
    if _current is None:
        with _starting:
            _current = _current or Watchdog()
    return _current


def _forget_watchdog() -> None:
    """Start anew in a forked process, which has none of the threads and maybe their locks."""
    global _current, _starting
    _current, _starting = None, threading.Lock()


os.register_at_fork(after_in_child=_forget_watchdog)


def _error_type(timed: Timed) -> type[SimulationTimeoutError]:
    """Return a class that makes the error of a simulation: only classes can be raised in another thread."""

    class TimeIsUp(SimulationTimeoutError):
        def __new__(cls) -> Any:
            return timed.arrive()

    return TimeIsUp


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    """Raise an error in a thread; None takes back one that has not arrived."""
    exception = None if error is None else ctypes.py_object(error)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), exception)

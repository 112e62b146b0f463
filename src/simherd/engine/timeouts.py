"""A time limit for each simulation of a worker.

Two things happen when the time is up. First a watchdog thread raises an error in the thread that runs the
simulation; it arrives when that thread next executes Python code. Programs that the simulation started are
ended, so that whoever waits for one goes on. Where the error cannot arrive, because C code keeps the
interpreter to itself or sleeps, the warden ends the whole process a little later, if it may, and leaves a
sign of that.

The error may arrive anywhere in a simulation, so that what a library was just doing may stay half done. It
never arrives after the simulation.
"""

from __future__ import annotations

import ctypes
import math
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from simherd.errors import SimulationTimeoutError
from simherd.programs import Programs, end_all, now_ticks, of_thread, still_there
from simherd.warden import warden

__all__ = ["TimeLimit", "out_of_time"]


def out_of_time(number: int, seconds: float) -> SimulationTimeoutError:
    """Return the error of a simulation that took too long; a negative number is one outside of a batch."""
    what = f"Simulation {number}" if number >= 0 else "The simulation"
    return SimulationTimeoutError(
        f"{what} took longer than timeout_s={seconds:g} and was ended.",
        fix="give it more time (timeout_s); the traceback says where it was.",
    )


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """How long a simulation may take.

    Pickles, so that it travels to workers. CPython only.
    """

    seconds: float
    """Time for one simulation, in s, more than 0."""
    _: KW_ONLY
    may_end_process: bool
    """Whether a simulation that no error reaches ends its process: for worker processes only."""
    sign: Path | None = None
    """File that is written before the process ends, with the stacks of its threads."""
    error_of: Callable[[int, float], TimeoutError] = out_of_time
    """Makes the error from the position of a simulation and the limit in s."""

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
        TimeoutError
            Inside the ``with``, if that takes longer than the limit. It is raised again after each
            `grace_s` for as long as the simulation goes on nevertheless.
        """
        return Timed(self, number)


class Timed:
    """The time of one simulation, between entering and leaving its context; for one use."""

    __slots__ = ("begun", "body", "ends_at", "fires_at", "is_fired", "limit", "native", "number", "thread")

    def __init__(self, limit: TimeLimit, number: int) -> None:
        self.limit = limit
        self.number = number
        self.is_fired = False

    def __enter__(self) -> None:
        self.thread, self.native = threading.get_ident(), threading.get_native_id()
        self.body: FrameType | None = sys._getframe(1)  # of the "with"
        watchdog = _watchdog()
        try:
            watchdog.begin(self)
        except BaseException:  # the time may be up before the body begins, and then nobody calls __exit__
            watchdog.end(self)
            raise

    def __exit__(self, kind: type[BaseException] | None, *exc_info: object) -> None:
        _watchdog().end(self)
        if kind is None and time.monotonic() >= self.ends_at:  # compiled code came back at the last moment
            raise out_of_time(self.number, self.limit.seconds)

    def start(self, now: float) -> None:
        """Set when the error is raised, and when the process ends, on the monotonic clock."""
        self.begun = now_ticks()
        self.fires_at = now + self.limit.seconds
        self.ends_at = self.fires_at + self.limit.grace_s if self.limit.may_end_process else math.inf

    def fire(self, now: float) -> None:
        """Raise the error in the thread of the simulation, and end its programs: it may wait for one."""
        self.is_fired = True
        self.fires_at = now + self.limit.grace_s
        _raise_in(self.thread, _error_type(self))
        if found := self._programs():
            threading.Thread(target=end_all, args=[lambda: still_there(found)], daemon=True).start()

    def _programs(self) -> Programs:
        """Return the programs that this simulation may have started.

        Those of a worker process are all its own, also those that nobody waits for, unless other threads of
        it run simulations at the same time.
        """
        is_alone = self.limit.may_end_process and len(_watchdog().running) == 1
        if is_alone:
            return warden().programs(self.begun)
        return {process: start for process, start in of_thread(self.native).items() if start >= self.begun}

    def arrive(self) -> TimeoutError:
        """Return the error, in the thread of the simulation, where it arrives or is first handled.

        It may arrive in ``__exit__`` before that has done anything; nobody else would end this then.
        """
        if self._is_left():
            _watchdog().end(self)
        return self.limit.error_of(self.number, self.limit.seconds)

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
            self.running.add(timed)
            if timed.ends_at < self.armed_for:
                self._arm(timed)

    def end(self, timed: Timed) -> None:
        """Watch a simulation no longer, and take back an error that has not arrived yet."""
        with self.lock:
            self.running.discard(timed)
            timed.body = None
            if timed.is_fired:
                _raise_in(timed.thread, None)
            if self.armed_for != math.inf and timed.ends_at == self.armed_for:
                self._arm(min(self.running, key=lambda one: one.ends_at, default=None))

    def _arm(self, timed: Timed | None) -> None:
        """Tell the warden, which works while nobody here can run Python code."""
        self.armed_for = math.inf if timed is None else timed.ends_at
        warden().expect(self.armed_for, timed.limit.sign if timed is not None else None)

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


def _error_type(timed: Timed) -> type[TimeoutError]:
    """Return a class that makes the error of a simulation: only classes can be raised in another thread."""

    class TimeIsUp(TimeoutError):
        def __new__(cls) -> Any:
            return timed.arrive()

    return TimeIsUp


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    """Raise an error in a thread; None takes back one that has not arrived."""
    exception = None if error is None else ctypes.py_object(error)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), exception)

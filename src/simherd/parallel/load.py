"""How loaded this machine is, and whether another pack may start: asked by the client before it sends one."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psutil

from simherd.errors import ParallelArgumentError
from simherd.progress.words import format_duration
from simherd.resources import usable_cores, usable_memory

__all__ = ["Gate", "Limits", "Load", "LoadGate", "LoadMeter", "gate_of", "read_limits"]

INTERVAL_S = 0.5
LEAST_INTERVAL_S = 0.01
LEAST_WINDOW_S = 0.1
"""Time in s over which CPU load is measured at least."""
LONGEST_WAIT_S = 600.0
logger = logging.getLogger("simherd.parallel")


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """How much is in use of what this process may use."""

    cpu: float
    """Share of the usable cores that is busy, 0 to 1."""
    memory: float
    """Share of the usable memory that is in use, 0 to 1."""
    others: float
    """Cores that programs other than this one and its children keep busy."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The load up to which packs start."""

    cpu: float | None = None
    """Largest share of the usable cores that may be busy, above 0; None for no limit."""
    memory: float | None = None
    """Largest share of the usable memory that may be in use, above 0; None for no limit."""
    interval_s: float = INTERVAL_S
    """Time between two measurements, in s."""
    longest_wait_s: float = LONGEST_WAIT_S
    """Time without a pack running after which one starts whatever the load, in s."""
    follows_others: bool = False
    """Whether packs leave the cores alone that other programs keep busy."""


def read_limits(
    maxcpu: float | None, maxmem: float | None, interval: float | None, *, is_count_given: bool
) -> Limits:
    """Return limits from what a user says.

    Parameters
    ----------
    maxcpu, maxmem : float, optional
        Shares, or percent above 1.
    interval : float, optional
        Time between two measurements, in s.
    is_count_given : bool
        Whether the user says how many workers there are; `maxcpu` has no effect then.

    Raises
    ------
    ParallelArgumentError
        If a number is negative or no number.
    """
    cpu = None if is_count_given else _share("maxcpu", maxcpu)
    return Limits(
        cpu=cpu,
        memory=_share("maxmem", maxmem),
        interval_s=max(_number("interval", interval) or INTERVAL_S, LEAST_INTERVAL_S),
        follows_others=not is_count_given and cpu is None,
    )


def _share(name: str, value: float | None) -> float | None:
    number = _number(name, value)
    return number / 100 if number is not None and number > 1 else number


def _number(name: str, value: Any) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number < float("inf"):
        raise ParallelArgumentError(f"{name} must be a non-negative number, got {value!r}.")
    return number


class LoadMeter:
    """Measures the load between two looks."""

    def __init__(self) -> None:
        self.cores = usable_cores()
        self._memory = usable_memory()
        self._cpus = _cpus_of_this_process()
        self._this = psutil.Process()
        self._last = self._sample()

    def load(self) -> Load | None:
        """Return the load since the last call that returned one; None if that is too short ago."""
        then, now = self._last, self._sample()
        seconds = now.when - then.when
        if seconds < LEAST_WINDOW_S:
            return None
        self._last = now
        busy = max(now.busy - then.busy, 0.0) / seconds
        own = max(now.own - then.own, 0.0) / seconds
        return Load(
            cpu=min(max(busy / len(self._cpus), own / self.cores), 1.0),
            memory=max(psutil.virtual_memory().percent / 100, now.own_memory / self._memory),
            others=max(busy - own, 0.0),
        )

    def _sample(self) -> _Sample:
        times = psutil.cpu_times(percpu=True)
        busy = sum(
            sum(one) - one.idle - getattr(one, "iowait", 0.0)
            for n, one in enumerate(times)
            if n in self._cpus
        )
        own = own_memory = 0.0
        for process in (self._this, *self._this.children(recursive=True)):
            with suppress(psutil.Error):
                own += sum(process.cpu_times()[:4])
                own_memory += process.memory_info().rss
        return _Sample(when=time.monotonic(), busy=busy, own=own, own_memory=own_memory)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sample:
    when: float
    """When it was taken, in s of the monotonic clock."""
    busy: float
    """Time that the CPUs of this process were busy, in s."""
    own: float
    """CPU time of this process and its children, in s."""
    own_memory: float
    """Memory of this process and its children, in bytes."""


def _cpus_of_this_process() -> set[int]:
    with suppress(AttributeError, psutil.Error):  # macOS has no affinity
        return set(psutil.Process().cpu_affinity())
    return set(range(psutil.cpu_count() or 1))


class Gate:
    """Admits every pack."""

    interval_s = INTERVAL_S

    def admits(self, running: int) -> bool:
        """Return whether a pack may start now, beside so many that run."""
        return True


class LoadGate(Gate):
    """Admits packs while the load is below its limits.

    Parameters
    ----------
    limits : Limits
        The limits.
    new_meter : callable, optional
        Makes what measures the load, once that is needed.
    """

    def __init__(self, limits: Limits, new_meter: Callable[[], LoadMeter] = LoadMeter) -> None:
        self.interval_s = limits.interval_s
        self._limits = limits
        self._cores = usable_cores()
        self._new_meter = new_meter
        self._meter = None if limits.follows_others else new_meter()
        self._load: Load | None = None
        self._measured = self._idle_since = time.monotonic()
        self._admitted = 0
        """Packs since the load was measured."""

    def admits(self, running: int) -> bool:
        """Return whether a pack may start now, beside so many that run."""
        now = time.monotonic()
        if running:
            self._idle_since = now
        self._measure(now)
        reason = self._reason(running)
        if reason and now - self._idle_since < self._limits.longest_wait_s:
            logger.info("Tasks wait: %s.", reason)
            return False
        if reason:
            waited = format_duration(self._limits.longest_wait_s)
            logger.warning("A pack of tasks starts after %s although %s.", waited, reason)
        self._admitted += 1
        self._idle_since = now
        return True

    def _measure(self, now: float) -> None:
        if self._meter is None and now - self._measured >= self.interval_s:
            self._meter, self._measured = self._new_meter(), now
            return
        is_due = self._load is None or now - self._measured >= self.interval_s
        if self._meter is not None and is_due and (load := self._meter.load()) is not None:
            self._load, self._measured, self._admitted = load, now, 0

    def _reason(self, running: int) -> str:
        """Return why a pack waits, "" if it need not."""
        limits, load = self._limits, self._load
        if load is None:
            return "" if limits.follows_others else "the load is being measured"
        if limits.memory is not None and load.memory >= limits.memory:
            return f"{load.memory:.0%} of memory is in use, the limit is maxmem={limits.memory:g}"
        if limits.cpu is not None:
            free = (limits.cpu - load.cpu) * self._cores
            if self._admitted >= max(int(free), 1 if free > 0 else 0):
                return f"{load.cpu:.0%} of the cores are busy, the limit is maxcpu={limits.cpu:g}"
        taken = round(load.others) if limits.follows_others else 0
        if taken and running >= max(self._cores - taken, 1):
            return f"other programs keep {load.others:.1f} of {self._cores} cores busy"
        return ""


def gate_of(limits: Limits) -> Gate:
    """Return what says when packs start."""
    if limits.cpu is None and limits.memory is None and not limits.follows_others:
        return Gate()
    return LoadGate(limits)

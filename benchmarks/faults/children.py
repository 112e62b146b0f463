"""Runs functions in forked processes, which may end in any way.

This process has loaded everything and started no thread, so that a child costs milliseconds.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from simherd.errors import SimherdError

__all__ = ["Ending", "in_child", "in_workers"]

LIMIT_S = 120.0
"""Time after which a child hangs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ending:
    """How a child ended."""

    result: Any = None
    """What its function returned."""
    error: str = ""
    """What it raised, with the last lines of the traceback, or how the process ended."""
    is_own_error: bool = False
    """Whether that is an error which simherd raised on purpose."""
    is_killed: bool = False
    """Whether it was ended by SIGKILL, before its time was up."""


def in_child(function: Callable[[], object]) -> Ending:
    """Call a function in a forked process and return how that ended."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        with os.fdopen(writing, "wb") as pipe:
            pickle.dump(_called(function), pipe)
            pipe.flush()
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        ending = _received(pipe, child)
    _, code = os.waitpid(child, 0)
    if ending is not None:
        return ending
    return Ending(error=f"code {os.waitstatus_to_exitcode(code)}", is_killed=os.WIFSIGNALED(code))


def _called(function: Callable[[], object]) -> Ending:
    warnings.simplefilter("ignore")
    try:
        return Ending(result=function())
    except SimherdError as error:
        return Ending(error=f"{type(error).__name__}: {error}", is_own_error=True)
    except BaseException as error:
        frames = traceback.extract_tb(error.__traceback__)[-3:]
        where = " < ".join(f"{os.path.basename(f.filename)}:{f.lineno}" for f in reversed(frames))
        return Ending(error=f"{type(error).__name__}: {error} ({where})")


def _received(pipe: BinaryIO, child: int) -> Ending | None:
    """Return what a child says in the end; None if it says nothing."""
    data, until = b"", time.monotonic() + LIMIT_S
    while select.select([pipe], [], [], max(until - time.monotonic(), 0))[0]:
        part = os.read(pipe.fileno(), 65536)
        if not part:
            return pickle.loads(data) if data else None
        data += part
    os.kill(child, signal.SIGKILL)
    return Ending(error=f"it hung for {LIMIT_S:.0f} s")


def in_workers(function: Callable[[int], Any], calls: int, workers: int) -> Iterator[Any]:
    """Yield what a function returns for 0 to ``calls - 1``, as the results come from forked workers."""
    pipes = [_worker(function, range(first, calls, workers)) for first in range(min(workers, calls))]
    while pipes:
        for pipe in select.select(pipes, [], [])[0]:
            try:
                yield pickle.load(pipe)
            except EOFError:
                pipes.remove(pipe)
                pipe.close()
                os.wait()


def _worker(function: Callable[[int], Any], numbers: range) -> BinaryIO:
    reading, writing = os.pipe()
    if not os.fork():
        os.close(reading)
        with os.fdopen(writing, "wb", buffering=0) as pipe:
            for number in numbers:
                pipe.write(pickle.dumps(function(number)))
        os._exit(0)
    os.close(writing)
    return os.fdopen(reading, "rb", buffering=0)

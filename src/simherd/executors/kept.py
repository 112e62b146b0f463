"""Workers that outlast a call, so that the next one need not start any."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from simherd.executors.origin import own_modules
from simherd.executors.own_workers import OwnWorkersExecutor

__all__ = ["kept", "stop_kept"]

IDLE_S = 300.0
"""Time after which workers that nobody needs end, in s."""


class _Shelf:
    """The workers of one kind that are kept, while nobody uses them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._executor: OwnWorkersExecutor[Any] | None = None
        self._key: object = None
        self._timer: threading.Timer | None = None

    def take(self, key: object) -> OwnWorkersExecutor[Any] | None:
        """Return workers that started as new ones would, if there are any."""
        with self._lock:
            executor, self._executor = self._executor, None
            self._cancel_timer()
        if executor is not None and not (self._key == key and executor.is_usable):
            executor.stop()
            return None
        return executor

    def put(self, executor: OwnWorkersExecutor[Any], key: object) -> None:
        """Keep workers for the next call, and end those of another call."""
        with self._lock:
            other, self._executor, self._key = self._executor, executor, key
            self._cancel_timer()
            self._timer = threading.Timer(IDLE_S, self.clear)
            self._timer.daemon = True
            self._timer.start()
        if other is not None:
            other.stop()

    def clear(self) -> None:
        """End the workers."""
        with self._lock:
            executor, self._executor = self._executor, None
            self._cancel_timer()
        if executor is not None:
            executor.stop()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


_shelves: dict[str, _Shelf] = {}
os.register_at_fork(after_in_child=_shelves.clear)  # the workers are those of the parent


@contextmanager
def kept(
    kind: str, make: Callable[[], OwnWorkersExecutor[Any]], workers: int
) -> Iterator[OwnWorkersExecutor[Any]]:
    """Give workers, those of the last call if they are what new ones would be.

    They are new if the folder, the environment or where modules are found has changed since, or if a module
    of the user's own was loaded again. They end after an error, and when nobody has used them for a while.

    Parameters
    ----------
    kind : str
        What they are: each kind is kept on its own.
    make : callable
        Makes an executor without workers.
    workers : int
        Number of workers.
    """
    shelf, key = _shelves.setdefault(kind, _Shelf()), _key()
    executor = shelf.take(key) or make()
    executor.resize(workers)
    try:
        yield executor
    except BaseException:
        executor.stop()
        raise
    if executor.is_idle:
        shelf.put(executor, key)
    else:
        executor.stop()


def stop_kept() -> None:
    """End the workers that are kept."""
    for shelf in list(_shelves.values()):
        shelf.clear()


@dataclass(frozen=True, slots=True)
class _Key:
    """What tells workers that start now from others."""

    digest: bytes
    """Of folder, environment, and which modules are loaded as what."""
    specs: tuple[object, ...] = field(compare=False)
    """What the identity of modules is read from: kept, so that none of later modules is the same."""


def _key() -> _Key:
    parts = [os.getcwd(), *sys.path, *(f"{name}={value}" for name, value in sorted(os.environ.items()))]
    specs = {name: module.__spec__ for name, module in own_modules()}
    loaded = sorted(f"{name} {id(spec)}" for name, spec in specs.items())
    text = "\0".join([*parts, *loaded])
    return _Key(hashlib.sha256(text.encode(errors="surrogateescape")).digest(), tuple(specs.values()))

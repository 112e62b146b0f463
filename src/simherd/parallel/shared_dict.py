"""The dictionary that the tasks of a map share, wherever they run."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from multiprocessing.managers import DictProxy, SyncManager
from typing import Any

from simherd.executors.base import Executor
from simherd.executors.client import ClientExecutor
from simherd.executors.pool import starting_workers

__all__ = ["shared_dict"]


@contextmanager
def shared_dict(
    first: Mapping[Any, Any] | None, executor: Executor | None
) -> Iterator[MutableMapping[Any, Any] | None]:
    """Give the dictionary that tasks get as the keyword argument ``globaldict``.

    Parameters
    ----------
    first : mapping, optional
        What it holds at first, which is copied; None for no dictionary.
    executor : Executor, optional
        Where tasks run; None if a map of the user's own runs them, which gets the mapping itself.
    """
    if first is None:
        yield None
    elif executor is None:
        yield first if isinstance(first, MutableMapping) else dict(first)
    elif isinstance(executor, ClientExecutor):
        yield _DictOnCluster(executor.client.submit(_Holder, dict(first), actor=True).result())
    elif executor.crosses_processes:
        manager = SyncManager(ctx=multiprocessing.get_context("spawn"))
        with starting_workers():
            manager.start(_end_with_client)
        with manager:
            yield _ManagedDict(manager.dict(first))
    else:
        yield dict(first)


def _end_with_client() -> None:
    """End this process when the one that started it is gone, however that ended."""
    threading.Thread(target=_wait_for_client, name="simherd-parent", daemon=True).start()


def _wait_for_client() -> None:
    client = multiprocessing.parent_process()
    assert client is not None
    client.join()
    os._exit(1)


class _Forwarding(MutableMapping[Any, Any]):
    """A dictionary in another process."""

    def _call(self, name: str, *args: Any) -> Any:
        """Call a method of the dictionary."""
        raise NotImplementedError

    def __getitem__(self, name: Any) -> Any:
        return self._call("__getitem__", name)

    def __setitem__(self, name: Any, value: Any) -> None:
        self._call("__setitem__", name, value)

    def __delitem__(self, name: Any) -> None:
        self._call("__delitem__", name)

    def __contains__(self, name: object) -> bool:
        return bool(self._call("__contains__", name))

    def __iter__(self) -> Iterator[Any]:
        return iter(self._call("copy"))

    def __len__(self) -> int:
        return int(self._call("__len__"))

    def __repr__(self) -> str:
        return repr(self._call("copy"))

    def pop(self, name: Any, *default: Any) -> Any:
        """Remove an entry and return it, in one go."""
        return self._call("pop", name, *default)

    def setdefault(self, name: Any, default: Any = None) -> Any:
        """Return an entry, which is made if it is missing, in one go."""
        return self._call("setdefault", name, default)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Add entries, in one go."""
        self._call("update", dict(*args, **kwargs))


class _ManagedDict(_Forwarding):
    """A dictionary in a manager process of this machine."""

    def __init__(self, proxy: Any) -> None:
        self._proxy = proxy

    def _call(self, name: str, *args: Any) -> Any:
        return self._proxy._callmethod(name, args)

    def __reduce__(self) -> tuple[Any, ...]:
        return _reached, (self._proxy._token, bytes(multiprocessing.current_process().authkey))


def _reached(token: Any, key: bytes) -> _ManagedDict:
    return _ManagedDict(DictProxy(token, "pickle", authkey=key))


class _Holder:
    """Holds the dictionary on a worker of a Dask cluster."""

    def __init__(self, values: dict[Any, Any]) -> None:
        self.values = values

    def call(self, name: str, args: tuple[Any, ...]) -> Any:
        """Call a method of the dictionary."""
        return getattr(self.values, name)(*args)


class _DictOnCluster(_Forwarding):
    """A dictionary that a worker of a Dask cluster holds as an actor."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def _call(self, name: str, *args: Any) -> Any:
        return self._actor.call(name, args).result()

"""Objects that all tasks share: each task gets a copy of its own where one could change it.

A task that changes a shared argument would change it for those that follow in the same worker, and results
would depend on which tasks a worker gets. So what can change is unpickled anew for each task. Its large
buffers are mapped privately into memory: a task copies only the pages that it writes to.
"""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable
from pathlib import PurePath
from types import BuiltinFunctionType, FunctionType, MethodDescriptorType, MethodType, ModuleType
from typing import Any

import numpy as np

from simherd.executors.payload import dumps
from simherd.parallel.region import Region

__all__ = ["Frozen", "is_immutable"]

LARGE_BYTES = 2**18
"""Size from which a buffer is mapped; smaller ones are copied quicker than they are mapped."""
_ATOMS = (
    *(bool, int, float, complex, str, bytes, range, type(None), type(Ellipsis), type, PurePath),
    *(BuiltinFunctionType, MethodDescriptorType, ModuleType, np.generic, np.dtype, np.ufunc),
)


def is_immutable(obj: Any) -> bool:
    """Return whether nobody can change an object, as far as that can be told.

    Module-level state that a function uses does not count: it belongs to the worker, as in any process.
    """
    if isinstance(obj, _ATOMS):
        return True
    if type(obj) in (tuple, frozenset):
        return all(map(is_immutable, obj))
    if isinstance(obj, FunctionType):
        return not obj.__dict__ and all(map(is_immutable, _parts_of(obj)))
    if isinstance(obj, MethodType):
        return is_immutable(obj.__func__) and is_immutable(obj.__self__)
    return isinstance(obj, functools.partial) and all(
        map(is_immutable, (obj.func, obj.args, *obj.keywords.values()))
    )


def _parts_of(function: FunctionType) -> list[Any]:
    cells = [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)]
    own = [one for one in cells if one is not function]
    return [*own, *(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]


def _is_filled(cell: Any) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True


class Frozen:
    """A pickled object of which copies are made.

    Parameters
    ----------
    obj : object
        The object.
    parts : tuple, optional
        What tasks get of it, if that can be changed less than the object itself.
    stays_here : bool, optional
        Whether all who make copies are processes of this machine, which read large buffers from this
        process instead of getting them sent. The object must then outlive them.
    """

    def __init__(self, obj: Any, *, parts: tuple[Any, ...] | None = None, stays_here: bool = False) -> None:
        buffers: list[memoryview] = []
        self._data = dumps(obj, _collecting(buffers))
        self._is_immutable = is_immutable(obj if parts is None else parts)
        self._region = Region.of(buffers)
        self._stays_here = stays_here
        self._only: Any = None

    def copy(self) -> Any:
        """Return the object, a new one at each call unless it cannot be changed."""
        if self._is_immutable:
            if self._only is None:
                self._only = self._load()
            return self._only
        return self._load()

    @property
    def mapped_bytes(self) -> int:
        """Memory of the large buffers, in bytes, which is there as long as somebody may make copies."""
        return self._region.size

    def _load(self) -> Any:
        return pickle.loads(self._data, buffers=self._region.views())

    def __getstate__(self) -> tuple[Any, ...]:
        region = self._region.as_path() if self._stays_here else self._region.as_bytes()
        return self._data, self._is_immutable, region

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._data, self._is_immutable, region = state
        self._region = region()
        self._stays_here, self._only = False, None


def _collecting(buffers: list[memoryview]) -> Callable[[pickle.PickleBuffer], bool]:
    """Return the callback of a pickler that takes large buffers out of the pickle."""

    def collect(buffer: pickle.PickleBuffer) -> bool:
        view = buffer.raw()
        if view.nbytes < LARGE_BYTES:
            return True
        buffers.append(view)
        return False

    return collect

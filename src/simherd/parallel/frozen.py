"""Objects that all tasks share: each task gets a copy of its own where one could change it.

A task that changes a shared argument would change it for those that follow in the same worker, and results
would depend on which tasks a worker gets. So what can change is unpickled anew for each task. Its large
buffers are mapped privately into memory: a task copies only the pages that it writes to.
"""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable, Iterable
from pathlib import PurePath
from types import BuiltinFunctionType, FunctionType, MethodDescriptorType, MethodType, ModuleType
from typing import Any

import numpy as np

from simherd.executors.payload import dumps, unsent
from simherd.parallel.region import Region
from simherd.parallel.task import Call

__all__ = ["Frozen", "freeze", "is_immutable"]

LARGE_BYTES = 2**18
"""Size from which a buffer is mapped; smaller ones are copied quicker than they are mapped."""
_VALUES = (bool, int, float, complex, str, bytes, PurePath, np.generic)
"""Types whose instances cannot be changed, unless a subclass gives them attributes."""
_CONSTANTS = (
    *(range, type(None), type(Ellipsis), type, ModuleType),
    *(BuiltinFunctionType, MethodDescriptorType, np.dtype, np.ufunc),
)


def is_immutable(obj: Any) -> bool:
    """Return whether nobody can change an object, as far as that can be told.

    Module-level state that a function uses does not count: it belongs to the worker, as in any process.
    """
    waiting, functions = [obj], set()
    while waiting:
        one = waiting.pop()
        if isinstance(one, FunctionType):
            if id(one) in functions:
                continue  # functions may call each other
            functions.add(id(one))
        if (parts := _parts_of(one)) is None:
            return False
        waiting.extend(parts)
    return True


def _parts_of(obj: Any) -> Iterable[Any] | None:
    """Return what an object consists of that could be changed; None if it could be changed itself."""
    if isinstance(obj, _CONSTANTS):
        return ()
    if isinstance(obj, _VALUES):
        return None if getattr(obj, "__dict__", None) else ()
    if type(obj) in (tuple, frozenset):
        return obj  # type: ignore[no-any-return]  # a tuple or frozenset
    if isinstance(obj, FunctionType):
        return None if obj.__dict__ else _parts_of_function(obj)
    if isinstance(obj, MethodType):
        return obj.__func__, obj.__self__
    if isinstance(obj, functools.partial):
        return obj.func, obj.args, *obj.keywords.values()
    return None


def _parts_of_function(function: FunctionType) -> list[Any]:
    cells = [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)]
    return [*cells, *(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]


def _is_filled(cell: Any) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True


def freeze(call: Call, *, stays_here: bool = False) -> Frozen:
    """Return the function and the shared arguments of a map as something of which each task gets a copy.

    Parameters
    ----------
    call : Call
        They.
    stays_here : bool, optional
        As for `Frozen`.

    Raises
    ------
    PicklingError
        If they do not pickle; names the one that does not.
    """
    try:
        return Frozen(call, stays_here=stays_here)
    except Exception as error:
        function, args, named = call
        parts = [
            ("the function", function),
            *((f"argument {name!r}", one) for name, one in named),
            *((f"shared argument {position}", one) for position, one in enumerate(args)),
        ]
        raise unsent(error, parts, "the shared arguments") from error


class Frozen:
    """A pickled object of which copies are made.

    Parameters
    ----------
    obj : object
        The object.
    stays_here : bool, optional
        Whether all who make copies are processes of this machine, which read large buffers from this
        process instead of getting them sent. The object must then outlive them.
    """

    def __init__(self, obj: Any, *, stays_here: bool = False) -> None:
        buffers: list[memoryview] = []
        self._data = dumps(obj, _collecting(buffers))
        self._is_immutable = is_immutable(obj)
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

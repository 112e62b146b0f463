"""How objects travel to worker processes."""

from __future__ import annotations

import functools
import hashlib
import io
import linecache
import operator
import pickle
import sys
from collections import ChainMap, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import CodeType, FunctionType, MethodType
from typing import Any, ClassVar, TypeAlias

import cloudpickle

from simherd.errors import PicklingError
from simherd.executors.origin import Origin, arrive, missing_module, origin_here, set_constants
from simherd.executors.shortage import as_shortage

__all__ = [
    "KEPT",
    "Payload",
    "Sealed",
    "call_packed",
    "dumps",
    "pack",
    "referred_by",
    "seal",
    "unpack",
    "unsent",
]

Cached: TypeAlias = "functools._lru_cache_wrapper[Any]"
KEPT = 4
"""Payloads that a worker process keeps, the latest ones."""
_unpacked: OrderedDict[str, Any] = OrderedDict()


@dataclass(frozen=True, slots=True)
class Payload:
    """A pickled object that many items share; a worker unpacks it once."""

    digest: str
    """SHA-256 of `data` and the constants, by which a worker knows it again."""
    data: bytes | None
    """The pickled object, classes of ``__main__`` and notebooks by value; None for a worker that has it."""
    origin: Origin | None
    """Where the modules come from that it refers to; None for a worker that has it."""

    @property
    def size(self) -> int:
        """Its size in bytes, with the constants that it takes along."""
        constants = () if self.origin is None else self.origin.constants
        return len(self.data or b"") + sum(len(one.data or b"") for one in constants)


@dataclass(frozen=True, slots=True)
class Sealed:
    """A pickled item, opened after the payload: only then can its modules be found."""

    data: bytes
    """The item."""
    size: int
    """Simulations in it."""


def seal(item: Any) -> Sealed:
    """Pickle an item, as `pack` does."""
    return Sealed(dumps(item), getattr(item, "size", 1))


def pack(
    obj: Any,
    parts: Iterable[tuple[str, Any]] = (),
    constants: Iterable[tuple[str, str, Any]] = (),
) -> Payload:
    """Pickle an object.

    Parameters
    ----------
    obj : object
        What is to travel.
    parts : iterable of (str, object), optional
        Its parts with names, looked through for the culprit if it does not pickle.
    constants : iterable of (str, str, object), optional
        Module, name and value of what workers are to have in modules that they import.

    Raises
    ------
    PicklingError
        If it does not pickle; names the part, and the attribute where that can be told.
    """
    try:
        data = dumps(obj)
    except Exception as error:
        raise unsent(error, parts) from error
    origin = origin_here(constants)
    key = hashlib.sha256(data)
    for constant in origin.constants:
        key.update(constant.digest)
    return Payload(key.hexdigest(), data, origin)


def unpack(payload: Payload) -> Any:
    """Return the object, the same one at each call for the latest few payloads.

    Raises
    ------
    PicklingError
        If a module cannot be imported here.
    """
    if payload.digest not in _unpacked:
        assert payload.data is not None
        assert payload.origin is not None
        arrive(payload.origin)
        try:
            _unpacked[payload.digest] = pickle.loads(payload.data)
        except ImportError as error:
            raise missing_module(error, payload.origin) from error
        set_constants(payload.origin)
        while len(_unpacked) > KEPT:
            _unpacked.popitem(last=False)
    return _unpacked[payload.digest]


def call_packed(function: Callable[[Any, Any], Any], payload: Payload, item: Sealed) -> Any:
    """Call a function with what was packed and an item: what worker processes run.

    Raises
    ------
    ClusterError
        If the process gets no more memory or threads.
    Exception
        What the function raises.
    """
    try:
        shared = unpack(payload)
        return function(shared, pickle.loads(item.data))
    except Exception as error:
        if (shortage := as_shortage(error)) is not None:
            raise shortage from error
        raise


def dumps(obj: Any, buffer_callback: Callable[[pickle.PickleBuffer], Any] | None = None) -> bytes:
    """Return an object pickled, classes of ``__main__`` and notebooks by value.

    Parameters
    ----------
    obj : object
        What is to travel.
    buffer_callback : callable, optional
        Gets each buffer that may stay outside of the pickle, and returns something false for those that do.
    """
    written = io.BytesIO()
    _Pickler(written, buffer_callback=buffer_callback).dump(obj)
    return written.getvalue()


def _reduce_code(code: CodeType) -> tuple[Any, ...]:
    """Take file and source of code along, which cloudpickle drops, for tracebacks on workers.

    All code of a file has one list of its lines, which pickle therefore writes once.
    """
    make, args = cloudpickle.Pickler.dispatch_table[CodeType](code)
    return _rebuilt_code, (code.co_filename, linecache.getlines(code.co_filename), make, args)


def _rebuilt_code(filename: str, lines: list[str], make: Callable[..., CodeType], args: Any) -> CodeType:
    _keep_lines(filename, lines)
    return make(*args).replace(co_filename=filename)


def _keep_lines(filename: str, lines: list[str]) -> None:
    """Give tracebacks the lines of a file, unless this process has read the file itself."""
    size_and_time = linecache.cache.get(filename, (0, None))[:2]
    if lines and size_and_time[1:] == (None,):
        linecache.cache[filename] = (sum(map(len, lines)), None, lines, filename)


def _reduce_cached(function: Cached) -> str | tuple[Any, ...]:
    """Send a function with a cache by value where it cannot be imported; cloudpickle never does."""
    if function.__module__ != "__main__" and _is_importable(function):
        return str(function.__qualname__)
    return _with_cache, (function.cache_parameters(), function.__wrapped__)


def _with_cache(parameters: Mapping[str, Any], function: Callable[..., Any]) -> Cached:
    cached: Cached = functools.lru_cache(**parameters)(function)
    return cached


def _is_importable(function: Cached) -> bool:
    try:
        found = operator.attrgetter(function.__qualname__)(sys.modules[function.__module__])
    except (AttributeError, KeyError):
        return False
    return found is function


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    dispatch_table: ClassVar = ChainMap(
        {CodeType: _reduce_code, functools._lru_cache_wrapper: _reduce_cached},
        cloudpickle.Pickler.dispatch_table,
    )


class _ReferencePickler(_Pickler):
    """Takes note of the functions and classes that objects consist of."""

    def __init__(self, found: dict[int, Any]) -> None:
        super().__init__(io.BytesIO(), buffer_callback=lambda buffer: False)
        self._referred = found

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, FunctionType | type):
            self._referred[id(obj)] = obj
        return super().reducer_override(obj)


def referred_by(objects: Iterable[Any]) -> list[Any]:
    """Return the functions and classes that are referred to where objects are pickled, if they pickle."""
    found: dict[int, Any] = {}
    for obj in objects:
        with suppress(Exception):  # whoever sends it says why it does not pickle
            _ReferencePickler(found).dump(obj)
    return list(found.values())


def unsent(
    error: Exception, parts: Iterable[tuple[str, Any]], what: str = "the simulations"
) -> PicklingError:
    """Return the error for an object that does not pickle.

    Parameters
    ----------
    error : Exception
        What pickling it raised.
    parts : iterable of (str, object)
        Its parts with names, looked through for the culprit.
    what : str, optional
        The object, in words, if no part is the culprit.
    """
    for name, part in parts:
        if (reason := _reason(part)) is not None:
            attribute = _culprit_attribute(part)
            where = f"{name}, attribute {attribute!r}" if attribute else name
            return PicklingError(
                f"Cannot send {where} to worker processes: {reason}.",
                fix="make it picklable, create it where it is used (in the function, or in 'initialize' of a "
                "process), or run with threads or serially.",
            )
    return PicklingError(f"Cannot send {what} to worker processes: {error!r}.")


def _reason(obj: Any) -> str | None:
    try:
        cloudpickle.dumps(obj)
    except Exception as error:
        return f"{type(error).__name__}: {error}".rstrip(".")
    return None


def _culprit_attribute(obj: Any) -> str | None:
    """Return the attribute, closure or global variable of an object that does not pickle."""
    function = getattr(obj, "__func__", obj)
    inner = dict(getattr(obj.__self__ if isinstance(obj, MethodType) else obj, "__dict__", {}))
    if hasattr(function, "__code__"):
        names = function.__code__.co_names
        inner |= {n: function.__globals__[n] for n in names if n in function.__globals__}
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=False)
        inner |= {name: cell.cell_contents for name, cell in cells}
    for name, value in inner.items():
        if not name.startswith("__") and _reason(value) is not None:
            deeper = _culprit_attribute(value) if hasattr(value, "__code__") else None
            return f"{name} -> {deeper}" if deeper else name
    return None

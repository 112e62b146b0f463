"""Digests of values that are the same tomorrow, in another Python process.

Those of pickles are not: sets have another order there, and equal objects need not be one and the same.
"""

from __future__ import annotations

import copyreg
import gc
import hashlib
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from types import CodeType, FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any, TypeAlias

import numpy as np

from simherd.setup.file_modules import lasting_name
from simherd.setup.references import instructions_of

__all__ = ["code_of", "digest_of", "is_of_process"]

Above: TypeAlias = tuple[int, ...]
Named: TypeAlias = FunctionType | type | ModuleType
Refer: TypeAlias = Callable[[Named], bool]
Miss: TypeAlias = Callable[[Any], None]

DIGEST_BYTES = 16
_WRAPPED = ("__wrapped__", "__func__", "fget", "fset", "fdel", "py_func", "targetoptions")
"""Attributes in which properties, static and cached methods, and functions of Numba keep functions."""
_PLAIN = frozenset({type(None), bool, int, float, complex, str, bytes, type(Ellipsis), range})
_WITHOUT_VALUES = frozenset({"_abc", "_io", "_queue", "_socket", "_thread", "sqlite3", "weakref"})
"""Modules whose objects do not pickle and hold nothing that values are computed from, such as locks."""


def digest_of(*values: Any, refer: Refer | None = None, miss: Miss | None = None) -> str:
    """Return a digest of values.

    Parameters
    ----------
    *values : object
        Python and NumPy values, xarray variables and arrays, and containers of these, by all that they
        hold; sets and mappings whatever their order. Functions by name and what is bound to them, those
        without a name by their compiled code too; classes by name. Objects that wrap functions by what
        they wrap. Other objects by what pickle would keep of them, and those that do not pickle by their
        type alone.
    refer : callable, optional
        Called with each function, class and module among the values. Returns whether the name is enough,
        since the caller looks at the rest; without it, that is so for all functions that have a name.
    miss : callable, optional
        Called with each object that counts by its type alone, though values may be computed from it.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    return _Digest(refer or _has_name, miss or _miss_nothing).feed_all("tuple", values, ()).hexdigest()


def code_of(function: FunctionType) -> tuple[Any, ...]:
    """Return what a function is as values: its compiled code, without docstring, and what is bound to it."""
    cells = [_content(cell) for cell in function.__closure__ or ()]
    return instructions_of(function.__code__), function.__defaults__, function.__kwdefaults__, cells


def is_of_process(value: Any) -> bool:
    """Return whether an object tells of this process, such as its environment: it differs in each."""
    return any(value is one for one in (os.environ, os.environb, sys.argv, sys.path, sys.modules))


def _miss_nothing(value: Any) -> None:
    """Leave objects that do not pickle as they are."""


def _has_name(value: Named) -> bool:
    return not isinstance(value, FunctionType) or "<" not in value.__qualname__


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # nothing is bound to that name yet
        return None


class _Digest:
    """A digest that values are fed to; `above` are the identities of the values that hold a value."""

    def __init__(self, refer: Refer, miss: Miss) -> None:
        self._state = hashlib.blake2b(digest_size=DIGEST_BYTES)
        self._refer, self._miss = refer, miss

    def hexdigest(self) -> str:
        return self._state.hexdigest()

    def feed_all(self, kind: str, items: Iterable[Any], above: Above) -> _Digest:
        items = tuple(items)
        self._say(kind, str(len(items)))
        for item in items:
            self._feed(item, above)
        return self

    def _feed(self, value: Any, above: Above) -> None:
        if type(value) in _PLAIN:
            self._say(type(value).__name__, repr(value))
        elif isinstance(value, np.generic) or (type(value) is np.ndarray and not value.dtype.hasobject):
            self._feed_array(np.asarray(value))
        elif id(value) in above:
            self._say("again", str(above.index(id(value))))
        elif is_of_process(value):
            self._say("process", type(value).__name__)
        else:
            self._feed_parts(value, (*above, id(value)))

    def _say(self, *words: str) -> None:
        for word in words:
            data = word.encode("utf-8", "surrogatepass")
            self._state.update(b"%d:%b" % (len(data), data))

    def _feed_array(self, values: np.ndarray[Any, Any]) -> None:
        if values.dtype.kind == "U":  # as wide as its longest text, not as that of an array it was cut from
            width = int(np.char.str_len(values).max(initial=1))
            values = values.astype(f"U{width}")
        dtype = str(values.dtype.descr) if values.dtype.names else values.dtype.str
        self._say("array", dtype, str(values.shape))
        if values.size:
            self._state.update(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)

    def _feed_parts(self, value: Any, above: Above) -> None:
        if type(value) is np.ndarray:
            self.feed_all("objects", (value.shape, *value.ravel().tolist()), above)
        elif type(value) in (list, tuple):
            self.feed_all(type(value).__name__, value, above)
        elif type(value) in (set, frozenset):
            self.feed_all("set", sorted(self._digest(item, above) for item in value), above)
        elif type(value) is dict:
            pairs = [self._digest(key, above) + self._digest(item, above) for key, item in value.items()]
            self.feed_all("dict", sorted(pairs), above)
        elif _is_labelled(value):
            coords = {str(name): coord.variable for name, coord in getattr(value, "coords", {}).items()}
            self.feed_all("labelled", (value.dims, value.values, dict(value.attrs), coords), above)
        elif isinstance(value, FunctionType):
            code = () if self._refer(value) else code_of(value)
            self.feed_all("function", (lasting_name(value.__module__ or ""), value.__qualname__, code), above)
        elif isinstance(value, MethodType):
            self.feed_all("method", (value.__func__, value.__self__), above)
        elif isinstance(value, CodeType):
            self.feed_all("code", instructions_of(value), above)
        elif isinstance(value, type | ModuleType):
            self._refer(value)
            self._say("name", lasting_name(getattr(value, "__module__", "")), lasting_name(value.__name__))
        else:
            self._feed_object(value, above)

    def _digest(self, value: Any, above: Above) -> bytes:
        """Return the digest of one value among others that are put in order."""
        inner = _Digest(self._refer, self._miss)
        inner._feed(value, above)
        return inner._state.digest()

    def _feed_object(self, value: Any, above: Above) -> None:
        self._refer(type(value))
        self._say("object", lasting_name(type(value).__module__), type(value).__qualname__)
        if wrapped := _wrapped_in(value):
            self.feed_all("wrapped", wrapped, above)
            return
        try:
            kept = _held_in(value) or _reduced(value)
        except Exception:  # it does not pickle, for whatever reason of its own
            if type(value).__module__ not in _WITHOUT_VALUES and not inspect.isgetsetdescriptor(value):
                self._miss(value)
            return
        if isinstance(kept, str):
            self._say(lasting_name(getattr(value, "__module__", None) or ""), kept)
            return
        parts = (tuple(part) if isinstance(part, Iterator) else part for part in kept)
        self.feed_all("kept", parts, above)


def _held_in(value: Any) -> tuple[Any, ...]:
    """Return what an object holds that pickle does not take."""
    if isinstance(value, MappingProxyType):
        return (dict(value),)
    if isinstance(value, ContextVar):
        return tuple(gc.get_referents(value))  # its name and its default
    if isinstance(value, memoryview):
        return value.format, value.shape, value.tobytes()
    return ()


def _reduced(value: Any) -> Any:
    registered: Any = copyreg.dispatch_table.get(type(value))
    return value.__reduce_ex__(4) if registered is None else registered(value)


def _wrapped_in(value: Any) -> list[Any]:
    """Return what an object hands calls on to."""
    if isinstance(value, np.ufunc):  # one of numpy.frompyfunc holds its function, others only their names
        held = [one for one in gc.get_referents(value) if callable(one)]
        return [*held, value.nin, value.nout] if held else []
    if not callable(value) and not isinstance(value, property | staticmethod | classmethod):
        return []
    return [one for name in _WRAPPED if (one := _attribute(value, name)) is not None]


def _attribute(value: Any, name: str) -> Any:
    """Return an attribute that an object has, not one that it makes up when it is asked."""
    if inspect.getattr_static(value, name, None) is None:
        return None
    try:
        return getattr(value, name)
    except Exception:  # of a property, for whatever reason of its own
        return None


def _is_labelled(value: Any) -> bool:
    """Return whether a value is an array of xarray, which is imported if there is one."""
    xr = sys.modules.get("xarray")
    return xr is not None and isinstance(value, xr.DataArray | xr.Variable)

"""Digests of values that are the same tomorrow, in another Python process.

Those of pickles are not: sets have another order there, and equal objects need not be one and the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any, TypeAlias

import numpy as np
import xarray as xr

from simherd.setup.file_modules import lasting_name

__all__ = ["code_of", "digest_of"]

Update: TypeAlias = Callable[[bytes | memoryview], None]
Above: TypeAlias = tuple[int, ...]

DIGEST_BYTES = 16
_PLAIN = frozenset({type(None), bool, int, float, complex, str, bytes, type(Ellipsis), range})


def digest_of(*values: Any) -> str:
    """Return a digest of values.

    Parameters
    ----------
    *values : object
        Python and NumPy values, xarray variables and arrays, and containers of these, by all that they
        hold; sets and mappings whatever their order. Functions by name and what is bound to them, those
        without a name by their compiled code too; classes by name. Other objects by what pickle would
        keep of them, and those that do not pickle by their type alone.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    state = hashlib.blake2b(digest_size=DIGEST_BYTES)
    _feed(state.update, values, ())
    return state.hexdigest()


def code_of(function: FunctionType) -> tuple[Any, ...]:
    """Return what a function is as values: its compiled code, without docstring, and what is bound to it."""
    code = function.__code__
    consts = [const for const in code.co_consts if const is not None and const != function.__doc__]
    return (_instructions(code, consts), *_bound(function))


def _instructions(code: CodeType, consts: Iterable[Any]) -> tuple[Any, ...]:
    return code.co_code, tuple(consts), code.co_names, code.co_varnames


def _bound(function: FunctionType) -> tuple[Any, ...]:
    cells = [_content(cell) for cell in function.__closure__ or ()]
    return function.__defaults__, function.__kwdefaults__, cells


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # nothing is bound to that name yet
        return None


def _feed(update: Update, value: Any, above: Above) -> None:
    """Feed a value to a digest; `above` are the identities of the values that hold it."""
    if type(value) in _PLAIN:
        _say(update, type(value).__name__, repr(value))
    elif isinstance(value, np.generic) or (type(value) is np.ndarray and not value.dtype.hasobject):
        _feed_array(update, np.asarray(value))
    elif id(value) in above:
        _say(update, "again", str(above.index(id(value))))
    else:
        _feed_parts(update, value, (*above, id(value)))


def _say(update: Update, *words: str) -> None:
    for word in words:
        data = word.encode("utf-8", "surrogatepass")
        update(b"%d:%b" % (len(data), data))


def _feed_array(update: Update, values: np.ndarray[Any, Any]) -> None:
    if values.dtype.kind == "U":  # as wide as its longest text, not as that of an array it was cut from
        width = int(np.char.str_len(values).max(initial=1))
        values = values.astype(f"U{width}")
    dtype = str(values.dtype.descr) if values.dtype.names else values.dtype.str
    _say(update, "array", dtype, str(values.shape))
    if values.size:
        update(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)


def _feed_parts(update: Update, value: Any, above: Above) -> None:
    if type(value) is np.ndarray:
        _feed_all(update, "objects", (value.shape, *value.ravel().tolist()), above)
    elif type(value) in (list, tuple):
        _feed_all(update, type(value).__name__, value, above)
    elif type(value) in (set, frozenset):
        _feed_all(update, "set", sorted(_digest(item, above) for item in value), above)
    elif type(value) is dict:
        pairs = [_digest(key, above) + _digest(item, above) for key, item in value.items()]
        _feed_all(update, "dict", sorted(pairs), above)
    elif isinstance(value, xr.DataArray | xr.Variable):
        coords = {str(name): coord.variable for name, coord in getattr(value, "coords", {}).items()}
        _feed_all(update, "labelled", (value.dims, value.values, dict(value.attrs), coords), above)
    elif isinstance(value, FunctionType):
        code = value.__code__ if value.__name__ == "<lambda>" else None
        _feed_all(update, "function", (value.__qualname__, code, *_bound(value)), above)
    elif isinstance(value, CodeType):
        _feed_all(update, "code", _instructions(value, value.co_consts), above)
    elif isinstance(value, type | ModuleType):
        _say(update, "name", lasting_name(getattr(value, "__module__", "")), lasting_name(value.__name__))
    else:
        _feed_object(update, value, above)


def _feed_all(update: Update, kind: str, items: Iterable[Any], above: Above) -> None:
    items = tuple(items)
    _say(update, kind, str(len(items)))
    for item in items:
        _feed(update, item, above)


def _digest(value: Any, above: Above) -> bytes:
    """Return the digest of one value among others that are put in order."""
    state = hashlib.blake2b(digest_size=DIGEST_BYTES)
    _feed(state.update, value, above)
    return state.digest()


def _feed_object(update: Update, value: Any, above: Above) -> None:
    _say(update, "object", lasting_name(type(value).__module__), type(value).__qualname__)
    try:
        kept = value.__reduce_ex__(4)
    except Exception:  # it does not pickle, for whatever reason of its own
        return
    if isinstance(kept, str):
        _say(update, kept)
        return
    parts = (tuple(part) if isinstance(part, Iterator) else part for part in kept)
    _feed_all(update, "kept", parts, above)

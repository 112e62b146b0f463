"""Values of outputs as arrays: which types they have, and which type holds two of them exactly."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import nullcontext
from functools import cache
from typing import Any

import numpy as np

from simherd.engine.plan import Array
from simherd.errors import OutputError

__all__ = [
    "as_array",
    "as_kept",
    "common_types",
    "converted",
    "fill_value_for",
    "is_plain_float",
    "missing_in",
    "rounded",
    "texts_of",
]

NO_UNIT = "generic"
UNITS = ("ns", "us", "ms", "s")
"""Units of dates and durations in xarray, finest first."""
UNIT_OF_NONE = "us"
"""Unit of NaT and zero where they have none: holds all that Python's datetime holds."""
COARSE = frozenset("YMWDhm")
_PYTHON_DATES = (datetime.date, datetime.timedelta)
_UNEQUAL_IF_MISSING = (float, complex, np.number, np.datetime64, datetime.datetime)
_NUMBERS = frozenset("?bhilqBHILQefdFD")
"""Characters of the types of numbers that outputs have."""


_LARGEST = {char: float(np.finfo(char).max) for char in "efdFD"}
"""The largest numbers of floating-point types."""


def fill_value_for(dtype: np.dtype[Any], given: Any = None) -> Any:
    """Return what stands where no value was saved: NaN, NaT, the largest integer, False or "".

    Of integers of 64 bits it is the largest that is exact as a float, so that xarray can mask and write it.
    Zeros stay zeros: no value that a simulation is likely to give stands for a missing one.

    Parameters
    ----------
    dtype : dtype
        Type of the values.
    given : optional
        What the user wants to stand there instead.

    Raises
    ------
    ValueError
        If what is given is no value of that type.
    """
    if given is not None:
        return _as_value_of(dtype, given)
    if dtype.kind in "fc":
        return dtype.type(np.nan)
    if dtype.kind in "mM":
        return np.array("NaT", dtype)[()]
    if dtype.kind in "iu":
        return dtype.type(_largest_exact(np.iinfo(dtype).max))
    return {"b": np.False_, "O": ""}.get(dtype.kind, dtype.type())


def _largest_exact(largest: int) -> int:
    return largest if int(float(largest)) == largest else int(np.nextafter(float(largest), 0))


def _as_value_of(dtype: np.dtype[Any], given: Any) -> Any:
    with np.errstate(invalid="ignore"):
        fill = str(given) if dtype.kind in "OUST" else np.asarray(given).astype(dtype)[()]
    if dtype.kind in "iub" and fill != given:
        raise ValueError(f"fill_value {given!r} is not a value of type {dtype}")
    return fill


def as_array(name: str, value: Any) -> Array:
    """Return a value of an output as an array of a type that outputs have.

    Numbers in native byte order, texts as objects, so that no length is too long; dates and durations in
    seconds or finer, as in xarray. Masked floats, dates and durations become NaN and NaT; of other types,
    which have no missing value, a masked array is returned as it is.

    Parameters
    ----------
    name : str
        Name of the output, for errors.
    value : any
        Its value.

    Raises
    ------
    OutputError
        If no output can have it.
    """
    if isinstance(value, np.ma.MaskedArray):
        return _unmasked(name, value)
    array = _plain(name, value)
    if array.dtype.char in _NUMBERS and array.dtype.isnative:
        return array
    return _of_usual_type(name, array)


def _unmasked(name: str, value: Any) -> Array:
    data = as_array(name, np.asarray(value.data))
    if not np.ma.is_masked(value):
        return data
    mask, data = np.ma.getmaskarray(value), np.array(data)
    has_missing = data.dtype.kind in "fcmM"
    data[mask] = fill_value_for(data.dtype) if has_missing else np.zeros((), data.dtype)
    return data if has_missing else np.ma.MaskedArray(data, mask)


def _plain(name: str, value: Any) -> Array:
    if isinstance(value, _PYTHON_DATES):
        value = _without_python_dates(value)
    try:
        return np.asarray(value)
    except ValueError as error:
        raise OutputError(
            f"Output {name!r} has a value that is no array: {error}.", fix="give rows of one length."
        ) from error


def _without_python_dates(value: Any) -> Any:
    """Return a date or duration of Python or pandas as one of NumPy; one with a time zone stays."""
    if getattr(value, "tzinfo", None) is not None:
        return value
    if hasattr(value, "to_numpy"):
        return value.to_numpy()
    kind = np.timedelta64 if isinstance(value, datetime.timedelta) else np.datetime64
    return kind(value)


def _of_usual_type(name: str, array: Array) -> Array:
    dtype = array.dtype
    if dtype.kind in "UST":
        return texts_of(name, array).astype(object)
    if dtype.kind in "mM":
        return _in_units_of_xarray(name, array)
    if dtype.kind == "O":
        _check_integers(name, array)
        return array
    if dtype.kind == "V" or not is_plain_float(dtype):
        raise OutputError(
            f"Output {name!r} has a value of type {dtype}, which no store holds.",
            fix="save its fields as outputs of their own."
            if dtype.names
            else "convert it, for instance with np.float64(value).",
        )
    return array.astype(dtype.newbyteorder("="), copy=False)


def texts_of(name: str, array: Array) -> Array:
    """Return byte strings as texts, any other array as it is.

    Raises
    ------
    OutputError
        If they are not in UTF-8, so that no store holds them.
    """
    if array.dtype.kind != "S":
        return array
    try:
        return np.char.decode(array, "utf-8")
    except UnicodeDecodeError as error:
        raise OutputError(
            f"Output {name!r} has byte strings that are no texts: {error}.",
            fix="save them as an array of integers, np.frombuffer(data, 'u1').",
        ) from error


def as_kept(dtype: Any) -> np.dtype[Any]:
    """Return the type in which values of a declared one are kept: texts are objects, of any length."""
    found: np.dtype[Any] = np.dtype(dtype)
    return np.dtype(object) if found.kind in "UST" else found


def missing_in(objects: Array) -> Array:
    """Return where objects are None, NaN, NaT, masked or the NA of pandas: a missing text."""
    return np.fromiter(map(_is_missing, objects.ravel()), bool, objects.size).reshape(objects.shape)


def _is_missing(one: Any) -> bool:
    if isinstance(one, _UNEQUAL_IF_MISSING):
        return bool(one != one)
    return one is None or one is np.ma.masked or type(one).__name__ == "NAType"


def is_plain_float(dtype: np.dtype[Any]) -> bool:
    """Return whether a type is not wider than float64 or complex128, which is all that stores hold."""
    return dtype.itemsize <= {"f": 8, "c": 16}.get(dtype.kind, dtype.itemsize)


def _check_integers(name: str, array: Array) -> None:
    """Raise an error if values are Python integers that no NumPy integer holds."""
    for one in array.ravel():
        if isinstance(one, int) and not isinstance(one, bool) and not -(2**63) <= one < 2**64:
            raise OutputError(
                f"Output {name!r} has the value {one}, an integer beyond 64 bits, which no store holds.",
                fix="save it as a float or as a text.",
            )


def _in_units_of_xarray(name: str, array: Array) -> Array:
    usual = _unit_in_xarray(array.dtype)
    if usual is None:
        return _with_unit(name, array)
    found = converted(array, usual)
    return array if found is None else found


@cache
def _unit_in_xarray(dtype: np.dtype[Any]) -> np.dtype[Any] | None:
    """Return the type of dates or durations that xarray has for another one, None for one without a unit."""
    unit, count = np.datetime_data(dtype)
    if unit == NO_UNIT:
        return None
    if unit in COARSE or (count > 1 and unit in UNITS):
        return np.dtype(f"{dtype.kind}8[{'s' if unit in COARSE else unit}]")
    return dtype.newbyteorder("=")


def _with_unit(name: str, array: Array) -> Array:
    """Return NaT and zeros without a unit as ones that have one."""
    is_nothing = np.isnat(array)
    if array.dtype.kind == "m":
        is_nothing |= array.astype(np.int64) == 0  # NumPy deprecates comparing with np.timedelta64(0)
    if not is_nothing.all():
        raise OutputError(
            f"Output {name!r} has a duration without a unit.", fix="give one: np.timedelta64(5, 's')."
        )
    return array.astype(f"{array.dtype.kind}8[{UNIT_OF_NONE}]")


def converted(array: Array, dtype: np.dtype[Any]) -> Array | None:
    """Return values in another type if that holds each of them exactly, else None.

    Floats are no integers here, and texts no numbers, whatever their values.
    """
    if array.dtype == dtype:
        return array
    if not _may_hold(array.dtype, dtype):
        return None
    try:
        with np.errstate(all="ignore") if array.dtype.kind in "fc" else nullcontext():
            cast = array.astype(dtype)
        return cast if dtype.kind == "O" or _is_same(array, cast) else None
    except OverflowError:  # since NumPy 2.5, where older versions give dates that differ
        return None


@cache
def _may_hold(source: np.dtype[Any], target: np.dtype[Any]) -> bool:
    """Return whether a type may hold values of another one, as far as kinds tell."""
    if source.kind in "iu" and target.kind in "iu":
        return True
    if "m" in (source.kind, target.kind) and source.kind != target.kind and target.kind != "O":
        return False
    return np.can_cast(source, target, "same_kind")


def _is_same(array: Array, cast: Array) -> bool:
    if array.dtype.kind in "mM":
        back = cast.astype(array.dtype)
        return np.array_equal(array.view(np.int64), back.view(np.int64))  # NaT is a number too
    if array.ndim == 0:
        one, other = array.item(), cast.item()  # Python compares integers with floats exactly
        return bool(one == other or (one != one and other != other))
    if array.dtype.kind in "iu":
        return _holds_integers(array, cast)
    return bool(((cast == array) | ((array != array) & (cast != cast))).all())


def _holds_integers(array: Array, cast: Array) -> bool:
    """Return whether integers are the same in another type, where NumPy would compare them rounded."""
    exact = np.iinfo(cast.dtype).max if cast.dtype.kind in "iu" else 2 ** (np.finfo(cast.dtype).nmant + 1)
    beyond = (array > exact) | (array < -exact)
    if cast.dtype.kind == "u":
        beyond |= array < 0
    return not beyond.any() or cast[beyond].tolist() == array[beyond].tolist()


def rounded(array: Array, dtype: np.dtype[Any]) -> Array | None:
    """Return numbers rounded to a floating-point type, or None if one of them overflows."""
    if array.dtype == dtype:
        return array
    if dtype.kind not in "fc" or not _may_hold(array.dtype, dtype):
        return None
    if array.ndim == 0 and abs(array.item()) <= _LARGEST[dtype.char]:
        return array.astype(dtype)
    with np.errstate(all="ignore"):
        cast = array.astype(dtype)
    is_infinite = np.isinf(cast)
    return cast if not is_infinite.any() or np.isinf(array[is_infinite]).all() else None


def common_types(one: np.dtype[Any], other: np.dtype[Any]) -> Iterator[np.dtype[Any]]:
    """Yield types that may hold values of two types, the best one first."""
    kinds = {one.kind, other.kind}
    if len(kinds) > 1 and kinds & {"m", "M"} and "O" not in kinds:
        return
    try:
        wide = np.result_type(one, other)
    except TypeError:
        return
    if kinds <= {"i", "u"} and wide.kind == "f":
        yield from map(np.dtype, ("i8", "u8"))
    yield wide
    if wide.kind in "mM" and (unit := np.datetime_data(wide)[0]) in UNITS:
        yield from (np.dtype(f"{wide.kind}8[{coarser}]") for coarser in UNITS[UNITS.index(unit) + 1 :])

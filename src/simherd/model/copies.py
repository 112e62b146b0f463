"""Copies of inputs, so that what one simulation changes in place is no other's."""

from __future__ import annotations

import copy
from typing import Any

from simherd.errors import SetupError

__all__ = ["own_value"]


def own_value(value: Any) -> Any:
    """Return a value that a simulation may change in place without anyone else noticing.

    What an object holds is copied with it, unless it holds what cannot be copied, such as a lock.

    Raises
    ------
    SetupError
        If the value itself cannot be copied.
    """
    if isinstance(value, str | bool | int | float | complex | None):
        return value
    is_plain_array = hasattr(value, "__array_interface__") and value.dtype != object
    if is_plain_array:
        return copy.copy(value)
    try:
        return copy.deepcopy(value)
    except TypeError:  # what pickling raises too, by whose rules objects are copied
        return _shallow_copy(value)


def _shallow_copy(value: Any) -> Any:
    try:
        return copy.copy(value)
    except TypeError as error:
        raise SetupError(
            f"Each simulation gets inputs of its own, and {value!r} cannot be copied: {error}.",
            fix="give what it is made from, or make it in the initialize of a process.",
        ) from error

"""Attributes as a store holds them, which is as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from simherd.errors import SetupError

__all__ = ["json_attrs"]


def json_attrs(owner: str, attrs: Mapping[Any, Any]) -> dict[str, Any]:
    """Return attributes with NumPy's numbers and arrays as numbers and lists, as xarray stores them.

    Parameters
    ----------
    owner : str
        The variable whose attributes they are, for errors.
    attrs : mapping
        The attributes.

    Raises
    ------
    SetupError
        If JSON has no form of one; names variable and attribute.
    """
    found = {}
    for name, value in attrs.items():
        try:
            found[str(name)] = _json(value)
        except TypeError as error:
            raise SetupError(
                f"Attribute {name!r} of {owner} cannot be stored: it is or holds {error}.",
                fix="give numbers, texts, or lists of them; a date as its text.",
            ) from error
    return found


def _json(value: Any) -> Any:
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, np.ndarray):
        return _json(value.tolist())
    if isinstance(value, np.generic):
        return _json(value.item())
    if isinstance(value, list | tuple):
        return [_json(one) for one in value]
    if isinstance(value, Mapping):
        return {str(key): _json(one) for key, one in value.items()}
    raise TypeError(f"a value of type {type(value).__name__}, {value!r}")

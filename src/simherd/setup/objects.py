"""Inputs that are neither numbers nor texts: how they get through stores and files."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from simherd.errors import InputWarning
from simherd.user_warnings import warn_user

__all__ = ["JSON_ATTR", "NONE_ATTR", "decode_objects", "encode_objects", "mark_none"]

JSON_ATTR = "__simherd_json__"
"""Marks what stands in a store as JSON, because it is neither number nor text."""
NONE_ATTR = "__simherd_none__"
"""Marks an input that is None, since xarray writes that to files as NaN."""


def encode_objects(dataset: xr.Dataset) -> xr.Dataset:
    """Return a dataset as a store can hold it: objects as JSON, without those that JSON cannot say.

    Warns
    -----
    InputWarning
        If something is left out, or will be read back as something else.
    """
    objects = {name: v for name, v in dataset.variables.items() if _holds_objects(dataset, name)}
    texts = {name: _as_json(str(name), variable) for name, variable in objects.items()}
    lost = [name for name, text in texts.items() if text is None]
    return dataset.drop_vars(lost).assign({n: text for n, text in texts.items() if text is not None})


def decode_objects(dataset: xr.Dataset) -> xr.Dataset:
    """Return a dataset of a store or file with its objects in place of what stands for them."""
    found = {}
    for name, variable in dataset.variables.items():
        if JSON_ATTR in variable.attrs:
            found[name] = _from_json(variable)
        elif NONE_ATTR in variable.attrs and np.all(pd.isnull(variable.values)):
            found[name] = xr.Variable((), _array_of([None], ()), variable.attrs)
    return dataset.assign(found) if found else dataset


def mark_none(variable: xr.Variable) -> None:
    """Let a None be known as one after it has been in a file."""
    variable.attrs.pop(NONE_ATTR, None)
    if variable.ndim == 0 and variable.dtype.kind == "O" and variable.values.item() is None:
        variable.attrs[NONE_ATTR] = np.uint8(1)


def _holds_objects(dataset: xr.Dataset, name: Any) -> bool:
    variable = dataset.variables[name]
    return (
        variable.dtype.kind == "O"
        and not isinstance(dataset.indexes.get(name), xr.CFTimeIndex)
        and not all(isinstance(value, str) for value in variable.values.ravel())
    )


def _as_json(name: str, variable: xr.Variable) -> xr.Variable | None:
    values = variable.values.ravel().tolist()
    try:
        texts = [json.dumps(value) for value in values]
    except (TypeError, ValueError) as error:
        _warn(f"Input {name} will be missing in the store, which holds objects as JSON only: {error}.")
        return None
    for value, text in zip(values, texts, strict=True):
        loaded = json.loads(text)
        if loaded != value and repr(loaded) != repr(value):
            _warn(f"Input {name} will be read from the store as {loaded!r}; given is {value!r}.")
    attrs = {key: value for key, value in variable.attrs.items() if key != NONE_ATTR}
    return xr.Variable(variable.dims, _array_of(texts, variable.shape), {**attrs, JSON_ATTR: 1})


def _from_json(variable: xr.Variable) -> xr.Variable:
    values = [json.loads(str(text)) for text in variable.values.ravel()]
    attrs = {key: value for key, value in variable.attrs.items() if key != JSON_ATTR}
    decoded = xr.Variable(variable.dims, _array_of(values, variable.shape), attrs)
    mark_none(decoded)
    return decoded


def _array_of(values: list[Any], shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Return objects as an array of objects, lists among them too."""
    array = np.empty(len(values), object)
    array[:] = values
    return array.reshape(shape)


def _warn(message: str) -> None:
    fix = "give texts, numbers, None, or lists and dicts of these; or make the object in the process."
    warn_user(f"{message} Fix: {fix}", InputWarning)

"""Names of variables in datasets, in all the forms that a user may give them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from simherd.errors import SetupError, UnknownNameError, close_matches
from simherd.model.graph import Graph, Key, join_name

__all__ = ["INPUT_SUFFIX", "as_key", "flatten_keys"]

INPUT_SUFFIX = "__input"
"""What a result adds to the name of an input whose own name an output of the same variable has."""


def as_key(name: Any, graph: Graph) -> Key:
    """Return (process, variable) for ``"process__variable"`` or that tuple.

    Raises
    ------
    UnknownNameError
        If the model has no such variable.
    """
    for key in _candidates(name):
        if key in graph.variables:
            return key
    shown = join_name(name) if isinstance(name, tuple) and len(name) == 2 else str(name)
    known = [join_name(key) for key in graph.variables]
    raise UnknownNameError(
        f"{shown!r} is not a valid name of a variable of the model. {close_matches(shown, known)}",
        fix="names are process__variable; 'simherd info MODEL' lists them.",
    )


def _candidates(name: Any) -> Iterator[Key]:
    if isinstance(name, tuple) and len(name) == 2:
        yield name
    elif isinstance(name, str):
        parts = name.split("__")
        for cut in range(1, len(parts)):
            yield "__".join(parts[:cut]), "__".join(parts[cut:])


def flatten_keys(given: Mapping[Any, Any], graph: Graph) -> dict[Key, Any]:
    """Return values by key for ``{"p": {"v": x}}``, ``{("p", "v"): x}`` or ``{"p__v": x}``.

    Raises
    ------
    UnknownNameError
        If the model lacks one of them.
    SetupError
        If one is given twice.
    """
    found: dict[Key, Any] = {}
    for name, value in _pairs(given, graph.classes):
        key = as_key(name, graph)
        if key in found:
            raise SetupError(f"{join_name(key)} is given twice.")
        found[key] = value
    return found


def _pairs(given: Mapping[Any, Any], processes: Iterable[str]) -> Iterator[tuple[Any, Any]]:
    for name, value in given.items():
        if isinstance(value, Mapping) and name in processes:
            yield from (((name, variable), inner) for variable, inner in value.items())
        else:
            yield name, value

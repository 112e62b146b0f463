"""Names of variables in datasets, in all the forms that a user may give them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from simherd.errors import SetupError, UnknownNameError, close_matches, shown
from simherd.model.graph import Graph, Key, join_name

__all__ = ["INPUT_SUFFIX", "as_key", "find_key", "flatten_keys", "name_pairs", "shown_name"]

INPUT_SUFFIX = "__input"
"""What a result adds to the name of an input whose own name an output of the same variable has."""


def as_key(name: Any, graph: Graph) -> Key:
    """Return (process, variable) for ``"process__variable"`` or that tuple.

    Raises
    ------
    UnknownNameError
        If the model has no such variable.
    """
    key = find_key(name, graph)
    if key is not None:
        return key
    text = shown_name(name)
    known = [join_name(key) for key in graph.variables]
    raise UnknownNameError(
        f"{text!r} is not a valid name of a variable of the model. {close_matches(text, known)}",
        fix="names are process__variable; 'simherd info MODEL' lists them.",
    )


def find_key(name: Any, graph: Graph) -> Key | None:
    """Return (process, variable) for ``"process__variable"`` or that tuple, None if there is none."""
    return next((key for key in _candidates(name) if key in graph.variables), None)


def _candidates(name: Any) -> Iterator[Key]:
    if isinstance(name, tuple) and len(name) == 2:
        yield name
    elif isinstance(name, str):  # "p___a" may be cut in two ways
        cuts = (cut for cut in range(1, len(name) - 2) if name.startswith("__", cut))
        yield from ((name[:cut], name[cut + 2 :]) for cut in cuts)


def shown_name(name: Any) -> str:
    """Return a name as it stands in messages, whatever it is."""
    return join_name(name) if isinstance(name, tuple) and len(name) == 2 else str(name)


def flatten_keys(given: Mapping[Any, Any], graph: Graph, what: str = "values of variables") -> dict[Key, Any]:
    """Return values by key for ``{"p": {"v": x}}``, ``{("p", "v"): x}`` or ``{"p__v": x}``.

    Parameters
    ----------
    given : mapping
        Values by name, in any of these forms.
    graph : Graph
        Of the model that has the variables.
    what : str, optional
        What they are called where they were given.

    Raises
    ------
    UnknownNameError
        If the model lacks one of them.
    SetupError
        If one is given twice, or they are no mapping.
    """
    if not hasattr(given, "items"):
        raise SetupError(
            f"{what}: a mapping is needed, found {shown(given)}.",
            fix="give {'process__variable': ...}.",
        )
    found: dict[Key, Any] = {}
    for name, value in name_pairs(given, graph.classes):
        key = as_key(name, graph)
        if key in found:
            raise SetupError(f"{join_name(key)} is given twice.")
        found[key] = value
    return found


def name_pairs(given: Mapping[Any, Any], processes: Iterable[str]) -> Iterator[tuple[Any, Any]]:
    """Yield names and values, with ``{"p": {"v": x}}`` as ``("p", "v"), x``."""
    for name, value in given.items():
        if isinstance(value, Mapping) and name in processes:
            yield from (((name, variable), inner) for variable, inner in value.items())
        else:
            yield name, value

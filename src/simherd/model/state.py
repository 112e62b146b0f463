"""The values of a live model as one mapping."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

from simherd.errors import UnsetVariableError
from simherd.model.graph import Graph, Key

__all__ = ["ModelState", "assign"]


def assign(graph: Graph, objects: Mapping[str, Any], home: Key, value: Any) -> None:
    """Give a value to its owner and to all that hold it.

    The owner's descriptor, if it has one, converts it; the others get what it made of it.
    """
    process, name = home
    setattr(objects[process], name, value)
    holders = graph.holders[home]
    if len(holders) > 1:
        value = getattr(objects[process], name)
        for other, alias in holders[1:]:
            vars(objects[other])[alias] = value


class ModelState(MutableMapping[Key, Any]):
    """Values that are set, keyed by names of process and variable; a view that writes through.

    Holds what processes own; on-demand variables and groups are not part of it.
    """

    def __init__(self, graph: Graph, objects: Mapping[str, Any]) -> None:
        self._graph = graph
        self._objects = objects

    def __getitem__(self, key: Key) -> Any:
        if key not in self._graph.holders:
            raise KeyError(key)
        try:
            return getattr(self._objects[key[0]], key[1])
        except UnsetVariableError:
            raise KeyError(key) from None

    def __setitem__(self, key: Key, value: Any) -> None:
        if key not in self._graph.holders:
            raise KeyError(key)
        assign(self._graph, self._objects, key, value)

    def __delitem__(self, key: Key) -> None:
        self[key]
        for process, name in self._graph.holders[key]:
            vars(self._objects[process]).pop(name, None)

    def __iter__(self) -> Iterator[Key]:
        return (key for key in self._graph.holders if self._is_set(key))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _is_set(self, key: Key) -> bool:
        return key[1] in vars(self._objects[key[0]])

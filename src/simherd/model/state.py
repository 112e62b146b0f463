"""The process objects of a live model and their values as one mapping."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, MutableMapping
from typing import Any

import attr

from simherd.errors import UnsetVariableError
from simherd.model.access import GRAPH, NAME
from simherd.model.docs import aligned
from simherd.model.graph import Graph, Key, default_of, join_name
from simherd.model.stages import CompiledStages, Stages, Watcher

__all__ = ["LiveProcesses", "ModelState"]


class LiveProcesses:
    """The process objects of one model, without values at first.

    Parameters
    ----------
    graph : Graph
        Processes and variables of the model.
    compiled : CompiledStages
        Its stages, to be bound to the objects; that also lets these pull from each other.
    """

    def __init__(self, graph: Graph, compiled: CompiledStages) -> None:
        self.graph = graph
        self.objects = {name: _new_object(graph, name) for name in graph.order}
        self.caches: dict[Key, list[Any]] = {key: [] for key in graph.cached}
        self.given: dict[Key, Any] = {}
        self.stages: Stages = self.bind(compiled)

    def bind(self, compiled: CompiledStages, watcher: Watcher | None = None) -> Any:
        """Return the stages of these objects, with a watcher where they are compiled for one."""
        return compiled.bind(list(self.objects.values()), self.caches, watcher)

    def assign(self, home: Key, value: Any) -> None:
        """Give a value to its owner, whose converter if it has one converts it, and to all that hold it."""
        process, name = home
        setattr(self.objects[process], name, value)
        self._hand_on(home)
        self._forget_cached()

    def share(self) -> None:
        """Give the values of all owners to all that hold them, after somebody set attributes by hand."""
        for home in self.graph.holders:
            self._hand_on(home)
        self._forget_cached()

    def _hand_on(self, home: Key) -> None:
        owner = vars(self.objects[home[0]])
        if home[1] in owner:
            if home in self.graph.fixed:
                self.given[home] = owner[home[1]]
            for process, alias in self.graph.holders[home][1:]:
                vars(self.objects[process])[alias] = owner[home[1]]

    def strays(self) -> Iterator[Key]:
        """Yield the inputs and references that hold another value than they were given."""
        for home, value in self.given.items():
            if vars(self.objects[home[0]]).get(home[1]) is not value:
                yield home
        for home, holders in self.graph.holders.items():
            value = vars(self.objects[home[0]]).get(home[1])
            for process, name in holders[1:]:
                if vars(self.objects[process]).get(name) is not value:
                    yield process, name

    def delete(self, home: Key) -> None:
        """Take a value from its owner and from all that hold it."""
        self.given.pop(home, None)
        for process, name in self.graph.holders[home]:
            vars(self.objects[process]).pop(name, None)
        self._forget_cached()

    def _forget_cached(self) -> None:
        for cache in self.caches.values():
            cache.clear()


def _new_object(graph: Graph, name: str) -> Any:
    cls = graph.live_classes[name]
    new: Any = object.__new__(cls)
    vars(new).update({NAME: name, GRAPH: graph})
    for field in graph.infos[name].plain:
        if field.default is not attr.NOTHING:
            setattr(new, field.name, default_of(field, new))
    return new


def _in_short(value: Any) -> str:
    if getattr(value, "shape", ()):
        return f"{type(value).__name__} {value.dtype} {value.shape}"
    return reprlib.repr(value)


class ModelState(MutableMapping[Key, Any]):
    """Values that are set, keyed by names of process and variable; a view that writes through.

    Holds what processes own; on-demand variables and groups are not part of it.
    """

    def __init__(self, live: LiveProcesses) -> None:
        self._live = live

    def __getitem__(self, key: Key) -> Any:
        self._check(key)
        try:
            return getattr(self._live.objects[key[0]], key[1])
        except UnsetVariableError:
            raise KeyError(key) from None

    def __setitem__(self, key: Key, value: Any) -> None:
        self._check(key)
        self._live.assign(key, value)

    def __delitem__(self, key: Key) -> None:
        self[key]
        self._live.delete(key)

    def __iter__(self) -> Iterator[Key]:
        return (key for key in self._live.graph.holders if self._is_set(key))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        lines = aligned((join_name(key), _in_short(value)) for key, value in self.items())
        head = f"<simherd.ModelState ({len(lines)} of {len(self._live.graph.holders)} values set)>"
        return "\n".join([head, *lines])

    def _check(self, key: Key) -> None:
        if key not in self._live.graph.holders:
            raise KeyError(key)

    def _is_set(self, key: Key) -> bool:
        return key[1] in vars(self._live.objects[key[0]])

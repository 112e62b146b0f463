"""What a model consists of, to look at: its processes by name, and the variables that they declare."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from simherd.errors import close_matches
from simherd.model.graph import Graph, Key

__all__ = ["Contents"]


class Contents(Mapping[str, Any]):
    """Processes by name, which are attributes too, and their variables.

    Two are equal if they have the same classes under the same names, in the same order of execution.
    """

    _graph: Graph

    @property
    def graph(self) -> Graph:
        """How the processes hang together."""
        return self._graph

    @property
    @abstractmethod
    def _objects(self) -> dict[str, Any]:
        """The process objects by name."""

    def __getitem__(self, name: str) -> Any:
        return self._objects[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._graph.order)

    def __len__(self) -> int:
        return len(self._graph.order)

    def __getattr__(self, name: str) -> Any:
        graph = self.__dict__.get("_graph")
        if graph is not None and name in graph.classes:
            return self._objects[name]
        known = graph.classes if graph is not None else ()
        raise AttributeError(
            f"{type(self).__name__!r} object has no process or attribute {name!r}. "
            f"{close_matches(name, known)}"
        )

    def __setattr__(self, name: str, value: Any) -> None:
        graph = self.__dict__.get("_graph")
        if graph is not None and name in graph.classes:
            raise AttributeError(f"Process {name!r} of a model cannot be replaced: see update_processes.")
        super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._graph.order]

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._identity == self._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    @property
    def _identity(self) -> tuple[tuple[str, type], ...]:
        """Names and classes in the order of execution: what makes two models the same."""
        return tuple((name, self._graph.classes[name]) for name in self._graph.order)

    def __repr__(self) -> str:
        from simherd.model.describe import describe_model

        return describe_model(self._graph)

    @property
    def all_vars(self) -> list[Key]:
        """All variables, as (process, variable)."""
        return list(self._graph.variables)

    @property
    def all_vars_dict(self) -> dict[str, list[str]]:
        """All variables by process."""
        return _by_process(self.all_vars)

    @property
    def input_vars(self) -> list[Key]:
        """Variables whose value the user gives, as (process, variable)."""
        return list(self._graph.inputs)

    @property
    def input_vars_dict(self) -> dict[str, list[str]]:
        """Inputs by process."""
        return _by_process(self.input_vars)

    @property
    def index_vars(self) -> list[Key]:
        """Index variables, as (process, variable)."""
        return list(self._graph.indexes)

    @property
    def index_vars_dict(self) -> dict[str, list[str]]:
        """Index variables by process."""
        return _by_process(self.index_vars)

    @property
    def dependent_processes(self) -> dict[str, list[str]]:
        """The processes that each process waits for."""
        return {name: list(self._graph.dependencies[name]) for name in self._graph.order}


def _by_process(keys: Iterable[Key]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for process, name in keys:
        found.setdefault(process, []).append(name)
    return found

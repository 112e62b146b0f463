"""Wiring processes into a graph: references followed, intents checked, the order found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import combinations, pairwise

from simherd.errors import CycleError, LinkError, ModelError, UnknownNameError, close_matches
from simherd.model.graph import Graph, Key, Pair, Variable, join_name
from simherd.model.process import ProcessInfo, inspect_process
from simherd.model.variables import Attribute, VarIntent, VarType

__all__ = ["build_graph"]

_REFERENCES = (VarType.FOREIGN, VarType.GLOBAL)


def build_graph(classes: Mapping[str, type], pairs: Iterable[Pair] = ()) -> Graph:
    """Resolve a mapping of process classes into a graph.

    Parameters
    ----------
    classes : mapping of str to type
        Process classes by name.
    pairs : iterable of (str, str), optional
        Processes of which the first runs before the second.

    Raises
    ------
    ProcessClassError
        If a class is not a process.
    LinkError, ModelError
        If a reference cannot be resolved, or two processes set one variable, or change it and nothing
        says in which order, or two variables have one name in datasets.
    UnknownNameError
        If a pair names no process.
    CycleError
        If processes wait for each other in a circle.
    """
    classes = dict(classes)
    infos = {name: inspect_process(cls) for name, cls in classes.items()}
    links = _Links(classes, infos)
    variables = {key: links.resolve(key) for key in links.keys()}  # noqa: SIM118 (not a mapping)
    _check_names(variables)
    graph = Graph(classes=classes, infos=infos, variables=variables, pairs=_checked_pairs(pairs, classes))
    dependencies = _dependencies(graph)
    order = _sort(graph, dependencies)
    _check_writers(graph, dependencies, order)
    return replace(graph, dependencies=dependencies, order=order)


def _check_names(variables: Iterable[Key]) -> None:
    owners: dict[str, Key] = {}
    for key in variables:
        other = owners.setdefault(join_name(key), key)
        if other != key:
            raise ModelError(
                f"Variables {other[1]!r} of process {other[0]!r} and {key[1]!r} of process {key[0]!r} would "
                f"both be {join_name(key)!r} in datasets.",
                fix="rename one of the processes.",
            )


def _checked_pairs(pairs: Iterable[Pair], classes: Mapping[str, type]) -> tuple[Pair, ...]:
    checked = tuple((first, second) for first, second in pairs)
    for name in (name for pair in checked for name in pair):
        if name not in classes:
            raise UnknownNameError(f"order: there is no process {name!r}. {close_matches(name, classes)}")
    return checked


class _Links:
    """Follows foreign and global references to the variables that own the values."""

    def __init__(self, classes: Mapping[str, type], infos: Mapping[str, ProcessInfo]) -> None:
        self.classes = classes
        self.infos = infos

    def keys(self) -> list[Key]:
        return [(p, v) for p, info in self.infos.items() for v in info.variables]

    def declared(self, key: Key) -> Attribute:
        return self.infos[key[0]].variables[key[1]]

    def resolve(self, key: Key) -> Variable:
        home = key
        while (kind := self.declared(home).metadata["var_type"]) in _REFERENCES:
            home = self._foreign(home) if kind is VarType.FOREIGN else self._global(home)
        return Variable(
            key=key,
            home=home,
            declared=self.declared(key),
            owner=self.declared(home),
            process_cls=self.classes[key[0]],
        )

    def _foreign(self, key: Key) -> Key:
        metadata = self.declared(key).metadata
        wanted = metadata["other_process_cls"]
        found = [name for name, cls in self.classes.items() if issubclass(cls, wanted)]
        if not found:
            raise LinkError(
                f"Process class {wanted.__name__!r} missing in Model but required by foreign variable "
                f"{key[1]!r} of process {key[0]!r}.",
                fix=f"add a {wanted.__name__} to the model.",
            )
        if len(found) > 1:
            raise ModelError(
                f"Process class {wanted.__name__!r}, required by foreign variable {key[1]!r} of process "
                f"{key[0]!r}, is used by multiple processes: {', '.join(found)}.",
                fix="keep one of them, or refer to one by a global name (see global_ref).",
            )
        return found[0], metadata["var_name"]

    def _global(self, key: Key) -> Key:
        name = self.declared(key).metadata["global_name"]
        found = [
            k
            for k in self.keys()
            if self.declared(k).metadata["global_name"] == name
            and self.declared(k).metadata["var_type"] is not VarType.GLOBAL
        ]
        if not found:
            raise LinkError(
                f"No variable with global name {name!r} in the model, but process {key[0]!r} refers to it."
            )
        if len(found) > 1:
            raise ModelError(
                f"Found multiple variables with global name {name!r}: {', '.join(map(join_name, found))}."
            )
        return found[0]


def _dependencies(graph: Graph) -> dict[str, tuple[str, ...]]:
    """Return for each process those that set (intent "out") something it refers to."""
    setters: dict[Key, list[Key]] = {}
    for v in graph.variables.values():
        if v.intent is VarIntent.OUT:
            setters.setdefault(v.home, []).append(v.key)
    conflicts = {home: keys for home, keys in setters.items() if len(keys) > 1}
    if conflicts:
        lines = (f"{join_name(h)} is set by {' and '.join(map(join_name, k))}" for h, k in conflicts.items())
        raise ModelError(
            f"Conflict(s) found in given variable intents: {'; '.join(lines)} (intent='out' each).",
            fix="let one variable of one process of the model set it.",
        )
    position = {name: number for number, name in enumerate(graph.classes)}
    waits = {
        name: {setters[home][0][0] for home in graph.read_by(name) if home in setters} - {name}
        for name in graph.classes
    }
    for first, second in graph.pairs:
        waits[second].add(first)
    return {name: tuple(sorted(found, key=position.__getitem__)) for name, found in waits.items()}


def _check_writers(graph: Graph, dependencies: Mapping[str, tuple[str, ...]], order: Iterable[str]) -> None:
    """Raise an error if two processes set or change one variable and neither waits for the other."""
    before: dict[str, set[str]] = {}
    for name in order:
        waits = dependencies[name]
        before[name] = {*waits}.union(*(before[other] for other in waits))
    writers: dict[Key, dict[str, None]] = {}
    for process in graph.classes:
        for v in graph.set_by(process):
            writers.setdefault(v.home, {})[process] = None
    for home, names in writers.items():
        for one, other in combinations(names, 2):
            if one not in before[other] and other not in before[one]:
                raise ModelError(
                    f"{one!r} and {other!r} both change {join_name(home)}, and nothing says who comes first.",
                    fix=f"say so: Model(..., order=[({one!r}, {other!r})]).",
                )


def _sort(graph: Graph, dependencies: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return the processes so that each comes after those it waits for.

    Depth first, in the order of the mapping: the same model has the same order in every interpreter.
    """
    ordered: dict[str, None] = {}

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            raise _circle_error(graph, (*path[path.index(name) :], name))
        if name not in ordered:
            for other in dependencies[name]:
                visit(other, (*path, name))
            ordered[name] = None

    for name in dependencies:
        visit(name, ())
    return tuple(ordered)


def _circle_error(graph: Graph, circle: tuple[str, ...]) -> CycleError:
    waits = [_why_waits(graph, name, other) for name, other in pairwise(circle)]
    return CycleError(
        f"Cycle detected in process graph: {'->'.join(circle)}: {'; '.join(waits)}.",
        fix="declare one of these variables with intent='inout' in the process that sets it, so that none "
        "waits for it, and set its first value in 'initialize' of a process that declares it as "
        "foreign(..., intent='out').",
    )


def _why_waits(graph: Graph, name: str, other: str) -> str:
    """Say why a process waits for another one."""
    set_there = {v.home for v in graph.set_by(other) if v.intent is VarIntent.OUT}
    read = [join_name(home) for home in dict.fromkeys(graph.read_by(name)) if home in set_there]
    if not read:
        return f"order= puts {other!r} before {name!r}"
    return f"{name!r} reads {', '.join(read)}, which {other!r} sets"

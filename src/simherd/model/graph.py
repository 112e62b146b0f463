"""How the processes of a model hang together, as data: who owns, reads and sets what."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import attr

from simherd.model.access import PROCESS, KeptVariable
from simherd.model.dims import MAIN_CLOCK, Dims
from simherd.model.process import ProcessInfo, converter_of
from simherd.model.variables import Attribute, VarIntent, VarType

__all__ = ["Graph", "Key", "Pair", "Variable", "default_of", "join_name", "pairs_without"]

Key: TypeAlias = tuple[str, str]
Pair: TypeAlias = tuple[str, str]

_GROUPS = (VarType.GROUP, VarType.GROUP_DICT)


def default_of(declared: Attribute, instance: Any) -> Any:
    """Return the default value of a declared field, made anew where it has a factory."""
    default: Any = declared.default
    if not isinstance(default, attr.Factory):  # type: ignore[arg-type]
        return default
    return default.factory(instance) if default.takes_self else default.factory()


def join_name(key: Key) -> str:
    """Return the name of a variable in datasets and files: ``process__variable``."""
    return f"{key[0]}__{key[1]}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Variable:
    """A variable of a model, its reference resolved."""

    key: Key
    """Names of process and variable."""
    home: Key
    """Key of the variable that owns the value: another one for foreign and global variables."""
    declared: Attribute
    """The declaration in its process."""
    owner: Attribute
    """The declaration of `home`."""
    process_cls: type
    """The class that declares it."""

    @property
    def type(self) -> VarType:
        """Kind of the declaration."""
        return self.declared.metadata["var_type"]  # type: ignore[no-any-return]

    @property
    def intent(self) -> VarIntent:
        """What the process does with it."""
        return self.declared.metadata["intent"]  # type: ignore[no-any-return]

    @property
    def dims(self) -> Dims:
        """Allowed combinations of dimension labels."""
        return self.owner.metadata["dims"]  # type: ignore[no-any-return]

    def dims_on(self, clock: str | None) -> Dims:
        """Return the allowed combinations of dimension labels where `clock` is the main one."""
        return tuple(tuple(str(clock) if d == MAIN_CLOCK else d for d in dims) for dims in self.dims)

    @property
    def attrs(self) -> dict[str, Any]:
        """Description and attributes, as the store keeps them."""
        metadata = self.owner.metadata
        described = {"description": metadata["description"]} if metadata["description"] else {}
        return {**described, **metadata["attrs"]}

    @property
    def encoding(self) -> dict[str, Any]:
        """How its output is stored."""
        return dict(self.owner.metadata["encoding"])

    @property
    def is_static(self) -> bool:
        """Whether it may not vary with the clock."""
        return bool(self.declared.metadata["static"])

    @property
    def keeps_labels(self) -> bool:
        """Whether its arrays come with their coordinates."""
        return bool(self.declared.metadata.get("keep_labels"))

    @property
    def is_finite(self) -> bool:
        """Whether a saved value that is not finite fails its simulation."""
        return bool(self.owner.metadata.get("finite"))

    @property
    def is_group(self) -> bool:
        """Whether it stands for the variables of a group."""
        return self.type in _GROUPS

    @property
    def is_on_demand(self) -> bool:
        """Whether its value is computed when it is read."""
        return self.owner.metadata["var_type"] is VarType.ON_DEMAND

    @property
    def is_object(self) -> bool:
        """Whether its value is any object, and so no output."""
        return self.owner.metadata["var_type"] is VarType.OBJECT

    @property
    def converter(self) -> Callable[[Any], Any] | None:
        """What converts values of an input that the process only reads."""
        converter: Any = self.declared.converter
        return converter  # type: ignore[no-any-return]

    @property
    def set_converter(self) -> Callable[[Any], Any] | None:
        """What converts values that a process sets: the converter of the owner."""
        return converter_of(self.owner)

    @property
    def has_default(self) -> bool:
        """Whether the input has a default value."""
        return self.declared.default is not attr.NOTHING

    def make_default(self) -> Any:
        """Return the default value."""
        return default_of(self.declared, object.__new__(self.process_cls))


@dataclass(frozen=True, kw_only=True, eq=False)
class Graph:
    """Processes and variables of a model, all references resolved."""

    classes: Mapping[str, type]
    """Process classes by name, as the user gave them."""
    infos: Mapping[str, ProcessInfo]
    """What each of them declares."""
    variables: Mapping[Key, Variable]
    """All variables, in the order of processes and declarations."""
    dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The processes that each process waits for."""
    pairs: tuple[Pair, ...] = ()
    """Two processes each, of which the user says that the first runs before the second."""
    order: tuple[str, ...] = ()
    """Processes in the order of execution."""

    @cached_property
    def inputs(self) -> tuple[Key, ...]:
        """Variables whose value the user gives."""
        set_here = {v.home for v in self.variables.values() if v.intent is VarIntent.OUT}
        return tuple(
            key
            for key, v in self.variables.items()
            if v.type is VarType.VARIABLE and v.intent is not VarIntent.OUT and key not in set_here
        )

    @cached_property
    def fixed(self) -> frozenset[Key]:
        """Inputs that no process may change."""
        changed = {v.home for v in self.variables.values() if v.intent is not VarIntent.IN}
        return frozenset(self.inputs) - changed

    @cached_property
    def indexes(self) -> tuple[Key, ...]:
        """Index variables."""
        return tuple(k for k, v in self.variables.items() if v.type is VarType.INDEX)

    @cached_property
    def cached(self) -> tuple[Key, ...]:
        """On-demand variables that keep their value for a while."""
        return tuple(
            (process, name)
            for process, info in self.infos.items()
            for name, compute in info.on_demand.items()
            if compute.is_cached
        )

    @cached_property
    def keepers(self) -> Mapping[tuple[str, Key], Key]:
        """For each process and value it holds, the variable that keeps it as an attribute.

        The owner's own, else the first that refers to it.
        """
        held = [v for v in self.variables.values() if not v.is_group and not v.is_on_demand]
        held.sort(key=lambda v: v.key != v.home)
        keepers: dict[tuple[str, Key], Key] = {}
        for v in held:
            keepers.setdefault((v.key[0], v.home), v.key)
        return keepers

    @cached_property
    def holders(self) -> Mapping[Key, tuple[Key, ...]]:
        """For each value the variables that keep it as an attribute, the owner first."""
        holders: dict[Key, list[Key]] = {key: [] for key, v in self.variables.items() if key == v.home}
        for (_, home), key in self.keepers.items():
            holders[home].append(key)
        return {home: tuple(keys) for home, keys in holders.items() if keys}

    @cached_property
    def live_classes(self) -> Mapping[str, type]:
        """Classes of the process objects, derived where a reference behaves otherwise in this model.

        Which variable a reference stands for is known in a model only, not when the class is declared: it
        may have a converter, or be one that the process knows by another name already.
        """
        return {name: self._live_class(name) for name in self.classes}

    def _live_class(self, process: str) -> type:
        cls, kept = self.classes[process], dict(self._kept_variables(process))
        if not kept:
            return cls
        members = {"__module__": cls.__module__, PROCESS: self.infos[process], **kept}
        return type(cls.__name__, (cls,), members)

    def _kept_variables(self, process: str) -> Iterator[tuple[str, KeptVariable]]:
        for v in self.variables.values():
            if v.key[0] != process or v.is_group or v.is_on_demand:
                continue
            keeper = self.keepers[process, v.home]
            converter = None if v.intent is VarIntent.IN else v.set_converter
            if v.key != keeper or (v.type is VarType.GLOBAL and converter is not None):
                yield v.key[1], KeptVariable(keeper[1], converter)

    def members(self, group: str) -> tuple[Key, ...]:
        """Return the variables of a group: in the order of processes, on-demand ones last."""
        found = [k for k, v in self.variables.items() if group in v.declared.metadata["groups"]]
        return tuple(sorted(found, key=lambda key: self.variables[key].is_on_demand))

    def set_by(self, process: str) -> tuple[Variable, ...]:
        """Return the variables, own and others', that a process sets or changes."""
        return tuple(
            v
            for v in self.variables.values()
            if v.key[0] == process and v.intent is not VarIntent.IN and not v.is_on_demand
        )

    def read_by(self, process: str) -> Iterator[Key]:
        """Yield the homes of all that a process refers to, members of groups included."""
        for v in self.variables.values():
            if v.key[0] != process:
                continue
            if v.is_group:
                yield from (self.variables[m].home for m in self.members(v.declared.metadata["group"]))
            else:
                yield v.home

    def needed_by(self, process: str, seen: frozenset[str] = frozenset()) -> set[Key]:
        """Return the homes of all that an on-demand variable of a process may depend on."""
        homes = set(self.read_by(process))
        others = {home[0] for home in homes if self.variables[home].is_on_demand} - seen - {process}
        return homes.union(*(self.needed_by(other, seen | {process}) for other in others))

    def touched_by(self, process: str) -> set[Key]:
        """Return the homes of all that a process reads, sets, or has computed on demand."""
        return self.needed_by(process)


def pairs_without(pairs: Iterable[Pair], name: str) -> tuple[Pair, ...]:
    """Return pairs without a process, in which what came before it comes before what came after it."""
    pairs = tuple(pairs)
    kept = [pair for pair in pairs if name not in pair]
    before = [first for first, second in pairs if second == name]
    after = [second for first, second in pairs if first == name]
    return tuple(dict.fromkeys([*kept, *((first, second) for first in before for second in after)]))

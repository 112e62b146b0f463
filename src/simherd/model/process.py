"""The decorator that makes a process of a class, and what it knows about one.

A decorated class stays the class it was: an attrs class whose instances hold plain attributes. That
is what makes a step as quick as a bare loop. See `simherd.model.access` for where these cannot serve.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import textwrap
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import FunctionType, MappingProxyType
from typing import Any, TypeVar, dataclass_transform, overload
from weakref import WeakKeyDictionary

import attr

from simherd.errors import ModelError, ProcessClassError
from simherd.model.access import (
    GRAPH,
    NAME,
    PROCESS,
    KeptVariable,
    MissingVariable,
    PulledVariable,
    install_getattr,
)
from simherd.model.docs import attributes_section, describe_process
from simherd.model.runtime import RUNTIME_ARGS, STAGES
from simherd.model.variables import (
    PULLED_TYPES,
    Attribute,
    OnDemand,
    VarIntent,
    VarType,
)
from simherd.user_warnings import warn_user

__all__ = [
    "NAME",
    "PROCESS",
    "ProcessInfo",
    "forbidden_assignments",
    "inspect_process",
    "make_process",
    "process",
    "text_of",
]

ALIKE = 0.85
"""How alike a name and that of a stage are where one is taken for the other, from 0 to 1."""

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessInfo:
    """What a process class declares."""

    variables: Mapping[str, Attribute]
    """Its variables by name, as attrs fields with our metadata."""
    stages: Mapping[str, tuple[str, ...]]
    """The runtime arguments of each stage method that it has, in the order of stages."""
    on_demand: Mapping[str, Compute]
    """How its on-demand variables are computed."""
    plain: tuple[Attribute, ...]
    """Its other attrs fields, which get their defaults in each simulation."""
    thread_safe: bool = True
    """Whether objects of the class may run at once in threads."""
    numbers_are_signals: bool = False
    """Whether a number that a stage method returns stands for a signal, as in xarray-simlab."""
    vectorized: bool | None = None
    """Whether it is written for arrays with a leading batch axis; None: as far as the others are, too."""


@dataclass(frozen=True, slots=True)
class Compute:
    """How an on-demand variable gets its value."""

    method: Callable[[Any], Any]
    """Called with the process."""
    is_cached: bool
    """Whether the value is kept until what it depends on is set, or the stage ends."""


def inspect_process(cls: type) -> ProcessInfo:
    """Return what a process class declares.

    Raises
    ------
    ProcessClassError
        If the class itself is not decorated with `process`.
    """
    info = vars(cls).get(PROCESS) if isinstance(cls, type) else None
    if info is None and PROCESS in vars(type(cls)):
        raise ProcessClassError(
            f"An object of class {type(cls).__name__!r} is not a process class.", fix="give the class."
        )
    if info is None:
        raise ProcessClassError(
            f"{getattr(cls, '__name__', cls)!r} is not a process class.",
            fix="decorate it with @process (a class derived from a process needs it too).",
        )
    return info  # type: ignore[no-any-return]


_locks: WeakKeyDictionary[type, threading.RLock] = WeakKeyDictionary()
_making_locks = threading.Lock()


def lock_for(cls: type) -> Any:
    """Return the lock that objects of a class hold in threads; None if they are safe there.

    A class derived from one that is not safe shares its lock. Locks do not travel: they are made where
    they are needed.
    """
    for base in reversed(cls.__mro__):
        info: ProcessInfo | None = vars(base).get(PROCESS)
        if info is not None and not info.thread_safe:
            with _making_locks:
                return _locks.setdefault(base, threading.RLock())
    return None


@overload
def process(
    maybe_cls: type[T],
    autodoc: bool = True,
    apply_attrs: bool = True,
    *,
    thread_safe: bool = True,
    vectorized: bool | None = None,
) -> type[T]: ...
@overload
def process(
    maybe_cls: None = None,
    autodoc: bool = True,
    apply_attrs: bool = True,
    *,
    thread_safe: bool = True,
    vectorized: bool | None = None,
) -> Callable[[type[T]], type[T]]: ...
@dataclass_transform(kw_only_default=True)  # no field specifiers: to a type checker all have defaults
def process(
    maybe_cls: Any = None,
    autodoc: bool = True,
    apply_attrs: bool = True,
    *,
    thread_safe: bool = True,
    vectorized: bool | None = None,
) -> Any:
    """Make a process of a class.

    Parameters
    ----------
    maybe_cls : type, optional
        The class; without it a decorator is returned.
    autodoc : bool, optional
        Add an "Attributes" section with all variables to the docstring, at ``{{attributes}}`` where
        that stands in it.
    apply_attrs : bool, optional
        False where the class is decorated with ``attr.s`` already.
    thread_safe : bool, optional
        False lets methods of the class run one at a time where threads run simulations, or processes of
        one. What a library keeps outside of the process from one stage to the next is not safe even so:
        run such a batch with ``scheduler="processes"``.
    vectorized : bool, optional
        What ``run(vectorize=True)`` may do with the class: True, its methods take arrays with a leading
        axis for the simulations; False, they are called for one simulation after another. Without a word
        they take arrays, unless another process of the model is marked True.

    Returns
    -------
    type
        The same class. Its instances can be made on their own, ``P(x=1)``, to test their methods.

    Raises
    ------
    ModelError
        If an on-demand variable has no method that computes it, the class has slots, or a stage method
        assigns a variable with intent "in".
    TypeError
        If a stage method has arguments that no run gives.
    """

    def decorate(cls: type) -> type:
        made = make_process(
            cls, autodoc=autodoc, apply_attrs=apply_attrs, thread_safe=thread_safe, vectorized=vectorized
        )
        _check_stage_names(made)
        _check_assignments(made)
        return made

    return decorate if maybe_cls is None else decorate(maybe_cls)


def make_process(
    cls: type,
    *,
    autodoc: bool,
    apply_attrs: bool,
    thread_safe: bool = True,
    vectorized: bool | None = None,
) -> type:
    """Make a process of a class, see `process`, whatever its stage methods assign."""
    if not apply_attrs and any(isinstance(value, OnDemand) for value in vars(cls).values()):
        raise ProcessClassError(
            f"{cls.__name__!r} has on-demand variables, which attr.s alone does not take.",
            fix="leave out attr.s and apply_attrs=False.",
        )
    on_demand = _collect_on_demand(cls)
    _take_converters(cls)
    if apply_attrs:
        cls = attr.attrs(cls, repr=False, eq=False, collect_by_mro=True)
    if cls.__dictoffset__ == 0:
        raise ProcessClassError(
            f"{cls.__name__!r} has slots, but a process keeps its values in the dictionary of an object.",
            fix="decorate it with attr.s(slots=False).",
        )
    fields = attr.fields(cls)
    variables = {a.name: a for a in fields if "var_type" in a.metadata}
    info = ProcessInfo(
        variables=MappingProxyType(variables),
        stages=MappingProxyType(_stages(cls)),
        on_demand=MappingProxyType(on_demand),
        plain=tuple(a for a in fields if "var_type" not in a.metadata),
        thread_safe=thread_safe,
        vectorized=vectorized,
    )
    setattr(cls, PROCESS, info)
    _install_access(cls, variables)
    if not any("__repr__" in vars(base) for base in cls.__mro__[:-1]):
        cls.__repr__ = _represent  # type: ignore[assignment,method-assign]
    if autodoc:
        cls.__doc__ = attributes_section(cls.__doc__ or "", variables)
    return cls


def _collect_on_demand(cls: type) -> dict[str, Compute]:
    """Return the on-demand variables of a class and its bases; leave attrs fields in their place."""
    found: dict[str, Compute] = {}
    for base in reversed(cls.__mro__[1:]):
        found |= getattr(vars(base).get(PROCESS), "on_demand", {})
    for name, declared in list(vars(cls).items()):
        found.pop(name, None)
        if isinstance(declared, OnDemand):
            found[name] = _compute_of(cls, name, declared)
            setattr(cls, name, declared.attribute)
    return found


def _compute_of(cls: type, name: str, declared: OnDemand) -> Compute:
    if declared.method is None:
        raise ModelError(
            f"Process {cls.__name__!r}: on-demand variable {name!r} has no method that computes it.",
            fix=f"decorate a method with @{name}.compute.",
        )
    return Compute(declared.method, declared.is_cached)


def _take_converters(cls: type) -> None:
    """Leave the conversion of variables that a process sets to a descriptor, not to attrs."""
    for declared in vars(cls).values():
        metadata = getattr(declared, "metadata", None) or {}
        converter = getattr(declared, "converter", None)
        if converter is not None and metadata.get("intent") in (VarIntent.OUT, VarIntent.INOUT):
            metadata["converter"], declared.converter = converter, None


def converter_of(field: Attribute) -> Callable[[Any], Any] | None:
    """Return what converts the values of a declared variable."""
    converter: Any = field.metadata.get("converter") or field.converter
    return converter  # type: ignore[no-any-return]


def _represent(self: Any) -> str:
    return object.__repr__(self) if PROCESS not in vars(type(self)) else text_of(self)


def text_of(process: Any) -> str:
    """Return the variables and stages of a process, or of a class, in words."""
    cls = process if isinstance(process, type) else type(process)
    info = inspect_process(cls)
    graph = None if process is cls else vars(process).get(GRAPH)
    if graph is None:
        return describe_process(cls.__name__, info.variables, info.stages)
    own = vars(process)[NAME]
    found = {name: graph.variables[own, name] for name in info.variables}
    targets = {name: ".".join(v.home) for name, v in found.items() if v.home != v.key}
    return describe_process(f"{cls.__name__} {own!r}", info.variables, info.stages, targets)


def _install_access(cls: type, variables: Mapping[str, Attribute]) -> None:
    for name, field in variables.items():
        owner = _owner_of(field)
        is_set = field.metadata["intent"] is not VarIntent.IN
        if owner.metadata["var_type"] in PULLED_TYPES:
            setattr(cls, name, PulledVariable(name))
        elif is_set and (converter := converter_of(owner)) is not None:
            setattr(cls, name, KeptVariable(name, converter))
        elif hasattr(cls, name):
            setattr(cls, name, MissingVariable(name))
    install_getattr(cls, variables)


def _owner_of(field: Attribute) -> Attribute:
    """Return the variable that a declaration stands for, as far as that is known without a model."""
    while field.metadata["var_type"] is VarType.FOREIGN:
        fields = attr.fields_dict(field.metadata["other_process_cls"])
        field = fields[field.metadata["var_name"]]
    return field


def _stages(cls: type) -> dict[str, tuple[str, ...]]:
    methods = {stage: getattr(cls, stage, None) for stage in STAGES}
    for stage, method in methods.items():
        if method is not None and not callable(method):
            raise ProcessClassError(
                f"{cls.__name__}.{stage} is {method!r}, but it is the name of a stage, which is a method.",
                fix="give the attribute another name.",
            )
    return {stage: _arguments(cls, method) for stage, method in methods.items() if method is not None}


def _check_stage_names(cls: type) -> None:
    """Raise an error if a method that nothing in the class calls is a stage with a wrong name."""
    methods = {n: f for base in cls.__mro__ for n, f in vars(base).items() if isinstance(f, FunctionType)}
    called = {name for function in methods.values() for name in function.__code__.co_names}
    for name in methods.keys() - called - {*STAGES}:
        meant = difflib.get_close_matches(name, STAGES, n=1, cutoff=ALIKE)
        if meant and not name.startswith("_"):
            raise ProcessClassError(
                f"{cls.__name__}.{name} is never called: stages are {', '.join(STAGES)}. "
                f"Did you mean {meant[0]!r}?",
                fix=f"rename it to {meant[0]!r}, or begin its name with an underscore if it is no stage.",
            )
        if hasattr(methods[name], RUNTIME_ARGS):
            raise ProcessClassError(
                f"{cls.__name__}.{name} asks for values of the run by @runtime, but it is no stage.",
                fix=f"name it {' or '.join(map(repr, STAGES))}, or leave out @runtime.",
            )


def _check_assignments(cls: type) -> None:
    for stage, name in forbidden_assignments(cls):
        raise ModelError(
            f"{cls.__name__}.{stage} assigns {name!r}, which it may only read.",
            fix="declare a variable with intent='inout' or 'out', or assign another attribute.",
        )


def forbidden_assignments(cls: type) -> Iterator[tuple[str, str]]:
    """Yield stages that assign, as their source shows, what the process only reads, and its name."""
    info = inspect_process(cls)
    for stage in info.stages:
        for name in _assigned_in(getattr(cls, stage)):
            if name in info.variables and _is_read_only(info.variables[name]):
                yield stage, name


def _is_read_only(declared: Attribute) -> bool:
    metadata = declared.metadata
    return metadata["intent"] is VarIntent.IN or metadata["var_type"] is VarType.ON_DEMAND


def _assigned_in(method: Callable[..., Any]) -> set[str]:
    """Return the attributes of ``self`` that a method assigns; none where its source is not to be had."""
    try:
        function = ast.parse(textwrap.dedent(inspect.getsource(method))).body[0]
    except (OSError, TypeError, SyntaxError, IndexError):
        return set()
    if not isinstance(function, ast.FunctionDef) or not (function.args.posonlyargs + function.args.args):
        return set()
    instance = (function.args.posonlyargs + function.args.args)[0].arg
    return {
        node.attr
        for node in _own_nodes(function)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == instance
    }


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what stands in a function, without the functions and classes inside it."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            yield from _own_nodes(child)


def _arguments(cls: type, method: Callable[..., Any]) -> tuple[str, ...]:
    marked: tuple[str, ...] | None = getattr(method, RUNTIME_ARGS, None)
    if marked is not None:
        return marked
    parameters = list(inspect.signature(method).parameters.values())[1:]
    if any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters):
        return ()
    wanted = [p for p in parameters if p.default is p.empty]
    if method.__name__ == "run_step" and len(parameters) == 1:
        warn_user(
            f"{cls.__name__}.run_step takes an argument without @runtime(args='step_delta').",
            FutureWarning,
        )
        return ("step_delta",)
    if not wanted:
        return ()
    raise TypeError(
        f"{cls.__name__}.{method.__name__} has arguments that no run gives: "
        f"{', '.join(p.name for p in wanted)}. Fix: name them in @runtime(args=...)."
    )

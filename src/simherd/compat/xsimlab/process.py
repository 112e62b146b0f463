"""Processes as xarray-simlab has them: a class for the user, and a derived one for models.

A class decorated by `simherd.process` is itself what models use. Packages that were written for
xarray-simlab look at the derived class and at instance attributes with ``xsimlab`` in their names;
here they find them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from enum import Enum
from functools import wraps
from typing import Any, TextIO, TypeVar, overload

from simherd.compat.xsimlab.formatting import add_attribute_section, repr_process, var_details
from simherd.compat.xsimlab.utils import variables_dict
from simherd.compat.xsimlab.variable import VarIntent, VarType
from simherd.errors import ProcessClassError, UnknownNameError, close_matches
from simherd.model import filter_variables as native_filter_variables
from simherd.model import runtime
from simherd.model.graph import Key
from simherd.model.process import NAME, PROCESS, forbidden_assignments, inspect_process, make_process
from simherd.model.runtime import STAGES, RuntimeSignal
from simherd.model.variables import Attribute
from simherd.user_warnings import warn_user

__all__ = [
    "NotAProcessClassError",
    "RuntimeSignal",
    "SimulationStage",
    "filter_variables",
    "get_process_cls",
    "get_process_obj",
    "process",
    "process_info",
    "runtime",
    "variable_info",
]

NotAProcessClassError = ProcessClassError
MODEL = "__simherd_model__"
READ_ONLY = "__simherd_read_only__"
SimulationStage = Enum("SimulationStage", {stage.upper(): stage for stage in STAGES})  # type: ignore[misc]  # mypy wants the names written out

T = TypeVar("T")


@overload
def process(maybe_cls: type[T], autodoc: bool = True, apply_attrs: bool = True) -> type[T]: ...
@overload
def process(
    maybe_cls: None = None, autodoc: bool = True, apply_attrs: bool = True
) -> Callable[[type[T]], type[T]]: ...
def process(maybe_cls: Any = None, autodoc: bool = True, apply_attrs: bool = True) -> Any:
    """Make a process of a class; see `simherd.process`.

    Its attribute ``__xsimlab_cls__`` is the derived class whose instances are in models.

    Warns
    -----
    UserWarning
        If a stage method assigns a variable that the process only reads. When it does, there is an
        AttributeError, which the method may catch.
    """

    def decorate(cls: type) -> Any:
        decorated: Any = make_process(cls, autodoc=False, apply_attrs=apply_attrs)
        assigned = tuple(forbidden_assignments(decorated))
        for stage, name in assigned:
            warn_user(
                f"{cls.__name__}.{stage} assigns {name!r}, which it may only read.",
                UserWarning,
            )
        if autodoc:
            decorated.__doc__ = add_attribute_section(decorated)
        decorated.__xsimlab_cls__ = _derive(decorated, assigned)
        return decorated

    return decorate if maybe_cls is None else decorate(maybe_cls)


def _derive(cls: type, assigned: Iterable[tuple[str, str]]) -> type:
    """Return the class for models; it pickles by reference, as an attribute of the user's class.

    Parameters
    ----------
    cls : type
        The user's class.
    assigned : iterable of (str, str)
        Stages and variables that they assign and may not.
    """
    names: dict[str, Any] = {
        "__doc__": cls.__doc__,
        "__init__": _init_nothing,
        "__module__": cls.__module__,
        "__qualname__": f"{cls.__qualname__}.__xsimlab_cls__",
        "__repr__": repr_process,
        "__xsimlab_process__": True,
        # Another object than that of the user's class: cloudpickle drops what a base has too
        PROCESS: replace(inspect_process(cls), numbers_are_signals=True),
        **_INSTANCE_NAMES,
    }
    read_only: dict[str, set[str]] = {}
    for stage, name in assigned:
        read_only.setdefault(stage, set()).add(name)
    if read_only:
        names["__setattr__"] = _setter(cls)
        names |= {stage: _guarded(getattr(cls, stage), found) for stage, found in read_only.items()}
    return type(cls)(cls.__name__, (cls,), names)


def _guarded(method: Callable[..., Any], read_only: set[str]) -> Callable[..., Any]:
    """Return a stage method during which some variables cannot be assigned."""

    @wraps(method)
    def run(self: Any, *args: Any) -> Any:
        vars(self)[READ_ONLY] = read_only
        try:
            return method(self, *args)
        finally:
            del vars(self)[READ_ONLY]

    return run


def _setter(cls: type) -> Callable[[Any, str, Any], None]:
    assign: Any = cls.__setattr__

    def set_unless_read_only(self: Any, name: str, value: Any) -> None:
        if name in vars(self).get(READ_ONLY, ()):
            raise AttributeError(
                f"Variable {name!r} of process {_name(self)!r} can only be read. Fix: declare it with "
                f"intent='inout' or 'out', or assign another attribute."
            )
        assign(self, name, value)

    return set_unless_read_only


def _init_nothing(self: Any) -> None:
    """Make a process without values; a model gives it a name."""


def _model(self: Any) -> Any:
    return vars(self).get(MODEL)


def _name(self: Any) -> str | None:
    name: str | None = vars(self).get(NAME)
    return name


def _state(self: Any) -> Any:
    """Return the live state of the model: what is set in it is set in all processes."""
    model = _model(self)
    return None if model is None else model.state


def _state_keys(self: Any) -> dict[str, Any]:
    return _keys(self, on_demand=False)


def _on_demand_keys(self: Any) -> dict[str, Any]:
    return _keys(self, on_demand=True)


_INSTANCE_NAMES = {
    "__xsimlab_model__": property(_model),
    "__xsimlab_name__": property(_name),
    "__xsimlab_state__": property(_state),
    "__xsimlab_state_keys__": property(_state_keys),
    "__xsimlab_od_keys__": property(_on_demand_keys),
}


def _keys(instance: Any, *, on_demand: bool) -> dict[str, Key | list[Key]]:
    """Return where the values of a process are: a key, or a list of keys for a group."""
    model = _model(instance)
    if model is None:
        return {}
    graph = model.graph
    found: dict[str, Key | list[Key]] = {}
    for (owner, name), variable in graph.variables.items():
        if owner != _name(instance):
            continue
        if variable.is_group:
            members = [graph.variables[m] for m in graph.members(variable.declared.metadata["group"])]
            found[name] = [member.home for member in members if member.is_on_demand is on_demand]
        elif variable.is_on_demand is on_demand:
            found[name] = variable.home
    return found


def get_process_cls(obj_or_cls: Any) -> type:
    """Return the class for models, given that, the user's class, or an instance of either.

    Raises
    ------
    NotAProcessClassError
        If the class is not decorated.
    """
    cls = obj_or_cls if isinstance(obj_or_cls, type) else type(obj_or_cls)
    inspect_process(cls)
    found: type = vars(cls).get("__xsimlab_cls__", cls)
    return found


def get_process_obj(obj_or_cls: Any) -> Any:
    """Return a new process that belongs to no model."""
    return get_process_cls(obj_or_cls)()


def filter_variables(
    process: Any,
    var_type: str | VarType | None = None,
    intent: str | VarIntent | None = None,
    group: str | None = None,
    func: Callable[[Attribute], Any] | None = None,
) -> dict[Any, Attribute]:
    """Return the variables of a process that fulfil all conditions given.

    Parameters
    ----------
    process : process class or process
        Where to look.
    var_type, intent, group, func
        As in `simherd.filter_variables`.
    """
    return native_filter_variables(process, var_type, intent, group, func)


def process_info(process: Any, buf: TextIO | None = None) -> None:
    """Print the variables and stages of a process.

    Parameters
    ----------
    process : process class or process
        The process.
    buf : text file, optional
        Where to; standard output by default.
    """
    is_of_a_model = getattr(process, "__xsimlab_name__", None) is not None
    (buf or sys.stdout).write(repr_process(process if is_of_a_model else get_process_obj(process)))


def variable_info(process: Any, var_name: str, buf: TextIO | None = None) -> None:
    """Print all about a variable of a process.

    Parameters
    ----------
    process : process class or process
        The process.
    var_name : str
        Name of the variable.
    buf : text file, optional
        Where to; standard output by default.

    Raises
    ------
    UnknownNameError
        If the process has no such variable.
    """
    variables = variables_dict(get_process_cls(process))
    if var_name not in variables:
        raise UnknownNameError(f"No variable {var_name!r}. {close_matches(var_name, variables)}")
    (buf or sys.stdout).write(var_details(variables[var_name]))

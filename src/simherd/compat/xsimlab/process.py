"""Processes as xarray-simlab has them: a class for the user, and a derived one for models.

A class decorated by `simherd.process` is itself what models use. Packages that were written for
xarray-simlab look at the derived class and at instance attributes with ``xsimlab`` in their names;
here they find them.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar, overload

from simherd.compat.xsimlab.variable import VarIntent, VarType
from simherd.errors import ProcessClassError
from simherd.model import describe, runtime
from simherd.model import filter_variables as native_filter_variables
from simherd.model import process as native_process
from simherd.model.describe import process_info, variable_info
from simherd.model.graph import Key
from simherd.model.process import NAME, PROCESS, inspect_process
from simherd.model.runtime import RuntimeSignal
from simherd.model.variables import Attribute

__all__ = [
    "NotAProcessClassError",
    "RuntimeSignal",
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
    """

    def decorate(cls: type) -> Any:
        decorated: Any = native_process(cls, autodoc=autodoc, apply_attrs=apply_attrs)
        decorated.__xsimlab_cls__ = _derive(decorated)
        return decorated

    return decorate if maybe_cls is None else decorate(maybe_cls)


def _derive(cls: type) -> type:
    """Return the class for models; it pickles by reference, as an attribute of the user's class."""
    names = {
        "__doc__": cls.__doc__,
        "__init__": _init_nothing,
        "__module__": cls.__module__,
        "__qualname__": f"{cls.__qualname__}.__xsimlab_cls__",
        "__repr__": _repr,
        "__xsimlab_process__": True,
        PROCESS: replace(inspect_process(cls)),  # another object: cloudpickle drops what a base has too
        **_INSTANCE_NAMES,
    }
    return type(cls)(cls.__name__, (cls,), names)


def _init_nothing(self: Any) -> None:
    """Make a process without values; a model gives it a name."""


def _repr(self: Any) -> str:
    buffer = io.StringIO()
    describe.process_info(self, buffer)
    return buffer.getvalue()


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
    var_type, intent, func
        As in `simherd.filter_variables`.
    group : str, optional
        Only members of this group.
    """
    found = native_filter_variables(process, var_type=var_type, intent=intent, func=func)
    return {k: v for k, v in found.items() if group is None or group in v.metadata["groups"]}

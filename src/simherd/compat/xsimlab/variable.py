"""Kinds of variables, with xarray-simlab's order of arguments and its deprecated ``group``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attr

from simherd.errors import ModelError
from simherd.model import variables as native
from simherd.model.dims import DimsLike
from simherd.model.variables import (
    VarIntent,
    VarType,
    any_object,
)
from simherd.user_warnings import warn_user

__all__ = [
    "VarIntent",
    "VarType",
    "any_object",
    "foreign",
    "global_ref",
    "group",
    "group_dict",
    "index",
    "on_demand",
    "variable",
]


def _leave_method(self: Any, method: Any = None, *, cache: bool = False) -> Any:
    """Return a method as it is: only on-demand variables are computed when they are read.

    xarray-simlab lets every variable decorate a method so, and packages do it to no effect.
    """
    return (lambda found: found) if method is None else method


# On the class of attrs' fields, as there: attrs takes for a field only what has exactly this class
type(attr.ib()).compute = _leave_method


def _all_groups(group: str | None, groups: str | Iterable[str] | None) -> tuple[str, ...]:
    found = (groups,) if isinstance(groups, str) else tuple(groups or ())
    if group is None:
        return found
    warn_user("The argument 'group' is deprecated: use 'groups'.", FutureWarning)
    return (*found, group)


def _known(encoding: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return an encoding without keys that mean nothing, which xarray-simlab drops without a word."""
    return {key: value for key, value in (encoding or {}).items() if key in native.ENCODING_KEYS}


def variable(
    dims: DimsLike = (),
    intent: str = "in",
    global_name: str | None = None,
    group: str | None = None,
    groups: str | Iterable[str] | None = None,
    default: Any = attr.NOTHING,
    validator: Any = None,
    converter: Callable[[Any], Any] | None = None,
    static: bool = False,
    description: str = "",
    attrs: Mapping[str, Any] | None = None,
    encoding: Mapping[str, Any] | None = None,
) -> Any:
    """Declare a variable that belongs to the process; see `simherd.variable`.

    Parameters
    ----------
    group : str, optional
        Deprecated: a group, besides those of `groups`.
    """
    return native.variable(
        dims=dims,
        intent=intent,
        global_name=global_name,
        groups=_all_groups(group, groups),
        default=default,
        validator=validator,
        converter=converter,
        static=static,
        description=description,
        attrs=attrs,
        encoding=_known(encoding),
    )


def index(
    dims: DimsLike,
    global_name: str | None = None,
    groups: str | Iterable[str] | None = None,
    description: str = "",
    attrs: Mapping[str, Any] | None = None,
    encoding: Mapping[str, Any] | None = None,
) -> Any:
    """Declare labels of a dimension; see `simherd.index`."""
    return native.index(dims, global_name, groups, description, attrs, _known(encoding))


def on_demand(
    dims: DimsLike = (),
    group: str | None = None,
    groups: str | Iterable[str] | None = None,
    description: str = "",
    attrs: Mapping[str, Any] | None = None,
    encoding: Mapping[str, Any] | None = None,
) -> Any:
    """Declare a variable that is computed when somebody reads it; see `simherd.on_demand`.

    Parameters
    ----------
    group : str, optional
        Deprecated: a group, besides those of `groups`.
    """
    return native.on_demand(
        dims=dims,
        groups=_all_groups(group, groups),
        description=description,
        attrs=attrs,
        encoding=_known(encoding),
    )


def foreign(other_process_cls: type, var_name: str, intent: str = "in") -> Any:
    """Declare a reference to a variable of another process; see `simherd.foreign`.

    Raises
    ------
    ModelError
        If the intent is "inout", or the intents of both are "out".
    LinkError
        If the other class has no such variable, or it is a group.
    """
    _check_reference(intent, "foreign")
    return native.foreign(other_process_cls, var_name, intent)


def global_ref(name: str, intent: str = "in") -> Any:
    """Declare a reference to a variable by its global name; see `simherd.global_ref`.

    Raises
    ------
    ModelError
        If the intent is "inout".
    """
    _check_reference(intent, "global")
    return native.global_ref(name, intent)


def _check_reference(intent: str, kind: str) -> None:
    if intent == "inout":
        raise ModelError(
            f"intent='inout' is not supported for {kind} variables.",
            fix="declare 'out' here and 'inout' in the owner, or use simherd, which takes it.",
        )


def group(name: str) -> Any:
    """Declare an iterable over the values of a group; see `simherd.group`."""
    return _described(native.group(name), f"Iterable of all variables that belong to group {name!r}")


def group_dict(name: str) -> Any:
    """Declare a mapping of the values of a group; see `simherd.group_dict`."""
    return _described(native.group_dict(name), f"Mapping of all variables that belong to group {name!r}")


def _described(declared: Any, description: str) -> Any:
    declared.metadata["description"] = description
    return declared

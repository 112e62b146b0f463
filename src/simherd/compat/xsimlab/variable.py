"""Kinds of variables, with xarray-simlab's order of arguments and its deprecated ``group``."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attr

from simherd.model import variables as native
from simherd.model.variables import (
    DimsLike,
    VarIntent,
    VarType,
    any_object,
    foreign,
    global_ref,
    group,
    group_dict,
    index,
)

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
    warnings.warn("The argument 'group' is deprecated: use 'groups'.", FutureWarning, stacklevel=3)
    return (*found, group)


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
        encoding=encoding,
    )


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
        encoding=encoding,
    )

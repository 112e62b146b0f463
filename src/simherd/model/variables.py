"""What a process may declare: the kinds of variables.

Every declaration is an attrs field whose metadata says all about it; `process` reads it there. The
keys are those of xarray-simlab, so that functions that filter variables keep working.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, overload

import attr

from simherd.errors import LinkError, ModelError, close_matches
from simherd.model.dims import MAIN_CLOCK, DimsLike, as_dims

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

F = TypeVar("F", bound=Callable[..., Any])
Attribute: TypeAlias = "attr.Attribute[Any]"

ENCODING_KEYS = frozenset(
    {
        "chunks",
        "compressor",
        "compressors",
        "dtype",
        "fill_value",
    }
)
ZARR_2_KEYS = frozenset({"filters", "object_codec", "order"})
"""What xarray-simlab has besides: Zarr 3 does without it."""


class _Named(Enum):
    """An enumeration whose error for an unknown value names those that are known."""

    @classmethod
    def _missing_(cls, value: object) -> None:
        what = {"VarType": "kind of variable", "VarIntent": "intent"}[cls.__name__]
        raise ModelError(f"There is no {what} {value!r}. {close_matches(str(value), [m.value for m in cls])}")


class VarType(_Named):
    """Kind of a declared variable."""

    VARIABLE = "variable"
    INDEX = "index"
    ON_DEMAND = "on_demand"
    OBJECT = "object"
    FOREIGN = "foreign"
    GROUP = "group"
    GROUP_DICT = "group_dict"
    GLOBAL = "global"


class VarIntent(_Named):
    """What a process does with a variable: read it, set it, or change it."""

    IN = "in"
    OUT = "out"
    INOUT = "inout"


PULLED_TYPES = frozenset({VarType.ON_DEMAND, VarType.GROUP, VarType.GROUP_DICT})


def _names(names: str | Iterable[str] | None) -> tuple[str, ...]:
    if names is None:
        return ()
    return (names,) if isinstance(names, str) else tuple(names)


def _field(var_type: VarType, intent: VarIntent, **given: Any) -> dict[str, Any]:
    """Return attrs arguments for a declaration with all common metadata."""
    metadata = {
        "var_type": var_type,
        "dims": as_dims(given.pop("dims", ())),
        "intent": intent,
        "global_name": given.pop("global_name", None),
        "groups": _names(given.pop("groups", None)),
        "static": given.pop("static", False),
        "attrs": dict(given.pop("attrs", None) or {}),
        "description": given.pop("description", ""),
        "encoding": _encoding(given.pop("encoding", None)),
        **given,
    }
    if intent is not VarIntent.OUT and any(MAIN_CLOCK in dims for dims in metadata["dims"]):
        raise ModelError(
            "The main clock is a dimension of variables that a process sets, with intent='out'.",
            fix="leave it out: the values of any input may vary along the main clock.",
        )
    arguments: dict[str, Any] = {"metadata": metadata, "kw_only": True}
    if intent is VarIntent.OUT:
        arguments |= {"init": False, "repr": False}
    return arguments


def _encoding(encoding: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return an encoding without what only Zarr 2 can honour.

    Raises
    ------
    ModelError
        If a key means nothing.
    """
    for key in encoding or {}:
        if key not in ENCODING_KEYS | ZARR_2_KEYS:
            raise ModelError(f"encoding: {key!r} is not known. {close_matches(key, ENCODING_KEYS)}")
    return {key: value for key, value in (encoding or {}).items() if key in ENCODING_KEYS}


def variable(
    dims: DimsLike = (),
    intent: str = "in",
    global_name: str | None = None,
    groups: str | Iterable[str] | None = None,
    default: Any = attr.NOTHING,
    validator: Any = None,
    converter: Callable[[Any], Any] | None = None,
    static: bool = False,
    description: str = "",
    attrs: Mapping[str, Any] | None = None,
    encoding: Mapping[str, Any] | None = None,
    keep_labels: bool = False,
    finite: bool = False,
) -> Any:
    """Declare a variable that belongs to the process.

    Parameters
    ----------
    dims : str, tuple or list, optional
        Labels of its dimensions: a label, a tuple of labels, or a list of alternatives. Scalar by
        default. `MAIN_CLOCK` stands for the main clock in what a process sets.
    intent : {"in", "out", "inout"}, optional
        Whether the process reads it, sets it, or changes a given value.
    global_name : str, optional
        A name by which other processes reach it with `global_ref`.
    groups : str or iterable of str, optional
        Groups that it is a member of, see `group`.
    default : object, optional
        Value of the input where the user gives none. Not used for ``intent="out"``.
    validator : callable or list of callable, optional
        Called with process, attribute and value; raises an error where the value is not allowed.
    converter : callable, optional
        Called with a value, gives the value that is kept.
    static : bool, optional
        True: the value of the input is given once, before the run. One that varies with the clock is an
        error, and so is `Model.update_state` with it, unless told otherwise. What processes do with the
        variable is up to its intent.
    description : str, optional
        What it is, kept in the output store.
    attrs : mapping, optional
        More about it, such as ``{"units": "m"}``, kept in the output store.
    encoding : mapping, optional
        How its output is stored: dtype, fill_value, chunks, compressors.
    keep_labels : bool, optional
        True gives the process arrays as xarray DataArrays with their coordinates, as the setup has them.
    finite : bool, optional
        True: a simulation fails when a value of the output is saved in which something is NaN, NaT or
        infinite.

    Raises
    ------
    ModelError
        If two alternatives of `dims` have the same length.
    """
    purpose = VarIntent(intent)
    arguments = _field(
        VarType.VARIABLE,
        purpose,
        dims=dims,
        global_name=global_name,
        groups=groups,
        static=static,
        description=description,
        attrs=attrs,
        encoding=encoding,
        keep_labels=keep_labels,
        finite=finite,
    )
    if purpose is not VarIntent.OUT:
        arguments["default"] = default
    return attr.ib(validator=validator, converter=converter, **arguments)


def index(
    dims: DimsLike,
    global_name: str | None = None,
    groups: str | Iterable[str] | None = None,
    description: str = "",
    attrs: Mapping[str, Any] | None = None,
    encoding: Mapping[str, Any] | None = None,
) -> Any:
    """Declare labels of a dimension, set by the process and saved as a coordinate.

    Parameters
    ----------
    dims : str
        The dimension.
    global_name, groups, description, attrs, encoding
        As in `variable`.

    Raises
    ------
    ModelError
        If `dims` is empty.
    """
    arguments = _field(
        VarType.INDEX,
        VarIntent.OUT,
        dims=dims,
        global_name=global_name,
        groups=groups,
        description=description,
        attrs=attrs,
        encoding=encoding,
    )
    if () in arguments["metadata"]["dims"]:
        raise ModelError("An index variable does not accept scalar values.", fix="give its dims.")
    return attr.ib(**arguments)


def any_object(
    global_name: str | None = None,
    groups: str | Iterable[str] | None = None,
    description: str = "",
    attrs: Mapping[str, Any] | None = None,
) -> Any:
    """Declare an object of any kind that the process sets for others; it cannot be an output."""
    return attr.ib(
        **_field(
            VarType.OBJECT,
            VarIntent.OUT,
            global_name=global_name,
            groups=groups,
            description=description,
            attrs=attrs,
        )
    )


class OnDemand:
    """A declared on-demand variable, waiting for `process` to make it a property."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        self.attribute = attr.ib(**arguments)
        self.method: Callable[[Any], Any] | None = None
        self.is_cached = False

    if TYPE_CHECKING:  # where it is read, it is the value: process() puts a property-like field in its place

        def __get__(self, instance: object, owner: type) -> Any: ...

    @overload
    def compute(self, method: F, *, cache: bool = False) -> F: ...
    @overload
    def compute(self, method: None = None, *, cache: bool = False) -> Callable[[F], F]: ...
    def compute(self, method: Any = None, *, cache: bool = False) -> Any:
        """Make the decorated method the one that computes the variable.

        Parameters
        ----------
        method : callable
            A method of the process without arguments. It sets no variables: others would not see them
            before the process has run again.
        cache : bool, optional
            True computes once and keeps the value until the next stage, or until a process that sets
            something it may depend on has run. Inside such a process it is computed at each read.
        """
        if method is None:
            return partial(self.compute, cache=cache)
        self.method, self.is_cached = method, cache
        return method


def on_demand(
    dims: DimsLike = (),
    groups: str | Iterable[str] | None = None,
    description: str = "",
    attrs: Mapping[str, Any] | None = None,
    encoding: Mapping[str, Any] | None = None,
    finite: bool = False,
) -> OnDemand:
    """Declare a variable that is computed when somebody reads it.

    The method that computes it is decorated with ``@name.compute``, or with
    ``@name.compute(cache=True)``. The arguments are those of `variable`.
    """
    return OnDemand(
        _field(
            VarType.ON_DEMAND,
            VarIntent.OUT,
            dims=dims,
            groups=groups,
            description=description,
            attrs=attrs,
            encoding=encoding,
            finite=finite,
        )
    )


def foreign(other_process_cls: type, var_name: str, intent: str = "in") -> Any:
    """Declare a reference to a variable of another process.

    Parameters
    ----------
    other_process_cls : type
        Process class that declares the variable.
    var_name : str
        Its name there.
    intent : {"in", "out", "inout"}, optional
        Whether this process reads it, sets it, or changes a value that it has. Where several processes
        change one variable, ``Model(..., order=...)`` says which comes first.

    Raises
    ------
    ModelError
        If both processes have "out".
    LinkError
        If the other class has no such variable, or it is a group.
    """
    purpose = VarIntent(intent)
    target = _foreign_target(other_process_cls, var_name)
    if purpose is VarIntent.OUT and target["intent"] is VarIntent.OUT:
        raise ModelError(
            f"Foreign variable {var_name!r} and the variable of {other_process_cls.__name__!r} that "
            f"it refers to both have intent='out'.",
            fix="let one process set it: declare intent='in' in the owner, or here.",
        )
    if purpose is not VarIntent.IN and target["var_type"] is VarType.ON_DEMAND:
        raise ModelError(
            f"Foreign variable {var_name!r} refers to an on-demand variable, which nobody sets.",
            fix="declare intent='in'.",
        )
    kept = {key: target[key] for key in ("dims", "description", "attrs", "encoding")}
    arguments = _field(VarType.FOREIGN, purpose)
    arguments["metadata"] |= kept | {"other_process_cls": other_process_cls, "var_name": var_name}
    return attr.ib(**arguments)


def _foreign_target(other_process_cls: type, var_name: str) -> Mapping[str, Any]:
    fields = getattr(other_process_cls, "__attrs_attrs__", None)
    known = {a.name: a for a in fields or () if "var_type" in a.metadata}
    found = known.get(var_name)
    if found is None:
        name = getattr(other_process_cls, "__name__", other_process_cls)
        raise LinkError(
            f"Process class {name!r} has no variable {var_name!r} to refer to. "
            f"{close_matches(str(var_name), known)}",
            fix="check the name, and that the class is decorated with @process.",
        )
    if found.metadata["var_type"] in (VarType.GROUP, VarType.GROUP_DICT):
        raise LinkError(f"Foreign variable {var_name!r} links to group variable.")
    metadata: Mapping[str, Any] = found.metadata
    return metadata


def global_ref(name: str, intent: str = "in") -> Any:
    """Declare a reference to the variable that some process of the model names globally.

    Parameters
    ----------
    name : str
        The ``global_name`` of that variable.
    intent : {"in", "out", "inout"}, optional
        What this process does with it, see `foreign`.
    """
    return attr.ib(**_field(VarType.GLOBAL, VarIntent(intent), global_name=name))


def group(name: str) -> Any:
    """Declare an iterable over the values of all variables of a group, in the order of processes."""
    described = {"group": name, "description": f"the values of all variables of group {name!r}"}
    return attr.ib(**_field(VarType.GROUP, VarIntent.IN, **described), init=True, default=(), repr=True)


def group_dict(name: str) -> Any:
    """Declare a mapping of (process name, variable name) to value for all variables of a group."""
    described = {
        "group": name,
        "description": f"the values of all variables of group {name!r} by names of process and variable",
    }
    return attr.ib(**_field(VarType.GROUP_DICT, VarIntent.IN, **described), factory=dict)

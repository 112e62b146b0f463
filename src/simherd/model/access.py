"""How the variables of a process are read and assigned where a plain attribute cannot serve.

Values of most variables are plain attributes of an object, which nothing here touches: ``__getattr__``
is what Python calls when an attribute is missing, and the descriptors stand only where they are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from functools import partial
from typing import Any

from simherd.errors import AssignmentError, UnsetVariableError

__all__ = [
    "GRAPH",
    "NAME",
    "PROCESS",
    "PULLS",
    "KeptVariable",
    "MissingVariable",
    "PulledVariable",
    "install_getattr",
    "read_missing",
]

PROCESS = "__simherd_process__"
PULLS = "__simherd_pulls__"
NAME = "__simherd_name__"
GRAPH = "__simherd_graph__"
FAILED = "__simherd_failed__"


class MissingVariable:
    """A descriptor for a variable whose name a base class gives to something else.

    Without it an unset variable would be read as that.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        return self if instance is None else read_missing(instance, self.name)


class KeptVariable:
    """A data descriptor that converts what a process assigns, or keeps it under another name.

    Parameters
    ----------
    name : str
        Name of the attribute that keeps the value.
    converter : callable, optional
        What values are converted with.
    """

    def __init__(self, name: str, converter: Callable[[Any], Any] | None = None) -> None:
        self.name = name
        self.converter = converter

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        try:
            return instance.__dict__[self.name]
        except KeyError:
            return read_missing(instance, self.name)

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self.name] = value if self.converter is None else self.converter(value)


class PulledVariable:
    """A data descriptor for what is computed or gathered when it is read, and so cannot be assigned.

    An object outside of a model keeps what it is given, and computes on demand what it is not given.

    Parameters
    ----------
    name : str
        Name of the variable in the process.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        values = instance.__dict__
        try:
            pull = values[PULLS][self.name]
        except KeyError:
            if self.name in values:
                return values[self.name]
            pull = partial(self._compute, instance)
        try:
            return pull()
        except AttributeError as error:  # Python hides it and calls __getattr__, which raises it again
            values[FAILED] = error
            raise

    def __set__(self, instance: Any, value: Any) -> None:
        if PULLS in instance.__dict__:
            raise AssignmentError(
                f"Variable {self.name!r} of process {_name_of(instance)!r} cannot be assigned: it is "
                f"computed or gathered whenever it is read.",
                fix="set what it is made of, or assign another attribute.",
            )
        instance.__dict__[self.name] = value

    def _compute(self, instance: Any) -> Any:
        compute = getattr(type(instance), PROCESS).on_demand.get(self.name)
        if compute is None:
            raise _unset(instance, self.name)
        return compute.method(instance)


def install_getattr(cls: type, names: Container[str]) -> None:
    """Give a class a ``__getattr__`` that says what is wrong with a variable that is missing."""
    inherited = getattr(cls, "__getattr__", None)
    if inherited is not None and not getattr(inherited, "is_simherd", False):

        def read(instance: Any, name: str) -> Any:
            return read_missing(instance, name) if name in names else inherited(instance, name)
    else:
        read = read_missing
    read.is_simherd = True  # type: ignore[attr-defined]
    cls.__getattr__ = read  # type: ignore[attr-defined]


def read_missing(instance: Any, name: str) -> Any:
    """Raise the error of reading an attribute that an object does not have.

    Raises
    ------
    UnsetVariableError
        If it is a variable, which has no value yet.
    AttributeError
        If there is no such variable, or it could not be computed.
    """
    failed: AttributeError | None = instance.__dict__.pop(FAILED, None)
    if failed is not None:
        raise failed
    info = getattr(type(instance), PROCESS, None)
    if info is None or name not in info.variables:
        raise AttributeError(f"{type(instance).__name__!r} object has no attribute {name!r}")
    raise _unset(instance, name)


def _unset(instance: Any, name: str) -> UnsetVariableError:
    return UnsetVariableError(
        f"Variable {name!r} of process {_name_of(instance)!r} was read before it had a value.",
        fix="set it in a process that runs earlier, or in an earlier stage.",
    )


def _name_of(instance: Any) -> str:
    name: str = instance.__dict__.get(NAME, type(instance).__name__)
    return name

"""The values of a live model as bytes, between two stages, and back.

All goes into one pickle, so that what is one object for several processes stays one; arrays that are views
of one another stay views. Inputs that are as they were given are left out, they are given anew, and so are
the values that on-demand variables keep: the next stage forgets them.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO

import cloudpickle
import numpy as np

from simherd.errors import PicklingError
from simherd.model.graph import Key
from simherd.model.state import LiveProcesses

__all__ = ["freeze", "thaw"]

INTERNAL = "__simherd_"
_MISSING = object()
_SCALARS = (bool, int, float, complex, str, np.generic)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Frozen:
    """The values of a model."""

    attributes: Mapping[str, Mapping[str, Any]]
    """Those of each process object that stand for themselves, by its name."""
    kept: frozenset[Key]
    """Inputs that are as they were given."""
    linked: frozenset[Key]
    """Attributes that hold the value of another process."""
    given: frozenset[Key]
    """Inputs that nobody has assigned, but that are not as they were given."""
    more: Any
    """What was frozen with them."""


def freeze(live: LiveProcesses, file: BinaryIO, provided: Mapping[Key, Any], more: Any = None) -> None:
    """Write all values of process objects, and what is to keep its identity with them.

    Parameters
    ----------
    live : LiveProcesses
        The objects, between two stages.
    file : binary file
        Where to.
    provided : mapping
        Values that inputs will be given before `thaw`.
    more : optional
        Further objects, which processes may refer to.

    Raises
    ------
    PicklingError
        If an attribute does not pickle.
    """
    kept = frozenset(home for home in live.given if _is_as_given(live, home, provided.get(home)))
    linked = frozenset(_linked(live))
    frozen = _Frozen(
        attributes={
            name: {attr: value for attr, value in _own(one).items() if (name, attr) not in kept | linked}
            for name, one in live.objects.items()
        },
        kept=kept,
        linked=linked,
        given=frozenset(home for home in live.given if home not in kept and _is_unassigned(live, home)),
        more=more,
    )
    try:
        _Freezer(file, live, kept).dump(frozen)
    except Exception as error:
        raise _explain(error, live, frozen) from error


def thaw(live: LiveProcesses, file: BinaryIO) -> Any:
    """Give process objects the values that `freeze` has written, and return what was frozen with them.

    Parameters
    ----------
    live : LiveProcesses
        Objects of the same model that have their inputs.
    file : binary file
        Where from.
    """
    frozen: _Frozen = _Thawer(file, live).load()
    for name, one in live.objects.items():
        for attr in [attr for attr in _own(one) if (name, attr) not in frozen.kept]:
            del vars(one)[attr]
        vars(one).update(frozen.attributes[name])
    for home, holders in live.graph.holders.items():
        for process, alias in holders[1:]:
            if (process, alias) in frozen.linked:
                vars(live.objects[process])[alias] = vars(live.objects[home[0]])[home[1]]
    for home in frozen.given:
        live.given[home] = vars(live.objects[home[0]])[home[1]]
    return frozen.more


def _own(process: Any) -> dict[str, Any]:
    """Return the attributes of a process object but for those that its model makes."""
    return {name: value for name, value in vars(process).items() if not name.startswith(INTERNAL)}


def _held(live: LiveProcesses, key: Key) -> Any:
    return vars(live.objects[key[0]]).get(key[1], _MISSING)


def _is_unassigned(live: LiveProcesses, home: Key) -> bool:
    return _held(live, home) is live.given[home]


def _is_as_given(live: LiveProcesses, home: Key, provided: Any) -> bool:
    """Return whether an input is what it was given: nobody assigned it, or changed it in place."""
    value = _held(live, home)
    if value is not live.given[home] or type(value) is not type(provided):
        return False
    if type(value) is not np.ndarray:
        return isinstance(value, _SCALARS) and bool(value == provided)
    if value.dtype != provided.dtype or value.dtype.hasobject:
        return False
    return np.array_equal(value, provided, equal_nan=value.dtype.kind in "fcmM")


def _linked(live: LiveProcesses) -> list[Key]:
    """Return the attributes that hold the very value which another process owns."""
    return [
        key
        for home, holders in live.graph.holders.items()
        if (value := _held(live, home)) is not _MISSING
        for key in holders[1:]
        if _held(live, key) is value
    ]


class _Freezer(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    """Pickles references to process objects and inputs as such, and views as views."""

    def __init__(self, file: BinaryIO, live: LiveProcesses, kept: frozenset[Key]) -> None:
        super().__init__(file)
        self.names: dict[int, Any] = {id(one): name for name, one in live.objects.items()}
        self.names |= {id(v): k for k in kept if isinstance(v := _held(live, k), np.ndarray)}

    def persistent_id(self, obj: Any) -> Any:
        return self.names.get(id(obj))

    def reducer_override(self, obj: Any) -> Any:
        if type(obj) is np.ndarray and type(root := obj.base) is np.ndarray and _is_memory(root):
            offset = _address(obj) - _address(root)
            return _view, (root, offset, obj.shape, obj.strides, obj.dtype, obj.flags.writeable)
        return super().reducer_override(obj)


class _Thawer(pickle.Unpickler):
    def __init__(self, file: BinaryIO, live: LiveProcesses) -> None:
        super().__init__(file)
        self.live = live

    def persistent_load(self, pid: Any) -> Any:
        return self.live.objects[pid] if isinstance(pid, str) else _held(self.live, pid)


def _is_memory(root: np.ndarray[Any, Any]) -> bool:
    """Return whether an array is one piece of memory that can be looked at as bytes."""
    return root.flags.forc and root.size > 0 and not root.dtype.hasobject


def _address(array: np.ndarray[Any, Any]) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def _view(
    root: np.ndarray[Any, Any],
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    dtype: np.dtype[Any],
    is_writeable: bool,
) -> np.ndarray[Any, Any]:
    """Return a view of the memory of an array."""
    memory = root.ravel(order="K").view(np.uint8)
    made: np.ndarray[Any, Any] = np.ndarray(shape, dtype, memory, offset, strides)
    made.flags.writeable = is_writeable
    return made


def _explain(error: Exception, live: LiveProcesses, frozen: _Frozen) -> PicklingError:
    for process, attributes in frozen.attributes.items():
        for name, value in attributes.items():
            try:
                _Freezer(BytesIO(), live, frozen.kept).dump(value)
            except Exception as reason:
                return PicklingError(
                    f"Cannot keep process {process!r}, attribute {name!r}, in a checkpoint: "
                    f"{type(reason).__name__}: {reason}".rstrip(".")
                    + ".",
                    fix="make it picklable, or anew in each stage that uses it, or leave out "
                    "checkpoint_every.",
                )
    return PicklingError(f"Cannot keep the simulation in a checkpoint: {error!r}.")

"""What workers need to find the user's own modules as the client finds them, and in the same state."""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from types import ModuleType
from typing import Any

import cloudpickle
import numpy as np

from simherd.errors import PicklingError
from simherd.user_warnings import warn_user

__all__ = ["Constant", "Origin", "arrive", "missing_module", "origin_here", "own_modules", "set_constants"]

MOST_BYTES = 2**24
"""Size up to which constants travel; of larger ones a digest, so that a difference is found."""
_INSTALLED = ("site-packages", "dist-packages")
_LANGUAGE = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib")})


@dataclass(frozen=True, slots=True)
class Constant:
    """A global variable of a module, or an attribute of a class there, that the model's code refers to."""

    module: str
    """Name under which workers import the module."""
    name: str
    """Its name in there, with the class where there is one: ``"Soil.depth"``."""
    data: bytes | None
    """The pickled value; None where that is too large."""
    digest: bytes
    """What tells the value from others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """Where the modules of what travels come from."""

    front: tuple[str, ...]
    """Folders in which Python looks for modules before its own, in order."""
    back: tuple[str, ...]
    """Those in which it looks last."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Files of the user's modules that workers have to import."""
    by_value: Mapping[str, str] = field(default_factory=dict)
    """Files of the modules whose code travels."""
    constants: tuple[Constant, ...] = ()
    """What workers set in modules where it differs."""


def origin_here(constants: Iterable[tuple[str, str, Any]] = ()) -> Origin:
    """Return the origin of what this process sends away.

    Parameters
    ----------
    constants : iterable of (str, str, object)
        Module, name and value of constants that the model's code refers to.
    """
    by_value = set(cloudpickle.list_registry_pickle_by_value())
    own = {name: str(module.__file__) for name, module in own_modules()}
    front, back = _own_folders()
    named = [one for one in constants if one[0] in own and one[0] not in by_value]
    return Origin(
        front=front,
        back=back,
        files={name: file for name, file in own.items() if name not in by_value},
        by_value={name: file for name, file in own.items() if name in by_value},
        constants=tuple(constant for one in named if (constant := _constant(*one)) is not None),
    )


def _own_folders() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the user's own folders of ``sys.path``, before and after those of Python."""
    folders = [os.path.abspath(folder) for folder in sys.path]
    first = next((place for place, one in enumerate(folders) if not _is_own(one)), len(folders))
    return tuple(folders[:first]), tuple(one for one in folders[first:] if _is_own(one))


@lru_cache(maxsize=8192)
def _is_own(path: str) -> bool:
    is_installed = any(name in path.split(os.sep) for name in _INSTALLED)
    return not is_installed and not path.startswith(_LANGUAGE) and not path.endswith(".zip")


def own_modules() -> Iterator[tuple[str, ModuleType]]:
    """Yield the names and modules of the user's own that are imported."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and name.partition(".")[0] not in ("__main__", "simherd") and _is_own(file):
            yield name, module


def _constant(module: str, name: str, value: Any) -> Constant | None:
    if _is_large_array(value):
        return Constant(module, name, None, _digest_of(value))
    try:
        data = cloudpickle.dumps(value)
    except Exception:  # it does not pickle: workers keep what the module makes there
        return None
    digest = hashlib.sha256(data).digest()
    return Constant(module, name, data if len(data) <= MOST_BYTES else None, digest)


def _is_large_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.nbytes > MOST_BYTES and not value.dtype.hasobject


def _digest_of(value: Any) -> bytes:
    if _is_large_array(value):
        head = f"{value.dtype.str} {value.shape}".encode()
        return hashlib.sha256(head + hashlib.sha256(np.ascontiguousarray(value).data).digest()).digest()
    return hashlib.sha256(cloudpickle.dumps(value)).digest()


def arrive(origin: Origin) -> None:
    """Let this process find modules where the sender does."""
    sys.path[:0] = [folder for folder in origin.front if folder not in sys.path]
    sys.path.extend(folder for folder in origin.back if folder not in sys.path)
    for name, file in origin.by_value.items():
        if name not in sys.modules:
            sys.modules[name] = _TravelledModule(name, file)


class _TravelledModule(ModuleType):
    """A module whose code travels: it is there by its name, and executed only if something else is read.

    Numba looks a module up by name when it loads what it has cached.
    """

    def __init__(self, name: str, file: str) -> None:
        super().__init__(name)
        self.__file__ = file
        if os.path.basename(file) == "__init__.py":
            self.__path__ = [os.path.dirname(file)]

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("__") and "__loaded__" not in vars(self):
            self.__loaded__ = True
            try:
                self._execute()
            except (
                Exception
            ) as error:  # of the user's code; pickle, which may ask all modules, knows no other
                raise AttributeError(
                    f"module {self.__name__!r} cannot be executed here: {error!r}"
                ) from error
            if name in vars(self):
                return vars(self)[name]
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")

    def _execute(self) -> None:
        file = str(self.__file__)
        sys.path.insert(0, os.path.dirname(file))
        try:
            with open(file, "rb") as source:
                exec(compile(source.read(), file, "exec", dont_inherit=True), vars(self))
        finally:
            sys.path.remove(os.path.dirname(file))


def missing_module(error: ImportError, origin: Origin) -> PicklingError:
    """Return the error for a module that workers cannot import."""
    name = error.name or ""
    file = next((origin.files[one] for one in (name, name.partition(".")[0]) if one in origin.files), None)
    if file is None:
        return PicklingError(
            f"Cannot load the simulations on a worker: {error}.",
            fix="install what is missing where the workers run.",
        )
    package = name.partition(".")[0]
    folder = os.path.dirname(file)
    return PicklingError(
        f"Cannot load the simulations on a worker: it cannot import {name!r} ({error}), which is "
        f"{file!r} here.",
        fix=f"put {folder!r} on a file system that the workers see, or install the module there, or let it "
        f"travel: cloudpickle.register_pickle_by_value({package}).",
    )


def set_constants(origin: Origin) -> None:
    """Give modules of this process the constants that the sender's have."""
    for one in origin.constants:
        with suppress(ImportError, AttributeError):
            *owners, name = one.name.split(".")
            holder: Any = importlib.import_module(one.module)
            for owner in owners:
                holder = getattr(holder, owner)
            if _digest_of(vars(holder).get(name)) != one.digest:
                _set(holder, name, one)


def _set(holder: Any, name: str, one: Constant) -> None:
    if one.data is not None:
        setattr(holder, name, cloudpickle.loads(one.data))
        return
    warn_user(
        f"{one.name!r} of module {one.module!r} was changed after its import and is too large to be sent to "
        "workers, which have another value. Set it in the module, or make it an input.",
        RuntimeWarning,
    )

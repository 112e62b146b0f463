"""Which modules are the user's own, and which belong to installed packages."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import sysconfig
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from types import FunctionType, ModuleType

__all__ = ["compiled_file_of", "imported", "is_own", "is_own_function", "version_of"]

_INSTALLED = frozenset({"site-packages", "dist-packages"})
_LANGUAGE = tuple({os.path.join(sysconfig.get_path(name), "") for name in ("stdlib", "platstdlib")})
_SIMHERD = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")
_EXAMPLES = os.path.join(_SIMHERD, "examples", "")


def is_own(module: str) -> bool:
    """Return whether a module is none of the language, of installed packages or of simherd.

    A package that is installed in such a way that its source stays where it is edited is the user's own.
    """
    if module.partition(".")[0] in sys.stdlib_module_names and module != "__main__":
        return False
    found = sys.modules.get(module)
    if found is None or module == "__main__":
        return True  # of code that is typed in, or has come from another process
    file = getattr(found, "__file__", None)
    return file is not None and _is_own_file(file)


def is_own_function(function: FunctionType) -> bool:
    """Return whether a function is written in a module of the user's own, whatever it says of itself."""
    file = function.__code__.co_filename
    if file.startswith("<frozen"):
        return False
    if file.startswith("<"):
        return is_own(function.__globals__.get("__name__", function.__module__) or "")
    return _is_own_file(file)


@lru_cache(maxsize=4096)
def _is_own_file(file: str) -> bool:
    path = os.path.abspath(file)
    if not _INSTALLED.isdisjoint(path.split(os.sep)):
        return False
    return path.startswith(_EXAMPLES) or not path.startswith((*_LANGUAGE, _SIMHERD))


def compiled_file_of(module: ModuleType) -> str | None:
    """Return the file of a module that is compiled, of Fortran or C for instance."""
    file = getattr(module, "__file__", None)
    return file if file and file.endswith((".so", ".pyd", ".dylib")) else None


@lru_cache(maxsize=256)
def version_of(package: str) -> str | None:
    """Return the version of an installed package by the name that is imported; None if it has none."""
    with suppress(PackageNotFoundError, ValueError):
        return version(package)
    found = getattr(sys.modules.get(package), "__version__", None)
    if found is not None:
        return str(found)
    names = packages_distributions().get(package, ())  # slow
    return version(names[0]) if names else None


def imported(name: str, level: int, package: str | None) -> ModuleType | str | None:
    """Return the module that an import statement in a function names.

    Returns
    -------
    ModuleType
        Imported if need be, where it is the user's own.
    str
        Its name, where it is not imported yet and belongs to an installed package or the language.
    None
        If there is none.
    """
    try:
        full = importlib.util.resolve_name("." * level + name, package) if level else name
        if full in sys.modules:
            return sys.modules[full]
        top = full.partition(".")[0]
        spec = sys.modules[top].__spec__ if top in sys.modules else importlib.util.find_spec(top)
        if top in sys.stdlib_module_names or (spec and spec.origin and not _is_own_file(spec.origin)):
            return full
        return importlib.import_module(full)
    except Exception:  # of the module, for whatever reason: the call that imports it will raise it
        return None

"""Load what an experiment names as ``module:attribute`` or ``path/to/file.py:attribute``."""

from __future__ import annotations

import importlib
import importlib.util
import os.path
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from simherd.errors import ExperimentError, close_matches
from simherd.setup.file_modules import name_of_file

__all__ = ["load_model", "load_object"]


def load_model(text: str, base: Path) -> Any:
    """Load the model of an experiment.

    Parameters
    ----------
    text : str
        ``module:attribute`` or ``path/to/file.py:attribute``; the attribute is a model, or a
        function without arguments that gives one.
    base : Path
        Folder that a relative path starts from.

    Returns
    -------
    simherd.Model

    Raises
    ------
    ExperimentError
        If it cannot be loaded, or is not a model.

    Notes
    -----
    A file, and what it imports from its own folder, is pickled by value: worker processes need not
    find it.
    """
    loaded = load_object(text, base)
    if not _is_model(loaded) and callable(loaded):
        try:
            loaded = loaded()
        except Exception as error:
            raise ExperimentError(
                f"Model '{text}': calling it gave {describe(error)}.",
                fix="correct the function; it is called without arguments.",
            ) from error
    if not _is_model(loaded):
        raise ExperimentError(
            f"Model '{text}' is of type {type(loaded).__name__}, not a simherd Model.",
            fix="name a model, or a function without arguments that gives one.",
        )
    return loaded


def load_object(text: str, base: Path) -> Any:
    """Load an attribute of a module or of a Python file.

    Parameters
    ----------
    text : str
        ``module:attribute`` or ``path/to/file.py:attribute``.
    base : Path
        Folder that a relative path starts from.

    Raises
    ------
    ExperimentError
        If there is no such file, module or attribute, or importing it fails.
    """
    source, _, name = text.rpartition(":")
    if not source or not name:
        raise ExperimentError(
            f"'{text}' does not name an object of a module.",
            fix="write module:attribute, or path/to/file.py:attribute.",
        )
    is_file = source.endswith(".py")
    module = _load_file(_resolved(source, base)) if is_file else _load_module(source, base)
    if not hasattr(module, name):
        public = [key for key in vars(module) if not key.startswith("_")]
        raise ExperimentError(f"'{source}' has no '{name}'. {close_matches(name, public)}")
    return getattr(module, name)


def describe(error: BaseException, file: str | None = None) -> str:
    """Say in one line what an error is, and in which line of a file it arose.

    Parameters
    ----------
    error : BaseException
        As it was caught.
    file : str, optional
        Python file; None for the innermost one.
    """
    if isinstance(error, SyntaxError):
        message, line, where = error.msg, error.lineno, error.filename or file
    else:
        frames = traceback.extract_tb(error.__traceback__)
        inside = [frame for frame in frames if file is None or frame.filename == file]
        last = inside[-1] if inside else None
        message = " ".join(str(error).split()).removesuffix(".")
        line, where = (last.lineno, last.filename) if last else (None, None)
    place = f" (line {line} of '{where}')" if line else ""
    return f"{type(error).__name__}: {message}{place}"


def _is_model(candidate: object) -> bool:
    from simherd.model import Model

    return isinstance(candidate, Model)


def _resolved(source: str, base: Path) -> Path:
    return Path(os.path.abspath(base / os.path.expanduser(source)))


def _load_module(name: str, base: Path) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise _broken(name, error) from error
        file = _resolved(name.replace(".", "/") + ".py", base)
        hint = f"write '{os.path.relpath(file, base)}' for the file." if file.exists() else ""
        raise ExperimentError(
            f"There is no module '{name}' (found no '{error.name}').",
            fix=hint or "install it, or write path/to/file.py:attribute for a file.",
        ) from error
    except (Exception, SystemExit) as error:
        raise _broken(name, error) from error


def _load_file(path: Path) -> ModuleType:
    """Import a file under a name made of what is in it, again only if it has changed."""
    try:
        source = path.read_bytes()
    except OSError as error:
        raise _no_file(path, error) from error
    name = name_of_file(path, source)
    known = sys.modules.get(name)
    if known is not None and known.__file__ == str(path):
        return known
    return _executed(name, path, source)


def _executed(name: str, path: Path, source: bytes) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None, path  # a name that ends in .py has a loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with _siblings_by_value(path.parent):
            # Compiled here, so that no __pycache__ is left beside the user's file.
            exec(compile(source, str(path), "exec", dont_inherit=True), vars(module))
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _broken(str(path), error, str(path)) from error
    _pickle_by_value(module)
    return module


@contextmanager
def _siblings_by_value(folder: Path) -> Iterator[None]:
    """Let a file import its neighbours, and make these travel with it."""
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        with suppress(ValueError):  # the file may have removed it
            sys.path.remove(str(folder))
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file and Path(file).is_relative_to(folder) and "site-packages" not in file:
            _pickle_by_value(sys.modules[name])


def _pickle_by_value(module: ModuleType) -> None:
    import cloudpickle

    register: Callable[[ModuleType], None] = cloudpickle.register_pickle_by_value
    register(module)


def _broken(name: str, error: BaseException, file: str | None = None) -> ExperimentError:
    return ExperimentError(f"Importing '{name}' gave {describe(error, file)}.", fix="correct the file.")


def _no_file(path: Path, error: OSError) -> ExperimentError:
    folder = path.parent
    if not folder.is_dir():
        return ExperimentError(f"No such file: '{path}': there is no folder '{folder}'.")
    names = [file.name for file in folder.glob("*.py")]
    hint = f" {close_matches(path.name, names)}" if names else ""
    return ExperimentError(
        f"Cannot read '{path}': {error.strerror}.{hint}",
        fix="correct the path; 'simherd new model' writes a first model.",
    )

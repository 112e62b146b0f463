"""The parallelizers by name: sciris' names and aliases, and the kinds of clusters."""

from __future__ import annotations

from collections.abc import Callable
from concurrent import futures
from dataclasses import dataclass
from enum import Enum
from typing import Any

from simherd.clusters import KINDS, is_given
from simherd.errors import ParallelizerError, close_matches
from simherd.executors.base import Executor

__all__ = ["Method", "Place", "read_method"]


class Place(Enum):
    """Where tasks run."""

    HERE = "serial"
    THREADS = "thread"
    PROCESSES = "processes"
    CLIENT = "dask"
    CLUSTER = "cluster"
    RAY = "ray"
    JOBLIB = "joblib"
    EXECUTOR = "executor"
    CUSTOM = "custom"


@dataclass(frozen=True, kw_only=True, slots=True)
class Method:
    """How a map runs."""

    name: str
    """The parallelizer as the user knows it, without aliases and suffixes."""
    place: Place
    """Where tasks run."""
    copies: bool = False
    """Whether each task gets copies of its arguments although it runs in this process."""
    is_async: bool = False
    """Whether the map runs in the background."""
    given: Any = None
    """The client, executor, function or kind of cluster."""


NAMES = {
    "serial": ("serial", Place.HERE),
    "thread": ("thread", Place.THREADS),
    "threadpool": ("thread", Place.THREADS),
    "default": ("multiprocess", Place.PROCESSES),
    "robust": ("multiprocess", Place.PROCESSES),
    "multiprocess": ("multiprocess", Place.PROCESSES),
    "multiprocessing": ("multiprocessing", Place.PROCESSES),
    "fast": ("fast", Place.PROCESSES),
    "concurrent": ("fast", Place.PROCESSES),
    "concurrent.futures": ("fast", Place.PROCESSES),
    "futures": ("fast", Place.PROCESSES),
    "dask": ("dask", Place.CLIENT),
    "distributed": ("dask", Place.CLIENT),
    "ray": ("ray", Place.RAY),
    "joblib": ("joblib", Place.JOBLIB),
}
"""Names and aliases."""
_SUFFIXES = ("copy", "async")
_COPYING = (Place.HERE, Place.THREADS)


def read_method(parallelizer: Any = None, *, serial: bool = False) -> Method:
    """Return how a map runs.

    Parameters
    ----------
    parallelizer : str, callable, Client or Executor, optional
        A name, also with the suffixes ``-copy`` and ``-async``; a kind or address of a cluster; a Dask
        client; an executor of ``concurrent.futures``; or a function ``map(task, arguments)``.
    serial : bool, optional
        Whether to run sequentially in this process, whatever else is said.

    Raises
    ------
    ParallelizerError
        If there is no such parallelizer, or it does not go with its suffix.
    """
    if serial:
        return Method(name="serial", place=Place.HERE)
    if parallelizer is None:
        parallelizer = "default"
    if isinstance(parallelizer, str):
        return _named(parallelizer)
    return _of_object(parallelizer)


def _of_object(given: Any) -> Method:
    if isinstance(given, futures.Executor | Executor):
        return Method(name=type(given).__name__, place=Place.EXECUTOR, given=given)
    if hasattr(given, "scheduler_info") and hasattr(given, "submit"):
        return Method(name="dask", place=Place.CLIENT, given=given)
    if isinstance(given, Callable):  # type: ignore[arg-type]
        return Method(name="custom", place=Place.CUSTOM, given=given)
    if callable(getattr(given, "map", None)):
        raise ParallelizerError(f"The parallelizer {given!r} is not callable.", fix="pass its method 'map'.")
    raise ParallelizerError(
        f"The parallelizer {given!r} is neither a name nor a function, Dask client or executor.", fix=_CHOICES
    )


def _named(name: str) -> Method:
    base, suffixes = _split(name)
    if base in NAMES:
        known, place = NAMES[base]
        method = Method(name=known, place=place, copies="copy" in suffixes, is_async="async" in suffixes)
    elif name in KINDS or is_given(name):
        method = Method(name=name, place=Place.CLUSTER, given=name)
    else:
        raise ParallelizerError(
            f"There is no parallelizer {name!r}. {close_matches(name, [*NAMES, *KINDS])}", fix=_CHOICES
        )
    if method.copies and method.place not in _COPYING:
        raise ParallelizerError(
            f"The parallelizer {name!r} cannot copy arguments: processes always have copies.",
            fix="leave out '-copy', which serial and thread have.",
        )
    return method


def _split(name: str) -> tuple[str, frozenset[str]]:
    """Return a name without its suffixes, and those."""
    parts = name.split("-")
    suffixes = frozenset(part for part in parts[1:] if part in _SUFFIXES)
    base = "".join(part for part in parts if part not in _SUFFIXES) if len(parts) > 1 else name
    return ("default" if name == "async" else base), suffixes


_CHOICES = f"choose one of {', '.join(NAMES)}, a kind of cluster ({', '.join(KINDS)}), or pass a function."

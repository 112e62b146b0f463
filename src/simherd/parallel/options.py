"""What a parallel map is asked to do, checked."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from simherd.errors import ParallelArgumentError
from simherd.parallel.arguments import Arguments, read_arguments
from simherd.parallel.load import Limits, read_limits
from simherd.parallel.methods import Method, Place, read_method
from simherd.resources import usable_cores
from simherd.user_warnings import warn_user
from simherd.warden import MARK

__all__ = ["MapOptions", "read_options"]


START_METHODS = ("spawn", "fork", "forkserver")


@dataclass(frozen=True, kw_only=True, slots=True)
class MapOptions:
    """A parallel map before it runs."""

    function: Callable[..., Any]
    """What is called."""
    arguments: Arguments
    """With what."""
    method: Method
    """Where and how."""
    ncpus: int
    """Tasks that run at once."""
    is_count_given: bool
    """Whether the user says how many."""
    limits: Limits
    """The load up to which packs start."""
    progress: bool | None
    """Whether to show progress; None: if it takes longer than a second."""
    callback: Callable[[dict[str, Any]], object] | None
    """Called after each task, where that runs."""
    globaldict: Mapping[Any, Any] | None
    """What the dictionary that tasks share holds at first."""
    stops_at_failure: bool
    """Whether the first task that fails ends the map."""
    captures: bool
    """Whether what tasks print is kept."""
    timeout_s: float | None
    """Time that a task may take, in s."""


def read_options(
    func: Callable[..., Any],
    *,
    iterarg: Any,
    iterkwargs: Any,
    args: Any,
    kwargs: Mapping[str, Any],
    ncpus: float | None,
    load: Mapping[str, Any],
    parallelizer: Any,
    serial: bool,
    progress: bool | None,
    callback: Callable[[dict[str, Any]], object] | None,
    globaldict: Mapping[Any, Any] | None,
    die: bool,
    capture: bool,
    start_method: str | None,
    timeout_s: float | None,
) -> MapOptions:
    """Return the options of a map, named as in `simherd.parallelize`.

    Raises
    ------
    ParallelArgumentError
        If an argument is wrong, or two do not go together.
    ParallelizerError
        If there is no such parallelizer.
    """
    if not callable(func):
        raise ParallelArgumentError(
            f"func must be callable, got {func!r}.", fix="pass the function itself, not what a call returns."
        )
    if callback is not None and not callable(callback):
        raise ParallelArgumentError(f"callback must be callable, got {callback!r}.")
    kwargs, load = _without_maxload(kwargs, load)
    arguments = read_arguments(iterarg, iterkwargs, args, kwargs)
    method = read_method(parallelizer, serial=serial)
    if capture and method.place is Place.THREADS:
        raise ParallelArgumentError(
            "capture=True does not work with threads: they print to the same place.",
            fix="use processes, or run serially.",
        )
    if start_method not in (None, *START_METHODS):
        raise ParallelArgumentError(
            f"start_method must be one of {', '.join(START_METHODS)}, got {start_method!r}."
        )
    if globaldict is not None and not isinstance(globaldict, Mapping):
        raise ParallelArgumentError(f"globaldict must be a mapping, got {globaldict!r}.")
    return MapOptions(
        function=func,
        arguments=arguments,
        method=method,
        ncpus=1 if method.place is Place.HERE else min(_workers(ncpus), len(arguments)),
        is_count_given=bool(ncpus),
        limits=read_limits(load["maxcpu"], load["maxmem"], load["interval"], is_count_given=bool(ncpus)),
        progress=progress,
        callback=callback,
        globaldict=globaldict,
        stops_at_failure=die,
        captures=capture,
        timeout_s=_seconds(timeout_s),
    )


def _without_maxload(
    kwargs: Mapping[str, Any], load: Mapping[str, Any]
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return keyword arguments without the old name of `maxcpu`."""
    if "maxload" not in kwargs:
        return kwargs, load
    warn_user("maxload is an old name of maxcpu: use that.", FutureWarning)
    rest = {name: value for name, value in kwargs.items() if name != "maxload"}
    return rest, {**load, "maxcpu": kwargs["maxload"] if load["maxcpu"] is None else load["maxcpu"]}


def _workers(ncpus: Any) -> int:
    """Return how many tasks run at once.

    Inside a worker it is one unless the user says otherwise: the other cores have workers of their own.
    """
    cores = usable_cores()
    if not ncpus:
        return 1 if MARK in os.environ else cores
    if not isinstance(ncpus, int | float | np.number) or not 0 < ncpus < math.inf:
        raise ParallelArgumentError(
            f"No CPUs to run on: ncpus={ncpus!r}.",
            fix="give a positive number, or a fraction of all below 1.",
        )
    return math.ceil(ncpus * cores) if ncpus < 1 else int(ncpus)


def _seconds(timeout_s: Any) -> float | None:
    if timeout_s is not None and not (isinstance(timeout_s, int | float | np.number) and timeout_s > 0):
        raise ParallelArgumentError(f"timeout_s must be a positive number of seconds, got {timeout_s!r}.")
    return None if timeout_s is None else float(timeout_s)

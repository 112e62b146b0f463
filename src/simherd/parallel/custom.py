"""Maps that the user brings along: any function ``map(task, arguments)``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from simherd.errors import MissingDependencyError, ParallelArgumentError
from simherd.executors.payload import Payload, unpack
from simherd.parallel.arguments import Arguments
from simherd.parallel.dispatch import Outcomes
from simherd.parallel.task import Job, Pack, PackReport, loaded, run_pack, unread

__all__ = ["MapTask", "joblib_map", "run_custom"]


class MapTask:
    """What a map calls with each pack. In other processes it has a copy of the job.

    Parameters
    ----------
    job : Job
        What packs share.
    travelling : callable
        Gives the job as other processes get it.
    """

    def __init__(self, job: Job, travelling: Callable[[], Payload]) -> None:
        self._job: Job | None = job
        self._travelling = travelling
        self._payload: Payload | None = None

    def __call__(self, pack: Pack) -> PackReport:
        """Run the tasks of a pack."""
        if self._job is None:
            assert self._payload is not None
            self._job = unpack(self._payload)
        return run_pack(self._job, pack)

    def __getstate__(self) -> Payload:
        if self._payload is None:
            self._payload = self._travelling()
        return self._payload

    def __setstate__(self, payload: Payload) -> None:
        self._job, self._payload = None, payload


def run_custom(
    function: Callable[[Any, list[Any]], Iterable[Any]],
    task: MapTask,
    arguments: Arguments,
    outcomes: Outcomes,
    on_report: Callable[[PackReport], object],
    packs: int | None = None,
) -> None:
    """Run all tasks by a map of the user's own.

    Parameters
    ----------
    function : callable
        Called with a function of one argument and a list of arguments; returns results in their order.
    task : MapTask
        What it calls.
    arguments : Arguments
        Of all tasks.
    outcomes : Outcomes
        What became of them, filled as the map returns results.
    on_report : callable
        Called with the report of each pack that comes back.
    packs : int, optional
        Into how many packs of equal size tasks go; each is its own by default.

    Raises
    ------
    ParallelArgumentError
        If the map returns no iterable, another number of results, or anything but the results of the function
        that it is given.
    """
    count = len(arguments)
    size = 1 if packs is None else -(-count // packs)
    parts = [range(start, min(start + size, count)) for start in range(0, count, size)]
    reports = function(task, [Pack(arguments.part(part), 0) for part in parts])
    if not isinstance(reports, Iterable):
        raise ParallelArgumentError(
            f"The parallelizer {function!r} returned {type(reports).__name__}: it must return the results."
        )
    found = 0
    for returned in reports:
        if not isinstance(returned, PackReport):
            raise ParallelArgumentError(
                f"The parallelizer {function!r} returned {type(returned).__name__} for a task.",
                fix="return what the function returns that it is called with.",
            )
        report = _read(returned)
        outcomes.add(report)
        on_report(report)
        found += 1
    if found != len(parts):
        raise ParallelArgumentError(
            f"The parallelizer {function!r} returned {found} results for {len(parts)} tasks."
        )


def _read(report: PackReport) -> PackReport:
    try:
        return loaded(report)
    except Exception as error:
        return unread(report, error)


def joblib_map(ncpus: int) -> Callable[[Any, list[Any]], Iterable[Any]]:
    """Return a map by joblib, which uses the backend that is set there.

    Parameters
    ----------
    ncpus : int
        Tasks that run at once.

    Raises
    ------
    MissingDependencyError
        If joblib is not installed.
    """
    try:
        import joblib
    except ImportError as error:
        raise MissingDependencyError(
            "parallelizer='joblib' needs joblib, which is not installed.", fix="pip install joblib."
        ) from error

    def run(task: Any, packs: list[Any]) -> Iterable[Any]:
        results: Iterable[Any] = joblib.Parallel(n_jobs=ncpus)(joblib.delayed(task)(pack) for pack in packs)
        return results

    return run

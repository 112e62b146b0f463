"""The class behind `parallelize`: a parallel map with the contract of sciris [1]_.

References
----------
.. [1] https://docs.sciris.org/en/latest/api/sciris.sc_parallel.parallelize.html
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from simherd.engine.failures import Failure, add_note, said_by
from simherd.errors import ParallelArgumentError, TaskError
from simherd.executors.kept import stop_kept
from simherd.parallel.options import read_options
from simherd.parallel.run import MapRun
from simherd.progress.notices import notice
from simherd.progress.words import counted
from simherd.user_warnings import warn_user

__all__ = ["Parallel", "Times"]


@dataclass(slots=True)
class Times:
    """When a map ran."""

    started: datetime | None = None
    """When it started."""
    finished: datetime | None = None
    """When it ended."""
    elapsed: float | None = None
    """Time between the two, in s."""
    jobs: list[float | None] = field(default_factory=list)
    """Time that each task took, in s; None for those that did not run."""


class Parallel:
    """A parallel map in steps: set up, run, wait, read results.

    Wrong arguments raise errors at once. A map that has run can run again.

    Parameters
    ----------
    func : callable
        The function.
    iterarg, iterkwargs, args, kwargs, ncpus, maxcpu, maxmem, interval, parallelizer, serial, progress, \
callback, globaldict, die, capture, lbkwargs, start_method, timeout_s, **func_kwargs
        As for `parallelize`.
    label : str, optional
        Name that the text of this object shows.
    """

    def __init__(
        self,
        func: Callable[..., Any],
        iterarg: Any = None,
        iterkwargs: Any = None,
        args: Any = None,
        kwargs: Mapping[str, Any] | None = None,
        ncpus: float | None = None,
        maxcpu: float | None = None,
        maxmem: float | None = None,
        interval: float | None = None,
        parallelizer: Any = None,
        serial: bool = False,
        progress: bool | None = False,
        callback: Callable[[dict[str, Any]], object] | None = None,
        globaldict: Mapping[Any, Any] | None = None,
        die: bool = True,
        *,
        capture: bool = False,
        lbkwargs: Mapping[str, Any] | None = None,
        start_method: str | None = None,
        timeout_s: float | None = None,
        label: str | None = None,
        **func_kwargs: Any,
    ) -> None:
        for name, mapping in {"kwargs": kwargs, "lbkwargs": lbkwargs}.items():
            if mapping is not None and not isinstance(mapping, Mapping):
                raise ParallelArgumentError(f"{name} must be a dict, got {mapping!r}.")
        given = {"maxcpu": maxcpu, "maxmem": maxmem, "interval": interval}
        if unknown := set(lbkwargs or {}) - set(given):
            raise ParallelArgumentError(
                f"lbkwargs may hold {', '.join(given)}, got {', '.join(map(repr, sorted(unknown, key=str)))}."
            )
        self.label = label
        self.options = read_options(
            func,
            iterarg=iterarg,
            iterkwargs=iterkwargs,
            args=args,
            kwargs={**(kwargs or {}), **func_kwargs},
            ncpus=ncpus,
            load={
                name: (lbkwargs or {}).get(name) if value is None else value for name, value in given.items()
            },
            parallelizer=parallelizer,
            serial=serial,
            progress=progress,
            callback=callback,
            globaldict=globaldict,
            die=die,
            capture=capture,
            start_method=start_method,
            timeout_s=timeout_s,
        )
        self.reset()

    def reset(self) -> None:
        """Forget the results of the last run."""
        self.times = Times()
        self._run = MapRun(self.options)
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self._is_finalized = False

    def init(self) -> None:
        """Prepare for another run, as `reset` does."""
        self.reset()

    @property
    def njobs(self) -> int:
        """Number of tasks."""
        return len(self.options.arguments)

    @property
    def ncpus(self) -> int:
        """Tasks that run at once."""
        return self.options.ncpus

    @property
    def method(self) -> str:
        """The parallelizer, without aliases and suffixes."""
        return self.options.method.name

    @property
    def is_async(self) -> bool:
        """Whether `run` leaves the map running in the background until `finalize`."""
        return self.options.method.is_async

    @property
    def results(self) -> list[Any]:
        """Results in input order: the exception of a task that failed, None for one that did not run."""
        outcomes = self._run.outcomes
        values = list(outcomes.values)
        for task, failure in outcomes.failures.items():
            values[task] = failure.error
        return values

    @property
    def rawresults(self) -> list[dict[str, Any]]:
        """One dict per task: result, success, exception, elapsed, skipped and stdout."""
        columns = {
            "result": self.results,
            "success": self.success,
            "exception": self.exceptions,
            "elapsed": self._run.outcomes.seconds,
            "skipped": self.skipped,
            "stdout": self.stdout,
        }
        return [{name: values[task] for name, values in columns.items()} for task in range(self.njobs)]

    @property
    def success(self) -> list[bool]:
        """Whether each task has returned."""
        outcomes = self._run.outcomes
        return [
            seconds is not None and task not in outcomes.failures
            for task, seconds in enumerate(outcomes.seconds)
        ]

    @property
    def exceptions(self) -> list[BaseException | None]:
        """The exception of each task, None for those without."""
        failures = self._run.outcomes.failures
        return [failures[task].error if task in failures else None for task in range(self.njobs)]

    @property
    def skipped(self) -> list[bool]:
        """Whether each task was left out, because the map was stopped before it."""
        return [seconds is None for seconds in self._run.outcomes.seconds]

    @property
    def stdout(self) -> list[str]:
        """What each task printed, with ``capture=True``."""
        return self._run.outcomes.stdout

    @property
    def globaldict(self) -> dict[Any, Any]:
        """What tasks left in the dictionary that they share."""
        return self._run.globaldict

    @property
    def running(self) -> bool:
        """Whether the map runs in the background."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def ready(self) -> bool:
        """Whether the map has ended."""
        return self.times.finished is not None

    @property
    def status(self) -> str:
        """One of "not run", "running" and "done"."""
        if self.times.started is None:
            return "not run"
        return "done" if self.ready else "running"

    def __repr__(self) -> str:
        label = f"{self.label}; " if self.label else ""
        size = f"jobs={self.njobs}; cpus={self.ncpus}"
        return f"Parallel({label}{size}; method={self.method}; status={self.status})"

    def disp(self) -> None:
        """Print a line that describes the map."""
        print(repr(self))  # noqa: T201 (that is what it is for)

    def run(self) -> Parallel:
        """Run all tasks and return this map.

        Raises
        ------
        Exception
            The one of the first task that fails, with ``die=True``; a note names the task.
        SimherdError
            If workers cannot be started, or are gone.
        """
        self._begin()
        self._work()
        return self.finalize()

    def run_async(self) -> Parallel:
        """Run the tasks in the background, and return this map at once; `finalize` waits for them."""
        self._begin()
        self._thread = threading.Thread(target=self._work, name="simherd-parallel", daemon=True)
        self._thread.start()
        return self

    def _begin(self) -> None:
        if self.running:
            raise ParallelArgumentError(f"{self!r} is running.", fix="call finalize() first.")
        self.reset()
        self.times.started = datetime.now()

    def _work(self) -> None:
        begun = time.perf_counter()
        try:
            self._run.run()
        except BaseException as error:
            self._error = error
        self.times.elapsed = time.perf_counter() - begun
        self.times.jobs = list(self._run.outcomes.seconds)
        self.times.finished = datetime.now()

    def monitor(self, interval: float = 0.1) -> None:
        """Print the progress of a map in the background until it ends.

        Parameters
        ----------
        interval : float, optional
            Time between two checks, in s.

        Raises
        ------
        ParallelArgumentError
            If the map has not been started.
        """
        self._check_started()
        shown = -1
        while not self.ready:
            if (settled := self._run.outcomes.settled) != shown:
                shown = settled
                notice(f"{settled} of {counted(self.njobs, 'task')}")
            time.sleep(interval)

    def finalize(
        self,
        get_results: bool = True,
        close_pool: bool = True,
        process_results: bool = True,
    ) -> Parallel:
        """Wait for a map in the background, and raise the error that ended it.

        Parameters
        ----------
        get_results, close_pool : bool, optional
            They have no effect: results arrive as tasks end, and workers are kept for the next map.
        process_results : bool, optional
            Whether to raise the error of a task that ended the map, and to warn of tasks that failed.

        Raises
        ------
        ParallelArgumentError
            If the map has not been started.
        Exception
            As `run`.
        """
        self._check_started()
        if self._thread is not None:
            self._thread.join()
        if self._error is not None:
            raise self._error
        if process_results:
            self._raise_or_warn()
        return self

    def _check_started(self) -> None:
        if self.times.started is None:
            raise ParallelArgumentError(f"{self!r} has no results.", fix="call run() or run_async() first.")

    def _raise_or_warn(self) -> None:
        failures = self._run.outcomes.failures
        if not failures:
            return
        if self.options.stops_at_failure:
            raise _raised(failures[min(failures)])
        succeeded = sum(self.success)
        warn_user(
            f"Only {succeeded} of {counted(self.njobs, 'task')} succeeded: see the attribute exceptions.",
            RuntimeWarning,
        )

    def stop(self) -> None:
        """Skip the tasks that have not begun; those that run end normally."""
        self._run.stop()

    def close(self) -> None:
        """End the worker processes that are kept for the next map."""
        stop_kept()


def _raised(failure: Failure) -> BaseException:
    """Return the error of a task as it is raised here, with a note that names the task."""
    error, task = failure.error, failure.number
    if isinstance(error, SystemExit | KeyboardInterrupt | GeneratorExit):
        found = TaskError(f"Task {task} raised {said_by(error)}, which would end this program.")
        found.__cause__ = error
        error = found
    if error.__traceback__ is None and "Traceback" in failure.traceback:
        add_note(error, f"On the worker:\n{failure.traceback}")
    add_note(error, f"Task {task} failed. To run the others and keep its exception: die=False.")
    return error

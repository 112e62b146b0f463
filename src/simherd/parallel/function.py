"""`parallelize`: a parallel map in one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from simherd.parallel.parallel import Parallel

__all__ = ["parallelize"]


def parallelize(
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
    **func_kwargs: Any,
) -> list[Any]:
    """Call a function for many arguments in parallel and return the results in input order.

    Parameters
    ----------
    func : callable
        The function; also a lambda, closure or bound method.
    iterarg : iterable or int, optional
        One element per task: a tuple is unpacked into positional arguments, anything else is one argument.
        A number runs that many tasks, without an argument.
    iterkwargs : dict of iterables or list of dicts, optional
        Keyword arguments that differ from task to task; as long as `iterarg` where both are given.
    args : tuple, list or object, optional
        Positional arguments that all tasks share, after their own.
    kwargs : dict, optional
        Keyword arguments that all tasks share. Those that have the name of a parameter of this function can
        be passed here only.
    ncpus : int or float, optional
        Number of tasks that run at once; below 1 a fraction of the usable cores. By default all usable cores
        that other programs leave free, at least one.
    maxcpu : float, optional
        Share of the usable cores, 0 to 1, above which no further tasks start; only without `ncpus`.
    maxmem : float, optional
        Share of the usable memory, 0 to 1, above which no further tasks start.
    interval : float, optional
        Time between two measurements of the load, in s; 0.5 by default.
    parallelizer : str, callable, Client or Executor, optional
        Where tasks run: "multiprocess" (the default, worker processes), "thread", "serial", "thread-copy"
        and "serial-copy" with copies of the arguments, "dask" or a Dask client, "ray", "joblib", a kind of
        cluster such as "slurm", "mpi", an executor of ``concurrent.futures``, or a function
        ``map(task, arguments)`` such as ``pool.map``.
    serial : bool, optional
        Whether to run sequentially in this process, whatever `parallelizer` says.
    progress : bool, optional
        Whether to show progress; None shows it if the map takes longer than a second.
    callback : callable, optional
        Called after each task, where the task ran, with a dict: index, njobs, args, kwargs, globaldict,
        outdict (result, success, exception, elapsed, skipped, stdout) and stop. If it sets ``stop`` to true,
        no other task begins.
    globaldict : dict, optional
        Entries of a dictionary that all tasks get as the keyword argument ``globaldict``, and may change.
    die : bool, optional
        Whether the first task that fails ends the map with its exception. With False the other tasks run,
        and the exception takes the place of the result.
    capture : bool, optional
        Whether to keep what each task prints, see `Parallel.stdout`.
    lbkwargs : dict, optional
        Values of `maxcpu`, `maxmem` and `interval` where these are not given.
    start_method : str, optional
        "spawn", "fork" or "forkserver", for calls written for sciris. It has no effect: worker processes
        start in one way and do not depend on the state of this process.
    timeout_s : float, optional
        Time that a task may take, in s; a task that takes longer is ended and has failed.
    **func_kwargs
        Further keyword arguments that all tasks share.

    Returns
    -------
    list
        Results in input order.

    Raises
    ------
    Exception
        The exception of the first task that fails, with ``die=True``; a note names the task.
    ParallelArgumentError
        If there is nothing to iterate over, or an argument is wrong.
    ParallelizerError
        If there is no such parallelizer.
    TaskError
        If a task ends its worker process or takes too long, with ``die=True``.

    Notes
    -----
    With worker processes each task gets the shared arguments as they were before the map, and NumPy's global
    generator is seeded for each task, so results depend neither on `ncpus` nor on the order of tasks:
    ``numpy.random.seed(1)`` before the call makes random numbers the same again. Serial maps and threads
    share the objects themselves, and draw from the caller's generator.

    Examples
    --------
    >>> parallelize(abs, [-1, -2, 3], serial=True)
    [1, 2, 3]
    >>> parallelize(pow, [(2, 3), (3, 2)], serial=True)
    [8, 9]
    >>> parallelize(int, ["11", "77"], base=8, serial=True)
    [9, 63]
    """
    return (
        Parallel(
            func,
            iterarg,
            iterkwargs,
            args,
            kwargs,
            ncpus,
            maxcpu,
            maxmem,
            interval,
            parallelizer,
            serial,
            progress,
            callback,
            globaldict,
            die,
            capture=capture,
            lbkwargs=lbkwargs,
            start_method=start_method,
            timeout_s=timeout_s,
            **func_kwargs,
        )
        .run()
        .results
    )

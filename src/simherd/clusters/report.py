"""Dask's performance report as a page that needs no network."""

from __future__ import annotations

from contextlib import AbstractContextManager
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from simherd.errors import ClusterError, ClusterOptionError, MissingDependencyError

__all__ = ["performance_report"]


def performance_report(path: str | PathLike[str]) -> AbstractContextManager[Any]:
    """Return a context manager that writes Dask's report of what runs on the active client meanwhile.

    Parameters
    ----------
    path : str or path
        HTML file, with all that it needs in it: Dask's own report loads scripts from the internet, and stays
        blank without them.

    Raises
    ------
    ClusterError
        If no client is open.
    ClusterOptionError
        If the folder of the file does not exist.
    MissingDependencyError
        If bokeh is not installed.

    Examples
    --------
    >>> import simherd as sh
    >>> with sh.open_client("local") as client, sh.performance_report("report.html"):  # doctest: +SKIP
    ...     client.submit(sum, [1, 2]).result()
    """
    from distributed import get_client
    from distributed import performance_report as dask_report

    place = fspath(path)
    if "://" not in place and not Path(place).absolute().parent.is_dir():
        raise ClusterOptionError(
            f"The performance report cannot be written to {place!r}: its folder does not exist.",
            fix="make the folder, or choose another path.",
        )
    try:
        import bokeh  # noqa: F401 (Dask finds it out only when it writes the report)
    except ImportError as error:
        raise MissingDependencyError(
            "A performance report needs bokeh, which is not installed.", fix="pip install 'simherd[plot]'."
        ) from error
    try:
        get_client()
    except ValueError as error:
        raise ClusterError(
            "A performance report needs an open Dask client, and there is none.",
            fix="use it inside of 'with sh.open_client(...):'.",
        ) from error
    report: AbstractContextManager[Any] = dask_report(filename=place, mode="inline")  # type: ignore[no-untyped-call]
    return report

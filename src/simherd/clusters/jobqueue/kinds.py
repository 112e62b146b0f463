"""What the kinds of clusters that dask-jobqueue knows differ in, as data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simherd.clusters.jobqueue.options import JobOptions

__all__ = ["Kind"]


def _nothing(options: JobOptions) -> dict[str, Any]:
    return {}


def _no_environment(options: JobOptions) -> str | None:
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """A kind of batch scheduler, as dask-jobqueue sees it."""

    name: str
    """Its name, which is dask-jobqueue's too."""
    title: str
    """Its name for people."""
    cluster: str
    """dask-jobqueue's class."""
    account: str = "account"
    """What it calls who pays: "account" or "project"; "" if it has no such thing."""
    has_queue: bool = True
    """Whether jobs can name a queue or partition."""
    has_walltime: bool = True
    """Whether jobs can name a walltime."""
    own: tuple[str, ...] = ()
    """Options that only it has, under dask-jobqueue's names."""
    walltime_format: str = "%H:%M:%S"
    """How it writes walltimes: "%H:%M:%S" or "%H:%M"."""
    arguments: Callable[[JobOptions], dict[str, Any]] = _nothing
    """Further arguments of dask-jobqueue's class for some options."""
    environment: Callable[[JobOptions], str | None] = _no_environment
    """The parallel environment that books the cores of a job; None where none is needed."""
    reads_stdin: bool = False
    """Whether its submit command reads the script from standard input."""

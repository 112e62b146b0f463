"""What the kinds of clusters that dask-jobqueue knows differ in, as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simherd.clusters.jobqueue.options import JobOptions

__all__ = ["HandedOver", "Kind"]


def _nothing(options: JobOptions) -> dict[str, Any]:
    return {}


def _no_environment(options: JobOptions) -> str | None:
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class HandedOver:
    """How a job script gets to the command that submits it."""

    words: tuple[str, ...] = ()
    """Arguments of the command."""
    stdin: str = ""
    """What it reads from standard input."""


def _no_caution(script: str) -> str | None:
    return None


def _as_file(script: Path, own: Mapping[str, Any]) -> HandedOver:
    return HandedOver(words=(str(script),))


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
    has_resource_spec: bool = False
    """Whether they can ask for resources in the scheduler's own words."""
    has_parallel_environment: bool = False
    """Whether several cores need a parallel environment."""
    own: tuple[str, ...] = ()
    """Options that only it has, under dask-jobqueue's names."""
    walltime_format: str = "%H:%M:%S"
    """How it writes walltimes: "%H:%M:%S" or "%H:%M"."""
    walltime_may_begin_with_hours: bool = False
    """Whether it reads a walltime of two numbers as hours and minutes."""
    arguments: Callable[[JobOptions], dict[str, Any]] = _nothing
    """Further arguments of dask-jobqueue's class for some options."""
    environment: Callable[[JobOptions], str | None] = _no_environment
    """The parallel environment that books the cores of a job; None where none is needed."""
    caution: Callable[[str], str | None] = _no_caution
    """What the user should know before a job script is submitted; None for nothing."""
    hand_over: Callable[[Path, Mapping[str, Any]], HandedOver] = _as_file
    """How its command gets a script, with the kind's own options."""
    job_id: str = r"\S+(?=\s*$)"
    """Pattern of the job id in what that command prints: its group, or all of it."""

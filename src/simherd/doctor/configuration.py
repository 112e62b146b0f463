"""What jobqueue.yaml says: whether it is understood, and whether the site has what it names."""

from __future__ import annotations

import re
import shlex
import warnings
from collections.abc import Callable, Collection, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from simherd.clusters import KINDS
from simherd.clusters.jobqueue.options import read_options, request_of
from simherd.config import (
    OldNameWarning,
    SettingWarning,
    SiteSettings,
    check_files,
    configured_kinds,
    files_read,
    site_settings,
)
from simherd.doctor.finding import Finding, Verdict
from simherd.errors import ClusterOptionError, SchedulerError, close_matches
from simherd.schedulers import SCHEDULERS, Site, find
from simherd.schedulers.commands import run_program
from simherd.schedulers.limits import find_problems

if TYPE_CHECKING:
    from simherd.clusters.jobqueue import Kind

__all__ = ["look", "look_at_files", "look_at_named", "look_at_settings"]

TOPIC = "settings"
LAUNCHERS = ("mpirun", "srun")
MODES = ("mpi", "jobqueue", "array")
CORRECT = "correct jobqueue.yaml."
T = TypeVar("T")


def look() -> Iterator[Finding]:
    """Yield what is wrong with the settings of clusters and sites; or that the files have no errors."""
    _, found = _read(check_files)
    found = found or [*_look_at_kinds(), *_look_at_sites()]
    yield from found
    if files_read() and not found:
        yield Finding(topic=TOPIC, text="no errors in the settings of clusters")


def look_at_files() -> Iterator[Finding]:
    """Name the files with settings of clusters and sites."""
    files = ", ".join(map(str, files_read()))
    yield Finding(topic=TOPIC, text=f"read from {files}" if files else "no file has settings of clusters")


def _wrong(text: str, fix: str = CORRECT) -> Finding:
    return Finding(topic=TOPIC, verdict=Verdict.WRONG, text=text, fix=fix)


def _read(function: Callable[[], T], where: str = "") -> tuple[T | None, list[Finding]]:
    """Return what a function reads of the settings, None if it cannot, and what it says of them."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SettingWarning)
        try:
            value, failed = function(), []
        except ClusterOptionError as error:
            value, failed = None, [_wrong(f"{where}{error.message}", error.fix or CORRECT)]
    said = {str(one.message): one.category for one in caught if issubclass(one.category, SettingWarning)}
    return value, [*(_warned(text, category) for text, category in said.items()), *failed]


def _warned(text: str, category: type[Warning]) -> Finding:
    verdict = Verdict.NOTE if issubclass(category, OldNameWarning) else Verdict.WRONG
    return Finding(topic=TOPIC, verdict=verdict, text=text, fix=CORRECT)


def _look_at_kinds() -> Iterator[Finding]:
    """Yield what is wrong with the sections of ``jobqueue``."""
    names, found = _read(configured_kinds)
    yield from found
    for name in names or ():
        kind: Kind | None = getattr(import_module(KINDS[name]), "KIND", None) if name in KINDS else None
        if kind is not None:
            yield from _look_at_kind(kind)


def _look_at_kind(kind: Kind) -> Iterator[Finding]:
    options, found = _read(lambda: read_options(kind, {}), f"jobqueue.{kind.name}: ")
    yield from found
    site = _site(kind.name)
    if options is None or site is None:
        return
    request, found = _read(lambda: request_of(kind, options), f"jobqueue.{kind.name}: ")
    yield from found
    for problem in find_problems(request, site, kind.name) if request is not None else ():
        yield _wrong(f"jobqueue.{kind.name}: {problem}")


def _site(name: str) -> Site | None:
    """Return what a batch scheduler has; None if it cannot be asked, which is said elsewhere."""
    if name not in SCHEDULERS or not find(name).is_installed():
        return None
    try:
        return find(name).site()
    except (SchedulerError, ClusterOptionError):
        return None


def _look_at_sites() -> Iterator[Finding]:
    """Yield what is wrong with the section ``simherd``, each thing once."""
    found: dict[str, Finding] = {}
    for name in sorted(SCHEDULERS):
        settings, said = _read(lambda name=name: site_settings(name))  # type: ignore[misc]
        if settings is not None:
            said += [*look_at_settings(settings), *_look_at_named(settings, name)]
        found |= {one.text: one for one in said}
    yield from found.values()


def look_at_settings(settings: SiteSettings) -> Iterator[Finding]:
    """Yield what is wrong with the settings of a site, whatever the site has."""
    try:
        launcher = Path(shlex.split(settings.launcher)[0]).name
    except (ValueError, IndexError):
        launcher = settings.launcher
    if launcher not in LAUNCHERS:
        yield _wrong(f"simherd.launcher: {launcher!r} is not known. {close_matches(launcher, LAUNCHERS)}")
    for mode, path in settings.templates.items():
        if mode not in MODES:
            yield _wrong(f"simherd.templates: there is no mode {mode!r}. {close_matches(mode, MODES)}")
        elif not Path(path).expanduser().is_file():
            yield _wrong(f"simherd.templates: {mode}: there is no file {path!r}.")


def _look_at_named(settings: SiteSettings, name: str) -> Iterator[Finding]:
    """Yield what settings name and a site does not have; only Grid Engine's are named there."""
    site = _site(name)
    if site is not None and site.parallel_environments:
        environments = [one.name for one in site.parallel_environments]
        yield from look_at_named(settings, environments, _resources())


def look_at_named(
    settings: SiteSettings, environments: Collection[str], resources: Collection[str]
) -> Iterator[Finding]:
    """Yield which parallel environments and resources of the settings Grid Engine does not have.

    Parameters
    ----------
    settings : SiteSettings
        What jobqueue.yaml says.
    environments : collection of str
        Parallel environments that there are.
    resources : collection of str
        Names of resources that there are; none if that is not known.
    """
    named = (
        ("parallel-environment", settings.parallel_environment, environments, "qconf -spl"),
        ("mpi-parallel-environment", settings.mpi_parallel_environment, environments, "qconf -spl"),
        ("memory-resource", settings.memory_resource, resources, "qconf -sc"),
        ("disk-resource", settings.disk_resource, resources, "qconf -sc"),
    )
    for key, name, there, shown_by in named:
        if name is not None and there and name not in there:
            text = f"simherd.sge: {key}: Grid Engine has no {name!r}."
            yield _wrong(text, f"correct jobqueue.yaml; '{shown_by}' lists what there is.")


def _resources() -> set[str]:
    """Return the names of Grid Engine's resources, long and short, see complex(5)."""
    try:
        said = run_program(["qconf", "-sc"], doing="asking for the resources of Grid Engine").stdout
    except SchedulerError:
        return set()
    return {name for found in re.findall(r"^(\w\S*)\s+(\S+)", said, re.MULTILINE) for name in found}

"""Settings of clusters: what jobqueue.yaml says, under our names, and what is given on top of it.

The lowest first: defaults, ``/etc/dask``, ``~/.config/dask``, ``$DASK_CONFIG``, ``DASK_`` variables, a file
named with ``--config``, the call or experiment. Dask itself reads all but the last two.
"""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from simherd.errors import ClusterOptionError, close_matches
from simherd.resources import is_count
from simherd.user_warnings import warn_user

__all__ = [
    "OldNameWarning",
    "SettingWarning",
    "SiteSettings",
    "as_unreadable",
    "check_files",
    "configured_kinds",
    "files_read",
    "job_settings",
    "naming_jobs",
    "site_settings",
    "using_file",
]

RENAMED = {
    "job-extra": "job-extra-directives",
    "env-extra": "job-script-prologue",
    "extra": "worker-extra-args",
    "header-skip": "job-directives-skip",
}
"""Keys of dask-jobqueue before 0.8, and what they are called today."""
ACCOUNT_KINDS = ("slurm", "pbs")
"""Where ``project`` became ``account``, too."""

OUR_NAMES = {
    "job-script-prologue": "prologue",
    "job-extra-directives": "directives",
    "job-directives-skip": "directives_skip",
    "worker-extra-args": "worker_arguments",
}
"""Keys that have another name in calls; the others only turn ``-`` into ``_``."""

KEYS = (
    "name",
    "cores",
    "memory",
    "processes",
    "python",
    "interface",
    "death-timeout",
    "local-directory",
    "shared-temp-directory",
    "worker-command",
    "worker-extra-args",
    "shebang",
    "queue",
    "account",
    "project",
    "walltime",
    "job-script-prologue",
    "job-extra-directives",
    "job-directives-skip",
    "log-directory",
    "scheduler-options",
    "job-cpu",
    "job-mem",
    "resource-spec",
    "ncpus",
    "mem",
    "lsf-units",
    "use-stdin",
    "memory-per-core-property-name",
    "disk",
    "submit-command-extra",
    "cancel-command-extra",
)
"""All keys that dask-jobqueue 0.9 reads for some kind."""
KEYS_OF_OURS = (
    "adapt",
    "dashboard-address",
    "guard-threads",
    "jobs",
    "parallel-environment",
    "partition",
    "security",
    "threads-per-worker",
    "wait-timeout",
    "worker-memory",
    "workers",
)
"""Keys beside them, which dask-jobqueue does not look at."""

_named_file: ContextVar[Path | None] = ContextVar("_named_file", default=None)
"""The file of `using_file`, while its context lasts."""


class SettingWarning(UserWarning):
    """A setting that has no effect, or will have none."""


class OldNameWarning(SettingWarning, FutureWarning):
    """A setting under a name of before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SiteSettings:
    """What a site has, for job scripts: section ``simherd`` of jobqueue.yaml."""

    launcher: str = "mpirun"
    """What starts the ranks of a job: "mpirun" or "srun"."""
    activation: tuple[str, ...] = ()
    """Lines that make simherd available in a job: modules, conda, a virtual environment."""
    templates: Mapping[str, str] = field(default_factory=dict)
    """Paths of the site's own templates, by mode."""
    parallel_environment: str | None = None
    """Grid Engine: for jobs on one host, such as "smp"."""
    mpi_parallel_environment: str | None = None
    """Grid Engine: for jobs over several hosts, such as "ib"."""
    memory_resource: str | None = None
    """Grid Engine: the resource that memory is asked with, such as "h_vmem"."""
    memory_is_per_slot: bool = True
    """Grid Engine: whether that is memory of each slot."""
    disk_resource: str | None = None
    """Grid Engine: the resource that local disk is asked with."""
    disk_is_per_slot: bool = True
    """Grid Engine: whether that is disk of each slot."""
    array_limit: int | None = None
    """Most tasks of an array job; None for what the scheduler says."""


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_texts(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(line, str) for line in value)


def _is_texts_by_name(value: object) -> bool:
    return isinstance(value, Mapping) and all(map(_is_text, (*value, *value.values())))


_NEEDED: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "str": (_is_text, "a text"),
    "str | None": (_is_text, "a text"),
    "tuple[str, ...]": (_is_texts, "a text or a list of texts"),
    "Mapping[str, str]": (_is_texts_by_name, "keys with texts"),
    "bool": (lambda value: isinstance(value, bool), "true or false"),
    "int | None": (lambda value: is_count(value, 1), "a whole number of 1 or more"),
}
"""What a setting of a site must be, by the type of its field: a test, and its words."""


def job_settings(kind: str) -> dict[str, Any]:
    """Return the options that jobqueue.yaml gives for a kind of cluster, under our names.

    Parameters
    ----------
    kind : str
        Section of ``jobqueue``, such as "slurm".

    Returns
    -------
    dict of str to object
        Options for `simherd.open_client`; what stands there without a value is left out.

    Raises
    ------
    ClusterOptionError
        If a section is not a mapping.
    """
    section = _sections().get(kind, {})
    current = _with_current_names(kind, section)
    allowed = {*KEYS, *KEYS_OF_OURS}
    for key in current.keys() - allowed:
        warn_user(
            f"jobqueue.{kind}: {key!r} is not known and has no effect. {close_matches(key, allowed)}",
            SettingWarning,
        )
    shipped = _shipped(kind, section)
    known = {
        key: value
        for key, value in current.items()
        if key in allowed and value not in (None, [], {}) and value != shipped.get(key)
    }
    return {OUR_NAMES.get(key, key.replace("-", "_")): value for key, value in known.items()}


def configured_kinds() -> list[str]:
    """Return the kinds of clusters that jobqueue.yaml says something of.

    Raises
    ------
    ClusterOptionError
        If a section is not a mapping.
    """
    return [kind for kind, section in _sections().items() if section]


def check_files() -> None:
    """Refuse a ``DASK_CONFIG`` that Dask passes over: it names nothing, or what cannot be read.

    Raises
    ------
    ClusterOptionError
        If so.
    """
    name = os.environ.get("DASK_CONFIG")
    if name is None or os.access(name, os.R_OK):
        return
    found = "cannot be read" if os.path.exists(name) else "does not exist"
    raise ClusterOptionError(
        f"The variable DASK_CONFIG names {name!r}, which {found}: its settings of clusters would be missing.",
        fix="correct the variable, or unset it.",
    )


def files_read() -> list[Path]:
    """Return the files that say something of clusters and sites; later ones take precedence."""
    import dask

    read = dask.config.collect_yaml(dask.config.paths, return_paths=True)
    found = [path for path, content in read if not content.keys().isdisjoint(("jobqueue", "simherd"))]
    named = _named_file.get()
    return found if named is None else [*found, named]


def _sections() -> dict[str, Mapping[str, Any]]:
    import dask

    check_files()
    whole = _mapping(dask.config.get("jobqueue", None) or {}, "jobqueue")
    return {str(kind): _mapping(found or {}, f"jobqueue.{kind}") for kind, found in whole.items()}


def _shipped(kind: str, section: Mapping[str, Any]) -> dict[str, Any]:
    """Return dask-jobqueue's own defaults where they stand among the settings: the user has imported it."""
    if "dask_jobqueue" not in sys.modules:
        return {}
    from importlib.resources import files

    import yaml

    shipped: dict[str, Any] = yaml.safe_load(files("dask_jobqueue").joinpath("jobqueue.yaml").read_text())
    defaults: dict[str, Any] = shipped["jobqueue"].get(kind, {})
    return defaults if defaults.keys() <= section.keys() else {}


def _with_current_names(kind: str, section: Mapping[str, Any]) -> dict[str, Any]:
    """Return a section with today's keys; an old one counts where the new one is not given."""
    renamed = {**RENAMED, **({"project": "account"} if kind in ACCOUNT_KINDS else {})}
    current = {str(key).replace("_", "-"): value for key, value in section.items()}
    for old, new in renamed.items():
        value = current.pop(old, None)
        if value is None:
            continue
        warn_user(
            f"jobqueue.{kind}: {old!r} is called {new!r} since dask-jobqueue 0.8.",
            OldNameWarning,
        )
        if not current.get(new):
            current[new] = value
    return current


def site_settings(scheduler: str) -> SiteSettings:
    """Return what section ``simherd`` of jobqueue.yaml says of a batch scheduler.

    What stands in ``simherd.slurm`` or ``simherd.sge`` counts more than what stands in ``simherd`` itself.

    Parameters
    ----------
    scheduler : str
        "slurm" or "sge".

    Raises
    ------
    ClusterOptionError
        If a key is unknown, or its value is none that it may have.
    """
    import dask

    check_files()
    whole = _mapping(dask.config.get("simherd", None) or {}, "simherd")
    plain = {key: value for key, value in whole.items() if key not in ("slurm", "sge")}
    own = _mapping(whole.get(scheduler) or {}, f"simherd.{scheduler}")
    values = {**_site_values("simherd", plain), **_site_values(f"simherd.{scheduler}", own)}
    return SiteSettings(**{name: value for name, value in values.items() if value is not None})


def _site_values(section: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that a section gives for fields of `SiteSettings`, checked."""
    types = {one.name.replace("_", "-"): str(one.type) for one in fields(SiteSettings)}
    values = {}
    for key, value in ((str(key).replace("_", "-"), value) for key, value in given.items()):
        if key not in types:
            raise ClusterOptionError(
                f"jobqueue.yaml, section {section}: the key {key!r} is not known. {close_matches(key, types)}"
            )
        values[key.replace("-", "_")] = _site_value(section, key, types[key], value)
    return values


def _site_value(section: str, key: str, type_: str, value: Any) -> Any:
    found = (value,) if type_.startswith("tuple") and isinstance(value, str) else value
    is_right, needed = _NEEDED[type_]
    if value is not None and not is_right(found):
        raise ClusterOptionError(
            f"jobqueue.yaml, section {section}: {key}: found {value!r}, needs {needed}.",
            fix="correct it, or leave the key out.",
        )
    return tuple(found) if isinstance(found, list) else found


def _mapping(value: Any, place: str) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    raise ClusterOptionError(
        f"jobqueue.yaml, section {place}: found {value!r}, where keys with values are needed."
    )


@contextmanager
def using_file(path: str | Path | None) -> Iterator[None]:
    """Let the settings of a file take precedence over those that Dask found, while the context lasts.

    Parameters
    ----------
    path : str or Path, optional
        The file, in the form of jobqueue.yaml; None changes nothing.

    Raises
    ------
    ClusterOptionError
        If it, or what ``DASK_CONFIG`` names, cannot be read.
    """
    check_files()
    if path is None:
        yield
        return
    import dask
    import yaml

    try:
        found = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ClusterOptionError(
            f"Cannot read the configuration {str(path)!r}: {_in_a_line(error)}.",
            fix="look at the file, or --config.",
        ) from error
    merged = dask.config.merge(dask.config.config, dict(_mapping(found, str(path))))
    token = _named_file.set(Path(path))
    try:
        with dask.config.set(merged):
            yield
    finally:
        _named_file.reset(token)


@contextmanager
def naming_jobs(kind: str, name: str) -> Iterator[None]:
    """Give the jobs of a kind of cluster a name, where jobqueue.yaml gives none, while the context lasts."""
    import dask

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SettingWarning)  # shown when the settings are used
        given = job_settings(kind).get("name")
    with dask.config.set({f"jobqueue.{kind}.name": name}) if given is None else nullcontext():
        yield


def as_unreadable(error: Exception) -> ClusterOptionError | None:
    """Return the error of a file that Dask could not read when it was imported; None for another error."""
    found = re.match(
        r"A dask config file at '(.*?)' is malformed(?:, original error message:| - )", str(error)
    )
    if found is None:
        return None
    return ClusterOptionError(
        f"Cannot read the configuration {found[1]!r}: {_in_a_line(str(error)[found.end() :])}.",
        fix="correct the file, or remove it.",
    )


def _in_a_line(error: object) -> str:
    """Return what an error says in one line, without the marks that YAML puts below its text."""
    return " ".join(word for word in str(error).split() if word != "^").rstrip(".:")

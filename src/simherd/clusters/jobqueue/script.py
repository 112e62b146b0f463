"""The script of a worker's job, written by dask-jobqueue."""

from __future__ import annotations

import re
import shlex
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

import dask
import yaml

from simherd.clusters.jobqueue.kinds import Kind
from simherd.clusters.jobqueue.options import JobOptions
from simherd.clusters.memory import memory_settings
from simherd.clusters.security import CREDENTIALS
from simherd.clusters.versions import EXPECTED, versions_here
from simherd.config import site_settings
from simherd.errors import ClusterOptionError
from simherd.resources import format_walltime
from simherd.threads import guard_environment

__all__ = ["PROLOGUE_FAILED", "Scripts", "dask_jobqueue", "lifetime_s"]

PROLOGUE_FAILED = "A line of the prologue failed, so the worker does not start."
"""What stands in the log of a job then."""
HEADROOM = 0.05
"""Share of a job's memory that is not the workers': nannies and interpreters need some, too."""
MARGIN = 0.1
LEAST_MARGIN_S, MOST_MARGIN_S = 20, 300
"""How long before the end of its walltime a job's workers leave: a share of it, within bounds in s."""
SECTION = "simherd-defaults"
"""Section of Dask's configuration that dask-jobqueue reads in place of the user's, which was read here."""
PASSED_ON = ("worker", "comm", "nanny")
"""Sections of ``distributed`` that workers need, and would not get from the client's configuration."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scripts:
    """Writes the scripts of the jobs of one cluster."""

    kind: Kind
    """The batch scheduler."""
    options: JobOptions
    """What the cluster is to be."""
    address: str
    """Address of the Dask scheduler."""
    security: Any = None
    """Credentials of workers, in files; None for plain connections."""
    log_directory: str | None = None
    """Where the logs of the jobs go."""

    def job(self, name: str) -> Any:
        """Return dask-jobqueue's job for the workers of a name, which is not started.

        Raises
        ------
        ClusterOptionError
            If dask-jobqueue does not accept the options.
        """
        job_class = self._job_class()
        arguments = self._arguments()
        sections = dask.config.get("jobqueue", None) or {}  # the key alone may stand in a file
        with dask.config.set(jobqueue={**sections, SECTION: _defaults(self.kind.name)}):
            try:
                return job_class(self.address, name=name, config_name=SECTION, **arguments)
            except (ValueError, TypeError) as error:
                raise ClusterOptionError(
                    f"dask-jobqueue refuses the options of the cluster: {error}."
                ) from error

    def _job_class(self) -> Any:
        """Return dask-jobqueue's class, with threads and memory of a worker as we divide them."""
        of_kind = getattr(dask_jobqueue(), self.kind.cluster).job_cls
        memory = int(self.options.memory * (1 - HEADROOM)) // self.options.processes
        ours = {"worker_process_threads": self.options.threads, "worker_process_memory": str(memory)}
        return type(of_kind.__name__, (of_kind,), ours)

    def text(self, name: str) -> str:
        """Return the script that starts the workers of a name."""
        return str(self.job(name).job_script())

    def _arguments(self) -> dict[str, Any]:
        kind, options = self.kind, self.options
        given = {
            "cores": options.cores,
            "processes": options.processes,
            "memory": f"{options.memory} B",
            "job_name": options.name,
            "interface": options.interface,
            "local_directory": _quoted(options.local_directory),
            "log_directory": self.log_directory,
            "death_timeout": int(options.death_timeout),
            "python": self._python(),
            "shebang": options.shebang,
            "job_extra_directives": options.directives or None,
            "job_directives_skip": options.directives_skip or None,
            "job_script_prologue": list(self._prologue()),
            "worker_command": "simherd.clusters.job_worker",
            "worker_extra_args": self._worker_arguments(),
            "security": self._security(),
            "protocol": None if self.security is None else "tls://",
            **({"queue": options.queue} if kind.has_queue else {}),
            **({kind.account: options.account} if kind.account else {}),
            **({"walltime": self._walltime()} if kind.has_walltime else {}),
            **({"resource_spec": options.resource_spec} if kind.has_resource_spec else {}),
            **options.own,
            **kind.arguments(replace(options, log_directory=self.log_directory)),
        }
        return {name: value for name, value in given.items() if value is not None}

    def _python(self) -> str | None:
        """Return Python on the nodes; where lines make simherd available there, it is theirs."""
        if self.options.python is None and site_settings(self.kind.name).activation:
            return "python"
        return self.options.python and shlex.quote(self.options.python)

    def _security(self) -> Any:
        """Return the credentials with paths as they stand in a command line."""
        if self.security is None:
            return None
        from distributed.security import Security

        paths = {name: getattr(self.security, name) for name in CREDENTIALS}
        quoted = {name: path and shlex.quote(path) for name, path in paths.items()}
        return Security(require_encryption=True, **quoted)  # type: ignore[no-untyped-call]

    def _walltime(self) -> str:
        if self.kind.walltime_format.endswith("%S"):
            return format_walltime(self.options.walltime)
        minutes = -(-self.options.walltime // 60)
        return format_walltime(60 * minutes).rpartition(":")[0]

    def _prologue(self) -> Iterator[str]:
        """Yield what runs before the workers; the guards come last, so that nothing overrides them."""
        if lines := [*site_settings(self.kind.name).activation, *self.options.prologue]:
            yield "set -e"
            yield f"trap 'echo \"{PROLOGUE_FAILED}\" >&2' EXIT"
            yield from lines
            yield "trap - EXIT"
        settings = {**_changed_settings(), **memory_settings(self.options.worker_memory)}
        for key, value in settings.items():
            yield f"export {_variable(key)}={shlex.quote(str(value))}"
        for name, threads in guard_environment(self.options.guard_threads).items():
            yield f"export {name}={threads}"
        yield f"export {EXPECTED}={shlex.quote(versions_here())}"
        if self.kind.has_walltime:
            yield f"export SIMHERD_ENDS_AT=$(( $(date +%s) + {lifetime_s(self.options.walltime)} ))"

    def _worker_arguments(self) -> list[str]:
        ours = ["--nworkers", str(self.options.processes), "--nanny", "--preload", "simherd.clusters.worker"]
        quiet = ["--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
        return [*ours, *quiet, *map(shlex.quote, self.options.worker_arguments)]


def lifetime_s(walltime_s: int) -> int:
    """Return the time after which workers leave a job of a walltime, both in s."""
    margin = min(max(round(walltime_s * MARGIN), LEAST_MARGIN_S), MOST_MARGIN_S)
    return max(walltime_s - margin, walltime_s // 2)


def _quoted(path: str | None) -> str | None:
    """Return a path for a command line; variables and the home folder are left to the shell of the node."""
    if path is None:
        return None
    path = f"$HOME/{path[2:]}" if path.startswith("~/") else path
    if "$" not in path:
        return shlex.quote(path)
    escaped = re.sub(r'(["`\\]|\$\()', r"\\\1", path)
    return f'"{escaped}"'


def _variable(key: str) -> str:
    return "DASK_" + key.replace(".", "__").replace("-", "_").upper()


def _changed_settings() -> dict[str, Any]:
    """Return the settings of workers in which Dask's configuration differs from its defaults."""
    default = yaml.safe_load(files("distributed").joinpath("distributed.yaml").read_text())["distributed"]
    now = dask.config.get("distributed", {})
    changed: dict[str, Any] = {}
    for section in PASSED_ON:
        first = dict(_leaves(default[section]))
        for key, value in _leaves(now.get(section, {})):
            if value is not None and value != first.get(key) and not key.startswith("pre-spawn"):
                changed[f"distributed.{section}.{key}"] = value
    return changed


def _leaves(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


@cache
def _shipped() -> dict[str, Any]:
    text = files("dask_jobqueue").joinpath("jobqueue.yaml").read_text()
    shipped: dict[str, Any] = yaml.safe_load(text)["jobqueue"]
    return shipped


def _defaults(kind: str) -> dict[str, Any]:
    return _shipped()[kind]  # type: ignore[no-any-return]


_importing = threading.Lock()


def dask_jobqueue() -> Any:
    """Return the package; importing it neither changes what Ctrl-C does nor writes to the user's home."""
    with _importing:
        import distributed  # noqa: F401 - first, for its own defaults are wanted

        with _harmless():
            import dask_jobqueue as module
    return module


@contextmanager
def _harmless() -> Iterator[None]:
    """Take back what importing dask-jobqueue does besides."""
    ensure_file, set_handler = dask.config.ensure_file, signal.signal
    add_defaults = dask.config.update_defaults
    dask.config.ensure_file = lambda *args, **kwargs: None
    dask.config.update_defaults = lambda *args, **kwargs: None  # they would look like the user's settings
    signal.signal = lambda *args, **kwargs: None
    try:
        yield
    finally:
        dask.config.ensure_file, signal.signal = ensure_file, set_handler
        dask.config.update_defaults = add_defaults

"""The sections of an experiment file as frozen dataclasses; each field carries its rule."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from simherd.clusters import is_given
from simherd.errors import ClusterOptionError
from simherd.experiment.rules import (
    Node,
    Rule,
    anything,
    boolean,
    boolean_or,
    choice,
    file_path,
    integer,
    list_of,
    mapping,
    mapping_of,
    number,
    optional,
    rule,
    text,
    word_or,
)
from simherd.resources import parse_bytes, parse_walltime

if TYPE_CHECKING:
    from simherd.setup.parameters import Parameter

__all__ = [
    "OPTION_RULES",
    "TABLE_SUFFIXES",
    "BatchSpec",
    "CallInput",
    "ClockSpec",
    "ClusterSpec",
    "FileInput",
    "RunSpec",
    "ValueInput",
    "is_class",
]

TABLE_SUFFIXES = (".csv", ".nc", ".zarr")


def _number_or_text(node: Node) -> Any:
    return text(node) if isinstance(node.value, str) else number()(node)


def _text_or_texts(node: Node) -> Any:
    return list_of(text)(node) if isinstance(node.value, list) else text(node)


def _sampling(node: Node) -> str:
    if isinstance(node.value, str) and PurePath(node.value).suffix in TABLE_SUFFIXES:
        return file_path(node)
    from simherd.setup.samplers import METHODS

    fix = f"name a method, or a table: a path ending in {', '.join(TABLE_SUFFIXES)}."
    return str(choice(*METHODS, fix=fix)(node))


def _memory(node: Node) -> str:
    value = text(node)
    try:
        parse_bytes(value)
    except ClusterOptionError as error:
        raise node.fault(error.message, fix=error.fix) from error
    return value


def _walltime(node: Node) -> str:
    try:
        parse_walltime(node.value)
    except ClusterOptionError as error:
        raise node.fault(error.message, fix=error.fix) from error
    return text(node)


OPTION_RULES: dict[str, Rule] = {
    "jobs": optional(integer(minimum=1)),
    "workers": optional(integer(minimum=1)),
    "threads_per_worker": optional(integer(minimum=1)),
    "guard_threads": integer(minimum=1),
    "cores": integer(minimum=1),
    "processes": integer(minimum=0),
    "memory": _memory,
    "walltime": _walltime,
    "interface": text,
    "local_directory": text,
    "log_directory": text,
    "death_timeout": _number_or_text,
    "dashboard_address": optional(text),
    "security": anything,
    "worker_memory": mapping,
    "name": text,
    "prologue": _text_or_texts,
    "adapt": list_of(integer(minimum=0), length=2),
    "partition": text,
    "queue": text,
    "account": text,
    "project": text,
    "parallel_environment": text,
    "resource_spec": text,
    "directives": _text_or_texts,
}
"""The options of all clusters that `simherd.open_client` takes, and what each must be."""
SIZES = ("jobs", "workers", "threads_per_worker")
"""Those for which null only takes back what stands elsewhere."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClockSpec:
    """A clock: evenly spaced from start to stop, listed values, or every N-th of the main clock."""

    start: float | None = field(default=None, metadata=rule(number()))
    """First value, in `units`."""
    stop: float | None = field(default=None, metadata=rule(number()))
    """Last value, in `units`."""
    num: int | None = field(default=None, metadata=rule(integer(minimum=2)))
    """Values from start to stop, both included."""
    step: float | None = field(default=None, metadata=rule(number(above=0)))
    """Difference of two values, in `units`."""
    values: tuple[float, ...] | None = field(default=None, metadata=rule(list_of(number())))
    """All values, increasing, in `units`."""
    every: int | None = field(default=None, metadata=rule(integer(minimum=1)))
    """Steps of the main clock between two values."""
    units: str | None = field(default=None, metadata=rule(text))
    """Unit, such as ``"years"`` or ``"days since 2000-01-01"``."""
    calendar: str | None = field(default=None, metadata=rule(text))
    """Calendar of a unit with a date, as CF names it."""

    @property
    def is_independent(self) -> bool:
        """Whether its values need no other clock."""
        return self.every is None


@dataclass(frozen=True, kw_only=True, slots=True)
class ValueInput:
    """An input whose value stands in the experiment file."""

    value: Any = field(metadata=rule(anything))
    """Scalar, nested lists or any other plain data, in the unit of the variable."""
    dims: tuple[str, ...] | None = field(default=None, metadata=rule(list_of(text)))
    """Names of the dimensions; None: those that the variable declares."""
    attrs: dict[str, Any] | None = field(default=None, metadata=rule(mapping))
    """Attributes, such as units."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FileInput:
    """An input that is read from a file of arrays."""

    file: str = field(metadata=rule(file_path))
    """Absolute path of a .nc, .zarr, .npy, .npz or .csv file."""
    variable: str | None = field(default=None, metadata=rule(text))
    """Variable or column; None if the file holds only one."""
    dims: tuple[str, ...] | None = field(default=None, metadata=rule(list_of(text)))
    """Names of the dimensions; None: those of the file, or that the variable declares."""
    attrs: dict[str, Any] | None = field(default=None, metadata=rule(mapping))
    """Attributes, such as units."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CallInput:
    """An input that a function returns."""

    call: str = field(metadata=rule(text))
    """``module:function`` or ``path/to/file.py:function``."""
    arguments: dict[str, Any] = field(default_factory=dict, metadata=rule(mapping))
    """Keyword arguments of the function."""
    variable: str | None = field(default=None, metadata=rule(text))
    """Variable of the Dataset that it returns; None if it returns one array."""
    dims: tuple[str, ...] | None = field(default=None, metadata=rule(list_of(text)))
    """Names of the dimensions; None: those of the result, or that the variable declares."""
    attrs: dict[str, Any] | None = field(default=None, metadata=rule(mapping))
    """Attributes, such as units."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchSpec:
    """Many simulations along one dimension."""

    dim: str = field(default="member", metadata=rule(text))
    """Name of the batch dimension."""
    sampling: str = field(metadata=rule(_sampling))
    """Name of the method, or absolute path of a table."""
    size: int | None = field(default=None, metadata=rule(optional(integer(minimum=1))))
    """Simulations. Grid, zip and tables have a size of their own: None for all, or a part, spread evenly."""
    seed: int | None = field(default=None, metadata=rule(optional(integer(minimum=0))))
    """Seed of the sampling."""
    parameters: dict[str, Parameter] = field(default_factory=dict, metadata=rule(mapping))
    """What differs between the simulations, by input variable; empty for a table."""
    columns: dict[str, str] | None = None
    """Column of the table by input variable; None: each column is named after its variable."""

    @property
    def table(self) -> str | None:
        """Path of the table that holds the parameter values, if there is one."""
        is_table = PurePath(self.sampling).suffix in TABLE_SUFFIXES
        return self.sampling if is_table else None

    @property
    def needs_seed(self) -> bool:
        """Whether each start of the run draws other values, so that none can go on with another's."""
        return self.seed is None and self.table is None and self.sampling not in ("grid", "zip")


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSpec:
    """How the simulations run."""

    store: str | None = field(default=None, metadata=rule(optional(file_path)))
    """Absolute path or address of the output store."""
    on_error: str = field(default="record", metadata=rule(choice("raise", "record")))
    """What a failed simulation does to the others."""
    vectorize: bool | float = field(default=False, metadata=rule(boolean_or(number(above=0))))
    """Whether a block is advanced as arrays with a leading batch axis; a number is the relative difference
    to simulations on their own that is allowed."""
    block_size: int | str = field(default="auto", metadata=rule(word_or("auto", integer(minimum=1))))
    """Simulations per task, or ``"auto"``."""
    retries: int = field(default=0, metadata=rule(integer(minimum=0)))
    """Further attempts at a simulation that failed."""
    seed: int | None = field(default=None, metadata=rule(optional(integer(minimum=0))))
    """Seed of the random numbers of the simulations."""
    parallel: bool | str = field(default=True, metadata=rule(word_or("both", boolean)))
    """Whether simulations run at once; ``"both"``: the processes of each model too."""
    scheduler: str | None = field(default=None, metadata=rule(optional(text)))
    """Where tasks run without a cluster, such as ``"threads"``."""
    check_dims: str | None = field(default="strict", metadata=rule(optional(choice("strict", "transpose"))))
    """How the dimensions of inputs are held against the declared ones."""
    validate: str | None = field(default="inputs", metadata=rule(optional(choice("inputs", "all"))))
    """Which values are validated."""
    encoding: dict[str, dict[str, Any]] = field(default_factory=dict, metadata=rule(mapping_of(mapping)))
    """Zarr encoding by variable."""
    timeout_s: float | None = field(default=None, metadata=rule(optional(number(above=0))))
    """Longest time of one simulation of a batch, in s."""
    checkpoint_every: int | None = field(default=None, metadata=rule(optional(integer(minimum=1))))
    """Steps from one checkpoint of a simulation to the next; None keeps none."""
    accept_changed_model: bool = field(default=False, metadata=rule(boolean))
    """Whether a store is gone on with although the model has changed."""
    grace_s: float = field(default=30.0, metadata=rule(number(above=0)))
    """Time that blocks have to finish after a signal, in s."""
    memory_limit: str = field(default="256 MiB", metadata=rule(_memory))
    """Memory that the outputs of a single simulation may take before they are written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterSpec:
    """Where the simulations run."""

    kind: str = "local"
    """Kind of cluster, or an address, ``session:NAME`` or scheduler file."""
    workers: int | None = None
    """Worker processes."""
    threads_per_worker: int | None = None
    """Threads of each worker."""
    memory: str | None = None
    """Memory with its unit, such as ``"16 GiB"``."""
    options: dict[str, Any] = field(default_factory=dict)
    """The other options that stand at the top of the section, by name."""
    sections: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Options of one kind only, by kind."""

    def options_for(self, kind: str) -> dict[str, Any]:
        """Return all options of a kind of cluster; its own section comes last.

        Parameters
        ----------
        kind : str
            As the experiment or the command line names it.

        Returns
        -------
        dict of str to object
            Keyword arguments for `simherd.open_client`; what is not given is left out.
        """
        named = {
            "workers": self.workers,
            "threads_per_worker": self.threads_per_worker,
            "memory": self.memory,
        }
        given = {key: value for key, value in named.items() if value is not None}
        options = {**given, **self.options, **self.sections.get(kind, {})}
        return {name: value for name, value in options.items() if value is not None or name not in SIZES}


def is_class(kind: object) -> bool:
    """Return whether a kind of cluster is the path of a class, such as ``"distributed.LocalCluster"``."""
    return isinstance(kind, str) and is_given(kind) and ":" not in kind and not kind.endswith(".json")

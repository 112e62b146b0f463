"""Check the plain data of an experiment file and turn it into an `Experiment`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from simherd.errors import ExperimentError, close_matches
from simherd.executors.choose import runs_serially
from simherd.experiment.document import Document
from simherd.experiment.rules import (
    Node,
    Rule,
    build,
    mapping_of,
    optional,
    resolve_path,
    rule,
    text,
    variable_name,
)
from simherd.experiment.sections import batch_rule, clock_rule, cluster_rule, input_rule
from simherd.experiment.specs import (
    BatchSpec,
    CallInput,
    ClockSpec,
    ClusterSpec,
    FileInput,
    RunSpec,
    ValueInput,
)

__all__ = [
    "BatchSpec",
    "CallInput",
    "ClockSpec",
    "ClusterSpec",
    "Experiment",
    "FileInput",
    "RunSpec",
    "ValueInput",
    "check",
]


def _or_default(check: Rule, default: Callable[[], Any]) -> Rule:
    """Take an empty section, such as one with all its lines commented out, for an absent one."""
    return lambda node: default() if node.value is None else check(node)


@dataclass(frozen=True, kw_only=True, slots=True)
class Experiment:
    """A checked experiment: all of the file that can be judged without its model."""

    path: Path
    """The file, as the user named it."""
    document: Document = field(repr=False, compare=False)
    """What was read, to say where a later fault stands."""
    model: str = field(metadata=rule(text))
    """``module:attribute`` or ``path/to/file.py:attribute``."""
    clocks: dict[str, ClockSpec] = field(
        default_factory=dict, metadata=rule(_or_default(mapping_of(clock_rule), dict))
    )
    """Clocks by name."""
    main_clock: str | None = field(default=None, metadata=rule(optional(text)))
    """Name of the main clock; None if there is no clock."""
    inputs: dict[str, Any] = field(
        default_factory=dict,
        metadata=rule(_or_default(mapping_of(input_rule, name=variable_name), dict)),
    )
    """Scalars, lists, `ValueInput`, `FileInput` or `CallInput` by variable."""
    outputs: dict[str, str | None] = field(
        default_factory=dict,
        metadata=rule(_or_default(mapping_of(optional(text), name=variable_name), dict)),
    )
    """Clock of each output variable; None: saved at the end."""
    batch: BatchSpec | None = field(default=None, metadata=rule(optional(batch_rule)))
    """The batch; None for one simulation."""
    run: RunSpec = field(
        default_factory=RunSpec,
        metadata=rule(_or_default(lambda node: build(RunSpec, node), RunSpec)),
    )
    """How the simulations run."""
    cluster: ClusterSpec = field(
        default_factory=ClusterSpec, metadata=rule(_or_default(cluster_rule, ClusterSpec))
    )
    """Where they run."""

    def fault(self, *keys: str | int, message: str, fix: str = "") -> ExperimentError:
        """Return an error that names the place of a key in the file."""
        return Node(self.document, keys, None).fault(message, fix=fix)


def check(document: Document) -> Experiment:
    """Turn the data of an experiment file into an experiment.

    Parameters
    ----------
    document : Document
        As read by `read_document`, with overrides.

    Returns
    -------
    Experiment
        Its paths are absolute.

    Raises
    ------
    ExperimentError
        On the first fault: where it stands, what was found and what is allowed.
    """
    root = Node(document, (), document.data)
    if document.data is None:
        raise root.fault("the file is empty.", fix="'simherd new experiment' writes a first one.")
    experiment = build(Experiment, root, path=document.path, document=document)
    experiment = replace(experiment, model=_model_path(experiment), main_clock=_main_clock(experiment))
    for fits in _FITS:
        fits(experiment)
    return experiment


def _model_path(experiment: Experiment) -> str:
    source, colon, attribute = experiment.model.rpartition(":")
    if not source.endswith(".py"):
        return experiment.model
    return resolve_path(experiment.document, source) + colon + attribute


def _main_clock(experiment: Experiment) -> str | None:
    if experiment.main_clock is not None:
        return experiment.main_clock
    names = [name for name, clock in experiment.clocks.items() if clock.is_independent]
    if len(names) > 1:
        raise experiment.fault(
            "main_clock",
            message=f"is missing, and there are {len(names)} clocks with values of their own: "
            f"{_listed(names)}.",
            fix=f"add 'main_clock: {names[0]}', or give the coarser ones as 'every: N'.",
        )
    if experiment.clocks and not names:
        raise experiment.fault(
            "clocks",
            message="all clocks are 'every: N' of a main clock, which is missing.",
            fix="add a clock with start, stop and num, or with values.",
        )
    return names[0] if names else None


def _main_clock_fits(experiment: Experiment) -> None:
    name = experiment.main_clock
    if name is None:
        return
    if name not in experiment.clocks:
        raise experiment.fault("main_clock", message=_no_clock(name, experiment.clocks))
    if not experiment.clocks[name].is_independent:
        raise experiment.fault(
            "main_clock",
            message=f"clock '{name}' is 'every: N' of the main clock and cannot be it.",
            fix="name a clock with start, stop and num, or with values.",
        )


def _outputs_fit(experiment: Experiment) -> None:
    for name, clock in experiment.outputs.items():
        if clock is not None and clock not in experiment.clocks:
            raise experiment.fault("outputs", name, message=_no_clock(clock, experiment.clocks))


def _batch_fits(experiment: Experiment) -> None:
    if experiment.batch is None:
        return
    dim = experiment.batch.dim
    taken = {"a clock": experiment.clocks, "an input": experiment.inputs, "an output": experiment.outputs}
    for what in (kind for kind, names in taken.items() if dim in names):
        raise experiment.fault(
            "batch",
            "dim",
            message=f"'{dim}' is the name of {what}.",
            fix="give the batch dimension a name of its own.",
        )


def _scheduler_fits(experiment: Experiment) -> None:
    scheduler = experiment.run.scheduler
    if scheduler is not None and not experiment.run.parallel and not runs_serially(scheduler):
        raise experiment.fault(
            "run",
            "scheduler",
            message=f"{scheduler!r} runs simulations at once, but 'parallel' is false.",
            fix="leave out one of them.",
        )


_FITS: Sequence[Callable[[Experiment], None]] = (
    _main_clock_fits,
    _outputs_fit,
    _batch_fits,
    _scheduler_fits,
)


def _no_clock(name: str, clocks: Iterable[str]) -> str:
    return f"there is no clock '{name}'. {close_matches(name, clocks)}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))

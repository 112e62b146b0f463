"""From a checked experiment to the call that runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simherd.errors import ExperimentError, SetupError
from simherd.experiment.inputs import load_batch, load_inputs
from simherd.experiment.loading import load_model
from simherd.experiment.schema import ClockSpec, Experiment
from simherd.resources import format_bytes, usable_memory

if TYPE_CHECKING:
    import xarray as xr

    from simherd.api.prepare import Prepared
    from simherd.model.model import Model

__all__ = ["Assembled", "assemble"]

AVAILABLE = {"parallel": (True, False)}
"""What fields of ``run:`` may be in this version."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Assembled:
    """An experiment with its model and data, checked against each other."""

    experiment: Experiment
    """The file."""
    model: Model
    """Its model."""
    dataset: xr.Dataset
    """The setup."""
    prepared: Prepared
    """All that was decided before anything runs."""

    @property
    def is_parallel(self) -> bool:
        """Whether it is a batch whose simulations run at once."""
        return self.experiment.batch is not None and bool(self.experiment.run.parallel)

    @property
    def runs_on_cluster(self) -> bool:
        """Whether they run on the cluster of the experiment, and not on threads or processes of this one."""
        return self.is_parallel and self.experiment.run.scheduler is None

    @property
    def options(self) -> dict[str, Any]:
        """Arguments of `simherd.run`, but for where it runs."""
        spec, batch = self.experiment.run, self.experiment.batch
        return {
            "model": self.model,
            "batch_dim": None if batch is None else batch.dim,
            "store": spec.store,
            "encoding": spec.encoding,
            "check_dims": spec.check_dims,
            "validate": spec.validate,
            "block_size": spec.block_size,
            "vectorize": spec.vectorize,
            "on_error": spec.on_error,
            "retries": spec.retries,
            "timeout_s": spec.timeout_s,
            "seed": spec.seed,
            "checkpoint_every": spec.checkpoint_every,
            "accept_changed_model": spec.accept_changed_model,
            "grace_s": spec.grace_s,
            "memory_limit": spec.memory_limit,
        }


def assemble(experiment: Experiment) -> Assembled:
    """Load model and data of an experiment and check that they fit.

    Raises
    ------
    ExperimentError
        Naming the place in the file, if they do not.
    """
    from simherd.api.prepare import prepare

    _check_available(experiment)
    with _placed(experiment, "model"):
        model = load_model(experiment.model, Path(experiment.path).parent)
    dataset = _setup(experiment, model)
    batch = experiment.batch
    with _placed(experiment, "run"):
        prepared = prepare(
            dataset,
            model,
            batch_dim=None if batch is None else batch.dim,
            encoding=experiment.run.encoding,
            block_size=experiment.run.block_size,
            vectorize=experiment.run.vectorize,
            check_dims=experiment.run.check_dims,
            validate=experiment.run.validate,
            seed=experiment.run.seed,
        )
        prepared.check_attributes()
    return Assembled(experiment=experiment, model=model, dataset=dataset, prepared=prepared)


def _check_available(experiment: Experiment) -> None:
    for name, available in AVAILABLE.items():
        value = getattr(experiment.run, name)
        if value not in available:
            raise experiment.fault(
                "run", name, message=f"{value!r} is not available in this version.", fix="leave it out."
            )


@contextmanager
def _placed(experiment: Experiment, *keys: str | int) -> Iterator[None]:
    """Say where in the file a fault of the setup stands."""
    try:
        yield
    except (SetupError, ExperimentError) as error:
        raise experiment.fault(*keys, message=error.message, fix=error.fix) from error


def _setup(experiment: Experiment, model: Model) -> xr.Dataset:
    from simherd.reserved import check_name
    from simherd.setup.dataset import create_setup, update_vars

    with _placed(experiment, "clocks"):
        clocks = _clock_labels(experiment) or None
        outputs: dict[str, Any] | None = {} if experiment.outputs else None
        dataset = create_setup(model, clocks, experiment.main_clock, output_vars=outputs)
    for name, value in _input_values(experiment).items():
        section = ("inputs",) if name in experiment.inputs else ("batch", "parameters")
        with _placed(experiment, *section, name):
            dataset = update_vars(dataset, model, input_vars={name: value})
    for name, clock in experiment.outputs.items():
        with _placed(experiment, "outputs", name):
            dataset = update_vars(dataset, model, output_vars={name: clock})
    if experiment.batch is not None:
        dim = experiment.batch.dim
        with _placed(experiment, "batch", "dim"):
            check_name("Batch dimension", dim)
        if dim not in dataset.coords:
            members = (dim, np.arange(dataset.sizes.get(dim, 0)), {"description": "simulation of the batch"})
            dataset = dataset.assign_coords({dim: members})
    return dataset


def _input_values(experiment: Experiment) -> dict[str, Any]:
    """Return the values of all inputs; where a parameter of the batch has the same name, it wins."""
    values = load_inputs(experiment)
    if experiment.batch is not None:
        dim = experiment.batch.dim
        values |= {
            name: sampled if hasattr(sampled, "dims") else (dim, sampled)
            for name, sampled in load_batch(experiment).items()
        }
    return values


def _clock_labels(experiment: Experiment) -> dict[str, Any]:
    """Return the clocks as `create_setup` takes them."""
    labels: dict[str, Any] = {}
    main = experiment.main_clock
    if main is None:
        return labels
    main_labels = _labels(experiment.clocks[main])
    for name, clock in experiment.clocks.items():
        values = main_labels if name == main else _labels(clock, main_labels)
        labels[name] = ((name,), values, _clock_attrs(clock, experiment.clocks[main]))
    return labels


_FORMS: Mapping[str, Callable[[ClockSpec, Any], Any]] = {
    "values": lambda clock, _: np.asarray(clock.values),
    "every": lambda clock, main: main[:: clock.every],
    "num": lambda clock, _: np.linspace(clock.start, clock.stop, clock.num),  # type: ignore[arg-type]
    "step": lambda clock, _: _stepped(clock),
}


def _labels(clock: ClockSpec, main: Any = None) -> Any:
    count = clock.num if clock.step is None else _steps(clock) + 1
    if count is not None and 8 * count > (memory := usable_memory()):
        raise SetupError(
            f"{count} labels of a clock take {format_bytes(8 * count)}; {format_bytes(memory)} can be used.",
            fix="correct 'num' or 'step'.",
        )
    form = next(name for name in _FORMS if getattr(clock, name) is not None)
    return _FORMS[form](clock, main)


def _stepped(clock: ClockSpec) -> Any:
    """Return start, start + step, ... up to stop, with stop where it falls on a step."""
    assert clock.start is not None
    assert clock.step is not None
    return clock.start + clock.step * np.arange(_steps(clock) + 1)


def _steps(clock: ClockSpec) -> int:
    assert clock.start is not None
    assert clock.stop is not None
    assert clock.step is not None
    return int(np.floor((clock.stop - clock.start) / clock.step * (1 + 1e-12) + 1e-9))


def _clock_attrs(clock: ClockSpec, main: ClockSpec) -> dict[str, str]:
    found = {"units": clock.units or main.units, "calendar": clock.calendar or main.calendar}
    return {name: value for name, value in found.items() if value is not None}

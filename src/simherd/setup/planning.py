"""From a checked setup to a plan for the engine: plain arrays in place of labelled ones."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from simherd.engine.plan import Array, Plan, Tap, uses_random_numbers
from simherd.engine.simulate import check_static
from simherd.errors import MissingInputError, SetupError, UnknownNameError, close_matches
from simherd.model.dims import MAIN_CLOCK
from simherd.model.graph import Graph, Key, Variable, join_name
from simherd.model.hooks import gather_hooks
from simherd.model.model import Model
from simherd.model.names import INPUT_SUFFIX, as_key
from simherd.model.randomness import fresh_seed
from simherd.model.variables import VarIntent
from simherd.reserved import MODEL, NUMBER, SECONDS, STATUS, check_name
from simherd.resources import is_count
from simherd.setup.clocks import clock_names, main_clock, positions_on, without_marks
from simherd.setup.dataset import output_clocks
from simherd.setup.labels import OWNERS
from simherd.setup.lazy import labelled_rows, stays_lazy, with_chunks
from simherd.setup.objects import decode_objects
from simherd.setup.units import in_units_of

__all__ = ["Setup", "make_setup"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Setup:
    """A dataset turned into a plan and the inputs of each simulation."""

    dataset: xr.Dataset
    """The setup as the user gave it."""
    plan: Plan
    """What the simulations have in common."""
    batch_dim: str | None
    """Dimension along which simulations differ."""
    batch_inputs: Mapping[Key, Any]
    """Inputs that differ, simulations along the first axis: arrays in memory, or of Dask where they are
    large; large ones that keep their labels as DataArrays."""

    @property
    def simulations(self) -> int:
        """Number of simulations."""
        return max(self.plan.batch_size, 1)


def make_setup(
    dataset: xr.Dataset,
    model: Model,
    *,
    batch_dim: str | None = None,
    check_dims: str | None = "strict",
    validate: str | None = "inputs",
    hooks: Iterable[Any] | None = None,
    encoding: Mapping[str, Mapping[str, Any]] | None = None,
    seed: int | None = None,
    checkpoint_every: int | None = None,
) -> Setup:
    """Check a dataset against a model and make a plan of it.

    Parameters
    ----------
    dataset : Dataset
        The setup.
    model : Model
        The model.
    batch_dim : str, optional
        Dimension of the inputs along which simulations differ.
    check_dims : {"strict", "transpose", None}, optional
        Inputs have their dimensions in the declared order; or are transposed; or go unchecked.
    validate : {"inputs", "all", None}, optional
        When validators are called.
    hooks : iterable, optional
        Hooks of this run.
    encoding : mapping, optional
        How outputs are stored, by name.
    seed : int, optional
        Seed of the random numbers; a fresh one by default, if a process asks for any.
    checkpoint_every : int, optional
        Steps from one checkpoint of a simulation to the next; none by default.

    Raises
    ------
    SetupError
        If they do not fit.
    """
    _check_choice("check_dims", check_dims, ("strict", "transpose", None))
    _check_choice("validate", validate, ("inputs", "all", None))
    _check_coordinates(model.graph, dataset)
    dataset = decode_objects(_with_original_inputs(dataset, model.graph))
    dataset = _in_declared_units(_without_stray_marks(dataset, model.graph), model.graph)
    clock = main_clock(dataset)
    _check_names(model.graph, dataset)
    _check_indexes(model.graph, dataset)
    if batch_dim is not None:
        _check_batch_dim(dataset, batch_dim)
        dataset = with_chunks(dataset, batch_dim)
    shared: dict[Key, Any] = {}
    batched: dict[Key, Any] = {}
    varying: set[Key] = set()
    for key in _present_inputs(dataset, model.graph):
        declared, given = model.graph.variables[key], dataset[join_name(key)]
        ordered = _order_dims(declared, given.variable, batch_dim, clock, check_dims)
        is_labelled = declared.keeps_labels and not {*ordered.dims} <= {batch_dim, clock}
        if clock in ordered.dims:
            varying.add(key)
        if batch_dim in ordered.dims:
            batched[key] = _rows(ordered, given if is_labelled else None)
        else:
            shared[key] = given.transpose(*ordered.dims).compute() if is_labelled else _plain(ordered)
    plan = Plan(
        model=model,
        clock=clock,
        labels=dataset[clock].values if clock is not None else np.empty(0),
        labelled_clock=dataset[clock] if _wants_labelled_clock(model.graph) else None,
        shared=shared,
        batched=tuple(batched),
        varying=frozenset(varying),
        taps=_taps(dataset, model.graph, clock, encoding or {}),
        indexes=tuple(model.graph.indexes),
        batch_size=-1 if batch_dim is None else dataset.sizes[batch_dim],
        validate=validate,
        hooks=gather_hooks(hooks),
        seed=_seed(model, seed),
        checkpoint_every=checkpoint_every,
    )
    check_static(plan)
    return Setup(dataset=dataset, plan=plan, batch_dim=batch_dim, batch_inputs=batched)


def _seed(model: Model, given: int | None) -> int | None:
    if given is not None and not is_count(given, 0):
        raise SetupError(f"seed={given!r} is not allowed: a whole number, 0 or more, is needed.")
    if not uses_random_numbers(model):
        return None
    return fresh_seed() if given is None else given


def _with_original_inputs(dataset: xr.Dataset, graph: Graph) -> xr.Dataset:
    """Return a setup that was a result with its inputs in place of the outputs of the same name."""
    of_results = {STATUS, SECONDS, MODEL}.intersection(dataset.data_vars) | {NUMBER}.intersection(
        dataset.coords
    )
    dataset = dataset.drop_vars(of_results)
    for name in map(join_name, graph.inputs):
        if name + INPUT_SUFFIX in dataset.variables:
            dataset = dataset.drop_vars(name, errors="ignore").rename({name + INPUT_SUFFIX: name})
    return dataset


def _without_stray_marks(dataset: xr.Dataset, graph: Graph) -> xr.Dataset:
    """Return a setup in which nothing but clocks has their marks: inputs computed from one carry them on."""
    dataset = dataset.copy()
    clocks = {*clock_names(dataset)} - {*map(join_name, graph.inputs)}
    for variable in (v for name, v in dataset.variables.items() if name not in clocks):
        variable.attrs = without_marks(variable.attrs)
    return dataset


def _in_declared_units(dataset: xr.Dataset, graph: Graph) -> xr.Dataset:
    """Return a setup with inputs in the units of their variables, also those put into it by hand."""
    converted = {}
    for name, variable in ((join_name(key), graph.variables[key]) for key in graph.inputs):
        if name in dataset.variables:
            given = dataset.variables[name]
            converted[name] = in_units_of(variable.attrs.get("units"), name, given)
    changed = {name: made for name, made in converted.items() if made is not dataset.variables[name]}
    return dataset.assign(changed) if changed else dataset


def _check_choice(name: str, value: Any, allowed: tuple[Any, ...]) -> None:
    if value not in allowed:
        raise SetupError(f"{name}={value!r} is not allowed: one of {', '.join(map(repr, allowed))}.")


def _check_batch_dim(dataset: xr.Dataset, batch_dim: Any) -> None:
    """Raise an error if simulations cannot differ along a dimension."""
    if isinstance(batch_dim, list | tuple):
        raise SetupError(
            f"batch_dim={batch_dim!r} is not allowed: a batch has one dimension.",
            fix=f"stack them into one: setup.stack(member={list(batch_dim)!r}), run with batch_dim='member', "
            "and take the result apart with .unstack('member').",
        )
    if not isinstance(batch_dim, str):
        found = type(batch_dim).__name__
        raise SetupError(f"batch_dim must be the name of a dimension, got {found}.", fix="name it.")
    if batch_dim not in dataset.sizes:
        raise UnknownNameError(
            f"Batch dimension {batch_dim!r} is not a dimension of the inputs. "
            f"{close_matches(batch_dim, map(str, dataset.sizes))}"
        )
    if batch_dim in clock_names(dataset):
        raise SetupError(
            f"batch_dim={batch_dim!r} is a clock: simulations differ along another dimension.",
            fix="give an input a dimension of its own, such as 'member'.",
        )
    if dataset.sizes[batch_dim] == 0:
        raise SetupError(f"The batch along {batch_dim!r} is empty: it needs at least one simulation.")


def _check_names(graph: Graph, dataset: xr.Dataset) -> None:
    """Raise an error if something of a result has a name that a store uses itself, or cannot hold."""
    named: dict[str, Iterable[Any]] = {
        "Coordinate": dataset.coords,
        "Variable": dataset.data_vars,
        "Dimension": dataset.sizes,
        "Output": output_clocks(dataset),
        "Index variable": [name for _, name in graph.indexes],
    }
    for what, names in named.items():
        for name in names:
            check_name(what, name)


def _check_coordinates(graph: Graph, dataset: xr.Dataset) -> None:
    """Raise an error if an output, or an input of a result, would replace a coordinate."""
    inputs = {*map(join_name, graph.inputs)}
    replaced = {name: f"output {name!r}" for name in output_clocks(dataset) if name not in inputs}
    replaced |= {
        name + INPUT_SUFFIX: f"the name that input {name!r} has in a result"
        for name in inputs.intersection(dataset.data_vars)
    }
    for label in sorted(replaced.keys() & {*map(str, dataset.coords)}):
        owners = ", ".join(dataset.coords[label].variable.encoding.get(OWNERS, ()))
        raise SetupError(
            f"Coordinate {label!r}{owners and f' of input {owners}'} would be replaced by {replaced[label]}.",
            fix=f"drop the coordinate with .drop_vars({label!r}), or rename it.",
        )


def _check_indexes(graph: Graph, dataset: xr.Dataset) -> None:
    """Raise an error if two index variables, or one and a clock, would be one coordinate."""
    owners = {name: f"clock {name}" for name in clock_names(dataset)}
    for key in graph.indexes:
        if key[1] in owners:
            raise SetupError(
                f"{owners[key[1]]} and {join_name(key)} would both be coordinate {key[1]!r} of the result.",
                fix="rename one of them: index variables are saved by their names alone.",
            )
        owners[key[1]] = join_name(key)


def _present_inputs(dataset: xr.Dataset, graph: Graph) -> tuple[Key, ...]:
    missing = [join_name(key) for key in graph.inputs if join_name(key) not in dataset.variables]
    if missing:
        raise MissingInputError(
            f"Missing value(s) for model input(s): {', '.join(missing)}.",
            fix="give them in input_vars (inputs: in an experiment file).",
        )
    return graph.inputs


def _order_dims(
    declared: Variable,
    variable: xr.Variable,
    batch_dim: str | None,
    clock: str | None,
    check_dims: str | None,
) -> xr.Variable:
    """Return the values of an input with batch and clock first, checked against the declaration."""
    front = tuple(d for d in (batch_dim, clock) if d is not None and d in variable.dims)
    rest = tuple(d for d in variable.dims if d not in front)
    if check_dims is None:
        return variable.transpose(*front, *rest)
    for dims in declared.dims:
        if variable.dims == (*front, *dims):
            return variable
        if check_dims == "transpose" and set(rest) == set(dims):
            return variable.transpose(*front, *dims)
    for dim, what in ((batch_dim, "the batch dimension"), (clock, "the main clock")):
        if any(dim in dims and {*dims} <= {*variable.dims} for dims in declared.dims):
            raise SetupError(
                f"Input {join_name(declared.key)} is declared along {dim!r}, which is {what} of this run: "
                f"the process gets one value at a time along it, not the whole dimension.",
                fix="leave it out of dims=, or give one of the two another name.",
            )
    raise SetupError(
        f"Input {join_name(declared.key)} has dimensions {variable.dims}; allowed are "
        f"{' or '.join(map(str, declared.dims))}, with the batch dimension and the clock first.",
        fix=_dims_fix(declared, rest, batch_dim),
    )


def _dims_fix(declared: Variable, own: tuple[Hashable, ...], batch_dim: str | None) -> str:
    """Return what to do about an input with dimensions that its variable does not declare.

    `own` are its dimensions without those of the batch and the clock.
    """
    strangers = [d for d in own if not any(d in dims for dims in declared.dims)]
    if not strangers:
        return "transpose it, or say check_dims='transpose'."
    if batch_dim is not None:
        return f"declare {strangers[0]!r} in dims=; simulations differ along {batch_dim!r} alone."
    if len(strangers) > 1:
        return f"stack them, setup.stack(member={strangers}), and give batch_dim='member'."
    return (
        f"give batch_dim={strangers[0]!r} for one simulation for each value (in an experiment file, "
        f"'batch: {{dim: {strangers[0]}, ...}}'); or declare it in dims=."
    )


def _rows(ordered: xr.Variable, labelled: xr.DataArray | None) -> Any:
    """Return an input with simulations along the first axis, loaded unless it is large."""
    is_lazy = stays_lazy(ordered)
    if labelled is None:
        return ordered.data if is_lazy else _fixed(ordered.values)
    labelled = labelled.transpose(*ordered.dims)
    return labelled if is_lazy else labelled_rows(labelled)


def _plain(variable: xr.Variable) -> Any:
    """Return a value as processes get it: Python scalars, dates as NumPy scalars, arrays."""
    if variable.ndim:
        return _fixed(variable.compute().data)
    value = variable.values
    return value[()] if value.dtype.kind in "mM" else value.item()


def _fixed(values: Array) -> Array:
    """Return texts of a store, which have any length there, as NumPy's usual ones."""
    return values.astype(object).astype("U") if values.dtype.kind == "T" else values


def _check_clock_dim(variable: Variable, clock: str | None, saved_on: str | None) -> None:
    """Raise an error if an output along the main clock has no clock, or would have it twice."""
    along = [dims for dims in variable.dims if MAIN_CLOCK in dims]
    if along and clock is None:
        raise SetupError(f"Output {join_name(variable.key)} is along the main clock, and there is none.")
    for dims in along:
        all_dims = [saved_on, *(clock if d == MAIN_CLOCK else d for d in dims)]
        if len(set(all_dims)) < len(all_dims):
            raise SetupError(
                f"Output {join_name(variable.key)} would have dimension {clock!r} twice.",
                fix="save it at the end (None), where it is along the main clock itself.",
            )


def _wants_labelled_clock(graph: Graph) -> bool:
    """Return whether a process asks for the main clock as a DataArray; workers load xarray then."""
    asked = (args for info in graph.infos.values() for args in info.stages.values())
    return any("main_clock_dataarray" in args for args in asked)


def _taps(
    dataset: xr.Dataset,
    graph: Graph,
    clock: str | None,
    encoding: Mapping[str, Mapping[str, Any]],
) -> tuple[Tap, ...]:
    labels = dataset[clock].values if clock is not None else ()
    known = _known_sizes(dataset, graph)
    taps = []
    for name, saved_on in output_clocks(dataset).items():
        variable = graph.variables[as_key(name, graph)]
        steps = () if saved_on is None else positions_on(labels, dataset[saved_on], saved_on, str(clock))
        _check_clock_dim(variable, clock, saved_on)
        stored = {**variable.encoding, **encoding.get(name, {})}
        taps.append(
            Tap(
                key=variable.key,
                home=variable.home,
                clock=saved_on,
                steps=steps,
                dtype=stored.get("dtype"),
                fill_value=stored.get("fill_value"),
                is_finite=variable.is_finite,
                sizes=tuple(tuple(known.get(dim) for dim in dims) for dims in variable.dims_on(clock)),
            )
        )
    return tuple(taps)


def _known_sizes(dataset: xr.Dataset, graph: Graph) -> dict[str, int]:
    """Return the sizes of dimensions that no simulation changes: those of inputs that are only read."""
    read_only = [key for key in graph.inputs if graph.variables[key].intent is VarIntent.IN]
    declared = {dim for key in read_only for dims in graph.variables[key].dims for dim in dims}
    present = {dim for key in read_only for dim in dataset[join_name(key)].dims}
    return {str(dim): dataset.sizes[dim] for dim in present & declared}

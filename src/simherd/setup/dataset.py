"""A setup: an xarray Dataset with clocks, inputs and the outputs that are wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from simherd.errors import SetupError, UnknownNameError, close_matches, shown
from simherd.model.graph import Graph, Key, Variable, join_name
from simherd.model.model import Model, active_model
from simherd.model.names import INPUT_SUFFIX, find_key, flatten_keys
from simherd.reserved import check_name
from simherd.setup.clocks import OUTPUTS_ATTR, add_clocks, clock_names, without_marks
from simherd.setup.labels import check_clocks, check_labels, with_labels, without_labels
from simherd.setup.objects import mark_none
from simherd.setup.pandas_types import in_numpy_type
from simherd.setup.units import in_units_of, without_units

__all__ = [
    "create_setup",
    "filter_vars",
    "find_model",
    "output_clocks",
    "reset_vars",
    "update_clocks",
    "update_vars",
]


def find_model(model: Model | None) -> Model:
    """Return the model given, or that of the ``with model:`` block.

    Raises
    ------
    SetupError
        If there is neither, or what is given is no model.
    """
    found = model if model is not None else active_model()
    if found is None:
        raise SetupError("No model found in context.", fix="give model=..., or use 'with model:'.")
    if not isinstance(found, Model):
        raise SetupError(f"{found!r} is not a Model.", fix="give model=Model({...}).")
    return found


def create_setup(
    model: Model | None = None,
    clocks: Mapping[str, Any] | None = None,
    master_clock: str | Mapping[str, Any] | None = None,
    input_vars: Mapping[Any, Any] | None = None,
    output_vars: Mapping[Any, Any] | None = None,
    fill_default: bool = True,
    *,
    main_clock: str | Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Create a dataset with all that a simulation needs.

    Parameters
    ----------
    model : Model, optional
        The model; that of ``with model:`` by default.
    clocks : mapping, optional
        Labels of clocks by name. Simulations step from label to label of the main one. By default those
        of the model, if it has any; a model runs without a clock too.
    master_clock : str or mapping, optional
        The main clock, where there are several: its name, or a mapping with ``dim`` and optionally
        ``units`` and ``calendar``.
    input_vars : mapping, optional
        Values of inputs: ``{"process": {"variable": value}}``, ``{("process", "variable"): value}`` or
        ``{"process__variable": value}``, also the columns of a DataFrame. A value is a scalar, an array,
        ``(dims, data[, attrs])``, a DataArray, a Series along the name of its index, or a quantity of pint.
        All coordinates of DataArrays are kept.
    output_vars : mapping, optional
        Outputs and the clock at whose labels each is saved; None saves it at the end, False drops an
        output that the setup has. By default those of the model.
    fill_default : bool, optional
        Give inputs their default values.
    main_clock : str or mapping, optional
        Another name of `master_clock`.

    Returns
    -------
    Dataset
        To be run with ``.simherd.run()``.

    Raises
    ------
    SetupError
        If clocks, inputs or outputs do not fit the model.
    """
    model = find_model(model)
    defaults = model.setup_defaults
    chosen = master_clock if main_clock is None else main_clock
    if clocks is None:
        clocks, chosen = defaults.clocks, chosen or defaults.main_clock
    if output_vars is None:
        output_vars = defaults.outputs
    dataset = xr.Dataset()
    if chosen is not None or not _is_empty(clocks):
        dataset = add_clocks(dataset, clocks, chosen)
    if fill_default:
        dataset = reset_vars(dataset, model)
    return update_vars(dataset, model, input_vars, output_vars)


def _is_empty(clocks: Any) -> bool:
    return isinstance(clocks, Mapping) and not clocks


def update_clocks(
    dataset: xr.Dataset,
    model: Model | None = None,
    clocks: Mapping[str, Any] | None = None,
    master_clock: str | Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Return a setup with clocks added or replaced; outputs keep the clocks that they had.

    `model` is not needed: clocks belong to no model. It stands first as in xarray-simlab.
    """
    if (clocks is None or _is_empty(clocks)) and master_clock is None:
        return dataset.copy()
    outputs = output_clocks(dataset)
    updated = add_clocks(dataset, {} if clocks is None else clocks, master_clock)
    check_clocks(dataset, updated)
    return _with_outputs(updated, outputs)


def reset_vars(dataset: xr.Dataset, model: Model | None = None) -> xr.Dataset:
    """Return a setup in which all inputs that have a default have it again."""
    graph = find_model(model).graph
    defaults = {
        key: graph.variables[key].make_default() for key in graph.inputs if graph.variables[key].has_default
    }
    return _with_inputs(dataset, graph, defaults)


def update_vars(
    dataset: xr.Dataset,
    model: Model | None = None,
    input_vars: Mapping[Any, Any] | None = None,
    output_vars: Mapping[Any, Any] | None = None,
) -> xr.Dataset:
    """Return a setup with inputs and outputs added or replaced; see `create_setup`.

    Raises
    ------
    UnknownNameError
        If a name is no input, variable or clock.
    SetupError
        If a value does not fit its variable.
    """
    graph = find_model(model).graph
    if input_vars is not None:
        dataset = _with_inputs(dataset, graph, flatten_keys(input_vars, graph, "input_vars"))
    if output_vars is not None:
        wanted = {**output_clocks(dataset), **_checked_outputs(dataset, graph, output_vars)}
        dataset = _with_outputs(dataset, {n: clock for n, clock in wanted.items() if clock is not False})
    return dataset


def filter_vars(dataset: xr.Dataset, model: Model | None = None) -> xr.Dataset:
    """Return a setup with nothing but clocks and the inputs of the model with their coordinates."""
    graph = find_model(model).graph
    inputs = [name for name in map(join_name, graph.inputs) if name in dataset.variables]
    labels = (str(label) for name in inputs for label in dataset[name].coords)
    kept = {*inputs, *labels, *clock_names(dataset)}
    outputs = {n: c for n, c in output_clocks(dataset).items() if find_key(n, graph)}
    dropped = [name for name in dataset.variables if str(name) not in kept]
    return _with_outputs(dataset.drop_vars(dropped), outputs)


def output_clocks(dataset: xr.Dataset) -> dict[str, str | None]:
    """Return the outputs of a setup and the clock of each (None: saved at the end)."""
    found: dict[str, str | None] = {}
    for clock in clock_names(dataset):
        found |= dict.fromkeys(_names(dataset[clock].attrs), clock)
    return found | dict.fromkeys(_names(dataset.attrs), None)


def _names(attrs: Mapping[Any, Any]) -> list[str]:
    return [name for name in str(attrs.get(OUTPUTS_ATTR, "")).split(",") if name]


def _with_outputs(dataset: xr.Dataset, outputs: Mapping[str, str | None]) -> xr.Dataset:
    dataset = dataset.copy()
    for clock in (*clock_names(dataset), None):
        names = [name for name, other in outputs.items() if other == clock]
        attrs = dict(dataset.attrs if clock is None else dataset[clock].attrs)
        attrs.pop(OUTPUTS_ATTR, None)
        if names:
            attrs[OUTPUTS_ATTR] = ",".join(names)
        if clock is None:
            dataset.attrs = attrs
        else:
            dataset[clock].attrs = attrs
    return dataset


def _checked_outputs(dataset: xr.Dataset, graph: Graph, given: Mapping[Any, Any]) -> dict[str, Any]:
    checked: dict[str, Any] = {}
    clocks = clock_names(dataset)
    for key, clock in flatten_keys(given, graph, "output_vars").items():
        variable = graph.variables[key]
        check_name("Output", join_name(key))
        if variable.is_group or variable.is_object:
            raise SetupError(f"Object or group variables can't be set as model outputs: {join_name(key)}.")
        if clock is not None and clock is not False and clock not in clocks:
            raise UnknownNameError(
                f"Output {join_name(key)!r} is to be saved on clock {clock!r}, which does not exist. "
                f"{close_matches(str(clock), clocks)}",
                fix="name a clock, or None (null) to save it at the end, or False to drop it.",
            )
        checked[join_name(key)] = clock
    return checked


def _with_inputs(dataset: xr.Dataset, graph: Graph, values: Mapping[Key, Any]) -> xr.Dataset:
    inputs = set(graph.inputs)
    values = {key: _with_named_index(value) for key, value in values.items()}
    variables: dict[str, xr.Variable] = {}
    for key, value in values.items():
        if key not in inputs:
            raise _no_input(graph, graph.variables[key])
        check_name("Input", join_name(key))
        variables[join_name(key)] = _as_variable(graph.variables[key], value)
    names = [name + suffix for name in variables for suffix in ("", INPUT_SUFFIX)]
    replaced = [name for name in names if name in dataset.variables]
    dataset = without_labels(dataset.drop_vars(replaced), variables)
    arrays = {join_name(key): value for key, value in values.items() if isinstance(value, xr.DataArray)}
    labelled = check_labels(dataset, variables, arrays)
    try:
        return with_labels(dataset.assign(variables), labelled)
    except ValueError as error:
        raise SetupError(f"Inputs do not fit together: {error}.") from error


def _no_input(graph: Graph, variable: Variable) -> UnknownNameError:
    """Return an error that says why a variable takes no value of the user."""
    name, home = join_name(variable.key), variable.home
    if home != variable.key and home in graph.inputs:
        return UnknownNameError(
            f"{name!r} is not an input: it refers to {join_name(home)!r}, which is one.",
            fix=f"give {join_name(home)!r}.",
        )
    refers = "" if home == variable.key else f"it refers to {join_name(home)!r}, and "
    if variable.is_group:
        why = "it stands for the variables of a group"
    elif variable.is_on_demand:
        why = f"it is computed by process {home[0]!r} when it is read"
    else:
        setters = (p for p in graph.order if home in (v.home for v in graph.set_by(p)))
        why = f"it is set by {' and '.join(f'process {p!r}' for p in setters)}"
    known = [join_name(key) for key in graph.inputs]
    return UnknownNameError(f"{name!r} is not an input: {refers}{why}. {close_matches(name, known)}")


def _as_variable(variable: Variable, value: Any) -> xr.Variable:
    """Return a value as a labelled variable with description, in the units of its declaration."""
    value, quantity = without_units(value)
    made = in_numpy_type(_labelled(variable, value))
    _check_is_number(variable, made)
    made.attrs = without_marks(made.attrs)
    if quantity is not None:
        made.attrs["units"] = quantity.units
    registry = None if quantity is None else quantity.registry
    declared, name = variable.attrs.get("units"), join_name(variable.key)
    made = in_units_of(declared, name, made, registry, reports_unknown=False)
    made.attrs = {**variable.attrs, **made.attrs}
    mark_none(made)
    return made


def _with_named_index(value: Any) -> Any:
    """Return a Series whose index has a name as an array along it, anything else as it is."""
    if not isinstance(value, pd.Series) or value.index.name is None:
        return value
    data = value.to_numpy()
    if data.dtype.kind == "O" and all(isinstance(item, str) for item in data):
        data = data.astype(str)
    return xr.DataArray(data, coords={value.index.name: value.index}, dims=(value.index.name,))


def _check_is_number(variable: Variable, made: xr.Variable) -> None:
    """Raise an error for texts and tables where the variable is a number, as its default or its units say."""
    if made.dtype.kind not in "OSTU" or variable.converter or variable.set_converter:
        return
    default, units = variable.make_default() if variable.has_default else None, variable.attrs.get("units")
    is_number = isinstance(default, bool | int | float | complex | np.number)
    wrong = next((v for v in made.values.ravel() if isinstance(v, str | bytes | pd.DataFrame)), None)
    if wrong is None or not (is_number or units):
        return
    known = f"by default {default!r}" if is_number else f"in {units!r}"
    found = f"the text {str(wrong)!r}" if isinstance(wrong, str) else shown(wrong)
    raise SetupError(
        f"Input {join_name(variable.key)} is a number, {known}; found {found}.",
        fix="give a number. Its units go into an attribute: ((), 1000.0, {'units': 'km2'}), or in an "
        "experiment file {value: 1000.0, attrs: {units: km2}}.",
    )


def _labelled(variable: Variable, value: Any) -> xr.Variable:
    if isinstance(value, xr.DataArray | xr.Variable):
        return (value.variable if isinstance(value, xr.DataArray) else value).copy(deep=False)
    if isinstance(value, tuple):
        return _from_tuple(variable, value)
    if isinstance(value, pd.DataFrame) and () not in variable.dims:
        raise SetupError(
            f"Input {join_name(variable.key)} is a DataFrame; declared are dimensions "
            f"{' or '.join(map(str, variable.dims))}.",
            fix="give one column, df['name'], or df.to_numpy().",
        )
    data = _as_data(variable, value)
    return xr.Variable(_dims_for(variable, np.ndim(data)), data)


def _from_tuple(variable: Variable, value: tuple[Any, ...]) -> xr.Variable:
    try:
        return xr.Variable(*value)
    except (TypeError, ValueError) as error:
        raise SetupError(
            f"Input {join_name(variable.key)}: {error}.", fix="a tuple is (dims, data[, attrs])."
        ) from error


def _as_data(variable: Variable, value: Any) -> Any:
    """Return arrays as they are, sequences as arrays, and anything else that is no number as an object."""
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return value
    if isinstance(value, str | bool | int | float | complex):
        return np.asarray(value)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        try:
            return np.asarray(value)
        except (TypeError, ValueError) as error:
            raise SetupError(
                f"Input {join_name(variable.key)} is no array: {error}",
                fix="give rows of one length, or (dims, data) with an array of objects.",
            ) from error
    data = np.empty((), dtype=object)
    data[()] = value
    return data


def _dims_for(variable: Variable, ndim: int) -> tuple[str, ...]:
    for dims in variable.dims:
        if len(dims) == ndim:
            return dims
    raise SetupError(
        f"Could not get dimension labels for input {join_name(variable.key)}: the value has {ndim} "
        f"dimension(s), declared are {' or '.join(map(str, variable.dims))}.",
        fix="give (dims, data), such as ('member', data), and batch_dim='member' where simulations differ "
        "along it, or declare dims=. A Series is along the name of its index: rename_axis('member').",
    )

"""Fetch the values that an experiment names: written out, in other files, from functions."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from simherd.errors import ExperimentError, SetupError
from simherd.experiment.loading import describe, load_object
from simherd.experiment.specs import CallInput, FileInput, ValueInput

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from simherd.experiment.schema import Experiment
    from simherd.experiment.specs import BatchSpec

__all__ = ["load_batch", "load_inputs", "whole_size"]

CallResults: TypeAlias = dict[str, Any]


def load_inputs(experiment: Experiment) -> dict[str, Any]:
    """Load the inputs of an experiment.

    Parameters
    ----------
    experiment : Experiment
        As `check` returns it.

    Returns
    -------
    dict of str to object
        For `simherd.create_setup`: a scalar, an ndarray, an `xarray.DataArray`, or a tuple
        ``(dims, data, attrs)`` where the experiment names the dimensions.

    Raises
    ------
    ExperimentError
        If a file or variable is missing, a function fails, or a value does not fit its dimensions.
    MissingDependencyError
        If the package that reads a file is not installed.
    """
    results: CallResults = {}
    values = {}
    for name, spec in experiment.inputs.items():
        with _located(experiment, ("inputs", name)):
            values[name] = _value_of(spec, experiment, results)
    return values


def load_batch(experiment: Experiment) -> Mapping[str, np.ndarray | xr.DataArray]:
    """Sample or read the parameter values of an experiment's batch.

    Parameters
    ----------
    experiment : Experiment
        As `check` returns it; without a batch the result is empty.

    Returns
    -------
    mapping of str to ndarray or DataArray, shape (simulations,)
        Values by input variable; those of a .nc or .zarr table with its coordinates and attributes.

    Raises
    ------
    ExperimentError
        If the table cannot be read, or the parameters cannot be sampled.
    """
    from simherd.setup.samplers import read_table, sample

    batch = experiment.batch
    if batch is None:
        return {}
    with _located(experiment, ("batch",)):
        if batch.table:
            table = read_table(batch.table, batch.columns)
            part = _part_of_table(next(iter(table.values())).size, batch.size)
            return {name: _along(batch.dim, values)[part] for name, values in table.items()}
        return sample(batch.sampling, list(batch.parameters.values()), batch.size, batch.seed)


def whole_size(batch: BatchSpec) -> int:
    """Return how many simulations a batch has, or of how many its size takes a part.

    Raises
    ------
    SetupError
        If its table cannot be read.
    """
    from simherd.setup.samplers import LISTED, batch_size, read_table

    if batch.table:
        return int(next(iter(read_table(batch.table, batch.columns).values())).size)
    size = None if batch.sampling in LISTED else batch.size
    return batch_size(batch.sampling, list(batch.parameters.values()), size)


def _part_of_table(rows: int, size: int | None) -> Any:
    from simherd.setup.samplers import part_of_rows

    if size is None:
        return slice(None)
    if size > rows:
        raise SetupError(
            f"Size is {size}, but the table has {rows} rows.",
            fix=f"remove 'size', or set it to a part of them, 1 to {rows}.",
        )
    return part_of_rows(rows, size)


def _along(dim: str, values: Any) -> Any:
    return _renamed(values, [dim]) if hasattr(values, "dims") else values


@contextmanager
def _located(experiment: Experiment, keys: tuple[str, ...]) -> Iterator[None]:
    try:
        yield
    except (SetupError, ExperimentError) as error:
        cause = error if isinstance(error, SetupError) else error.__cause__
        raise experiment.fault(*keys, message=error.message, fix=error.fix) from cause


def _value_of(spec: Any, experiment: Experiment, results: CallResults) -> Any:
    load: Mapping[type, Callable[[], Any]] = {
        FileInput: partial(_from_file, spec, experiment),
        CallInput: partial(_from_call, spec, experiment, results),
        ValueInput: lambda: _array_if_list(spec.value),
    }
    if type(spec) not in load:
        return _array_if_list(spec)
    return _with_dims(load[type(spec)](), spec.dims, spec.attrs)


def _array_if_list(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    import numpy as np

    try:
        array = np.asarray(value)
    except (ValueError, OverflowError) as error:
        raise SetupError(
            "its lists are not of one length.", fix="give every row the same number of items."
        ) from error
    if array.dtype.kind == "U" and not _are_texts(value):
        raise SetupError("its list holds texts and other values.", fix="give one type only.")
    return array


def _are_texts(value: Any) -> bool:
    return all(map(_are_texts, value)) if isinstance(value, list) else isinstance(value, str)


def _with_dims(value: Any, dims: tuple[str, ...] | None, attrs: dict[str, Any] | None) -> Any:
    if dims is None and attrs is None:
        return value
    if hasattr(value, "dims"):
        return _renamed(value, value.dims if dims is None else dims).assign_attrs(attrs or {})
    import numpy as np

    data = np.asarray(value)
    if dims is None and data.ndim:
        raise SetupError("attrs of an array need 'dims' too.", fix="add 'dims: [...]'.")
    dims = dims or ()
    _check_count(dims, data.ndim)
    return dims, data, attrs or {}


def _renamed(value: xr.DataArray, dims: Sequence[Hashable]) -> xr.DataArray:
    """Return an array with its dimensions and their labels under other names."""
    _check_count(dims, value.ndim)
    names = {old: new for old, new in zip(value.dims, dims, strict=True) if old != new}
    try:
        return value.rename(names)
    except ValueError as error:
        raise SetupError(f"Cannot name its dimensions {', '.join(map(str, dims))}: {error}.") from error


def _check_count(dims: Sequence[Hashable], ndim: int) -> None:
    if len(dims) != ndim:
        raise SetupError(f"{len(dims)} dims ({', '.join(map(str, dims))}) for {ndim} dimensions of data.")


def _from_file(spec: FileInput, experiment: Experiment) -> Any:
    from simherd.setup.files import open_arrays, pick

    with open_arrays(spec.file) as arrays:
        return pick(arrays, spec.variable, f"'{spec.file}'", _lazy_dim(spec, experiment, arrays))


def _lazy_dim(spec: FileInput, experiment: Experiment, arrays: Mapping[str, Any]) -> str | None:
    """Return what the file calls the dimension of the batch, if it has it."""
    batch = experiment.batch
    if batch is None or spec.dims is None or batch.dim not in spec.dims:
        return None if batch is None else batch.dim
    name = spec.variable or str(next(iter(getattr(arrays, "data_vars", arrays)), ""))
    dims = getattr(arrays.get(name), "dims", ())
    place = spec.dims.index(batch.dim)
    return str(dims[place]) if len(dims) > place else None


def _from_call(spec: CallInput, experiment: Experiment, results: CallResults) -> Any:
    from simherd.setup.files import pick

    key = json.dumps([spec.call, spec.arguments], sort_keys=True)
    if key not in results:
        results[key] = _call(spec, experiment)
    result = results[key]
    if isinstance(result, Mapping):
        return pick(result, spec.variable, f"the result of '{spec.call}'")
    if spec.variable is not None:
        raise SetupError(
            f"'{spec.call}' gave a {type(result).__name__}, which has no variables.",
            fix="remove 'variable', or return an xarray.Dataset.",
        )
    return _array_if_list(result)


def _call(spec: CallInput, experiment: Experiment) -> Any:
    base = experiment.document.path.parent.absolute()
    function = load_object(spec.call, base)
    if not callable(function):
        raise SetupError(f"'{spec.call}' is not a function.")
    try:
        result = function(**spec.arguments)
    except Exception as error:
        raise ExperimentError(f"Calling '{spec.call}' gave {describe(error)}.") from error
    if result is None:
        raise SetupError(f"'{spec.call}' gave nothing (None).", fix="return the value.")
    return result

"""The parameters of a batch: which values each simulation gets.

References
----------
.. [1] M. D. McKay, R. J. Beckman and W. J. Conover, "A comparison of three methods for selecting
   values of input variables in the analysis of output from a computer code", Technometrics 21,
   1979, doi:10.1080/00401706.1979.10489755 (Latin hypercube).
.. [2] A. B. Owen, "Scrambling Sobol' and Niederreiter-Xing points", Journal of Complexity 14,
   1998, doi:10.1006/jcom.1998.0487 (scrambled Sobol' points, as in scipy.stats.qmc).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from simherd.errors import SetupError, close_matches
from simherd.progress.words import counted
from simherd.resources import format_bytes, usable_memory
from simherd.setup.files import open_arrays, pick
from simherd.setup.parameters import Parameter

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "LISTED",
    "METHODS",
    "Parameter",
    "batch_size",
    "check_parameter",
    "part_of_rows",
    "read_table",
    "sample",
]

BYTES_PER_VALUE = 24
"""Memory that drawing a value of a parameter takes: a number, its place in the range, a copy."""


def sample(
    method: str, parameters: Sequence[Parameter], size: int | None = None, seed: int | None = None
) -> dict[str, np.ndarray]:
    """Draw the parameter values of a batch.

    Parameters
    ----------
    method : str
        ``"grid"`` (all combinations, the last parameter changes fastest), ``"zip"`` (the i-th
        values together), ``"random"``, ``"latin_hypercube"`` [1]_ or ``"sobol"`` [2]_.
    parameters : sequence of Parameter
    size : int, optional
        Simulations. Grid and zip have a number of their own: of these, so many are taken, spread evenly.
    seed : int, optional
        The same seed gives the same values; None gives others every time.

    Returns
    -------
    dict of str to ndarray, shape (simulations,)
        In the units of the parameters; float64, or int64 for integer ranges.

    Raises
    ------
    SetupError
        If parameters or size do not fit the method.
    """
    n = batch_size(method, parameters, size)
    _check_memory(method, n, len(parameters))
    if method in LISTED:
        axes = [_axis(parameter) for parameter in parameters]
        numbers = part_of_rows(_listed_size(method, parameters, None), n)
        columns = LISTED[method].combine(axes, numbers)
    else:
        unit = _DRAWN[method](n, len(parameters), np.random.default_rng(seed))
        columns = [_from_unit(parameter, unit[:, i]) for i, parameter in enumerate(parameters)]
    return {parameter.name: values for parameter, values in zip(parameters, columns, strict=True)}


def part_of_rows(rows: int, size: int) -> np.ndarray:
    """Return the numbers of some of the rows of a batch, from the first to the last with equal gaps."""
    step, rest = divmod(rows - 1, max(size - 1, 1))
    numbers = np.arange(size)
    return numbers * step + numbers * rest // max(size - 1, 1)


def _check_memory(method: str, simulations: int, parameters: int) -> None:
    """Raise an error if there is no room for the values of a batch."""
    nbytes = simulations * BYTES_PER_VALUE * max(parameters, 1)
    if nbytes > (memory := usable_memory()):
        raise SetupError(
            f"Sampling '{method}' of {simulations} simulations and {counted(parameters, 'parameter')} takes "
            f"{format_bytes(nbytes)} of memory; {format_bytes(memory)} can be used.",
            fix="run fewer simulations.",
        )


def batch_size(method: str, parameters: Sequence[Parameter], size: int | None = None) -> int:
    """Return how many simulations a batch has, without sampling it.

    Parameters
    ----------
    method, parameters, size
        As in `sample`.

    Raises
    ------
    SetupError
        If parameters or size do not fit the method.
    """
    _check_method(method)
    for parameter in parameters:
        check_parameter(method, parameter)
    if method in LISTED:
        return _listed_size(method, parameters, size)
    if size is None:
        raise SetupError(f"Sampling '{method}' needs 'size'.", fix="add 'size: N'.")
    if size < 1:
        raise SetupError(f"Sampling '{method}': size is {size}, needs 1 or more.")
    return size


def check_parameter(method: str, parameter: Parameter) -> None:
    """Check that a method can sample a parameter.

    Raises
    ------
    SetupError
        If the method is not known, or needs more or less than the parameter has.
    """
    _check_method(method)
    has_range = parameter.values is None
    if method in LISTED and has_range and parameter.num is None:
        raise SetupError(
            f"Parameter '{parameter.name}': a range in a {method} needs 'num'.",
            fix="add 'num: N', or list its values.",
        )
    if method not in LISTED and parameter.num is not None:
        raise SetupError(
            f"Parameter '{parameter.name}': 'num' has no use with sampling '{method}'.",
            fix="remove it: 'size' is the number of simulations.",
        )


def read_table(
    path: str | Path, columns: Mapping[str, str] | None = None
) -> dict[str, np.ndarray | xr.DataArray]:
    """Read the parameter values of a batch from a table.

    Parameters
    ----------
    path : str or Path
        File ending in .csv (one named column per parameter), .nc or .zarr (one-dimensional
        variables).
    columns : mapping of str to str, optional
        Parameter name to column name; None takes every column under its own name.

    Returns
    -------
    dict of str to ndarray or DataArray, shape (rows,)
        DataArrays, with coordinates and attributes, of .nc and .zarr.

    Raises
    ------
    SetupError
        If the file cannot be read, a column is missing, or columns differ in length.
    """
    source = f"Table '{path}'"
    with open_arrays(path) as arrays:
        # A Zarr group lists its arrays in any order; the batch must be the same everywhere.
        own = sorted(arrays.data_vars) if hasattr(arrays, "data_vars") else list(arrays)
        names = columns or {name: name for name in own}
        table = {name: pick(arrays, column, source) for name, column in names.items()}
    shapes = {name: values.shape for name, values in table.items()}
    if len(set(shapes.values())) != 1 or any(len(s) != 1 or s == (0,) for s in shapes.values()):
        found = ", ".join(f"'{name}': {shape}" for name, shape in shapes.items()) or "none"
        raise SetupError(f"{source} needs columns of one length, 1 or more; found {found}.")
    return table


@dataclass(frozen=True, kw_only=True, slots=True)
class _Listed:
    """A method that combines listed values."""

    count: Callable[[Sequence[int]], int]
    """Lengths of the axes to simulations."""
    combine: Callable[[Sequence[np.ndarray], np.ndarray], list[np.ndarray]]
    """Axes and numbers of simulations to one column per parameter."""


def _grid(axes: Sequence[np.ndarray], numbers: np.ndarray) -> list[np.ndarray]:
    places = np.unravel_index(numbers, tuple(map(len, axes)))
    return [axis[place] for axis, place in zip(axes, places, strict=True)]


def _zip(axes: Sequence[np.ndarray], numbers: np.ndarray) -> list[np.ndarray]:
    return [axis[numbers] for axis in axes]


def _random(n: int, d: int, generator: np.random.Generator) -> np.ndarray:
    return generator.random((n, d))


def _latin_hypercube(n: int, d: int, generator: np.random.Generator) -> np.ndarray:
    strata = np.tile(np.arange(n)[:, None], (1, d))
    return (generator.permuted(strata, axis=0) + generator.random((n, d))) / n


def _sobol(n: int, d: int, generator: np.random.Generator) -> np.ndarray:
    if d == 0:
        return np.empty((n, 0))
    from scipy.stats import qmc

    # SciPy 1.15 renamed the keyword, and the old name is to go.
    keyword = "rng" if "rng" in inspect.signature(qmc.Sobol).parameters else "seed"
    try:
        engine = qmc.Sobol(d, scramble=True, **{keyword: generator})
        # A first draw of one point: a first draw of n warns unless n is a power of 2.
        return np.concatenate([engine.random(1), engine.random(n - 1)])
    except ValueError as error:
        raise SetupError(f"Sampling 'sobol' of {n} simulations and {d} parameters: {error}") from error


LISTED: Mapping[str, _Listed] = {
    "grid": _Listed(count=math.prod, combine=_grid),
    "zip": _Listed(count=max, combine=_zip),
}
"""Methods that have a size of their own."""
_DRAWN: Mapping[str, Callable[[int, int, np.random.Generator], np.ndarray]] = {
    "random": _random,
    "latin_hypercube": _latin_hypercube,
    "sobol": _sobol,
}
METHODS = (*LISTED, *_DRAWN)


def _check_method(method: str) -> None:
    if method not in METHODS:
        raise SetupError(f"Unknown sampling '{method}'. {close_matches(method, METHODS)}")


def _listed_size(method: str, parameters: Sequence[Parameter], size: int | None) -> int:
    lengths = {p.name: len(p.values) if p.values else p.num or 0 for p in parameters}
    if not lengths:
        raise SetupError(f"Sampling '{method}' needs one parameter or more.")
    found = ", ".join(f"'{name}': {length}" for name, length in lengths.items())
    if method == "zip" and len(set(lengths.values())) > 1:
        raise SetupError(f"Sampling 'zip' needs as many values of each parameter; found {found}.")
    n = LISTED[method].count(list(lengths.values()))
    if size is not None and not 1 <= size <= n:
        raise SetupError(
            f"Size is {size}, but the parameters of this {method} give {n} simulations ({found}).",
            fix=f"remove 'size', or set it to a part of them, 1 to {n}.",
        )
    return n if size is None else size


def _axis(parameter: Parameter) -> np.ndarray:
    if parameter.values is not None:
        return np.asarray(parameter.values)
    space = np.geomspace if parameter.scale == "log" else np.linspace
    values = space(parameter.low, parameter.high, parameter.num)  # type: ignore[arg-type]
    values = np.clip(values, parameter.low, parameter.high)
    if not parameter.integer:
        return values
    whole = np.unique(np.rint(values).astype(np.int64))
    if len(whole) < len(values):
        raise SetupError(
            f"Parameter '{parameter.name}': {len(values)} values between {parameter.low} and "
            f"{parameter.high} give only {len(whole)} different whole numbers.",
            fix=f"set 'num: {len(whole)}' or less, or list the values.",
        )
    return whole


def _from_unit(parameter: Parameter, unit: np.ndarray) -> np.ndarray:
    """Map numbers of [0, 1) to values of the parameter."""
    if parameter.values is not None:
        choices = np.asarray(parameter.values)
        picked: np.ndarray = choices[np.floor(unit * len(choices)).astype(np.int64)]
        return picked
    low, high = float(parameter.low or 0), float(parameter.high or 0)
    end = high + 1 if parameter.integer else high
    values: np.ndarray
    if parameter.scale == "log":
        values = np.exp(np.log(low) * (1 - unit) + np.log(end) * unit)
    else:
        values = low * (1 - unit) + end * unit
    values = np.clip(np.floor(values) if parameter.integer else values, low, high)
    return values.astype(np.int64) if parameter.integer else values

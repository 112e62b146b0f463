"""Reading outputs whose values are stored one after another, because they differ in size."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from simherd.engine.plan import Array
from simherd.errors import SetupError, close_matches
from simherd.reserved import NUMBER
from simherd.store.concatenated import (
    LAYOUT,
    OWN_DIMS,
    PER_ROW,
    STARTS,
    item_dim,
    row_dim,
    size_name,
    start_name,
)

__all__ = ["contiguous_ragged", "read_ragged"]


def read_ragged(dataset: xr.Dataset, name: str, number: int | None = None) -> Any:
    """Return the values of an output that a store has in the layout "concatenated".

    Parameters
    ----------
    dataset : Dataset
        A result: of a run, or a store opened with `xarray.open_zarr`; or what `isel`, `sel` and the like
        select of it along the batch or a clock.
    name : str
        Name of the output.
    number : int, optional
        Position of a simulation in the dataset; all of them by default.

    Returns
    -------
    ndarray, or list of ndarray, or list of these
        The value of the simulation in its own shape, or a list of them where the output has a clock, one for
        each label; nothing was saved where they are empty. A list of that, one for each simulation, if no
        number is given and the dataset has the dimension of the batch.

    Raises
    ------
    SetupError
        If there is no such output or simulation, the output is stored in another way, or the dataset does
        not tell any more where its values are.
    """
    ragged = _find(dataset, name)
    if number is not None:
        ragged = ragged.only(number)
    found = _values_of(ragged)
    return found if ragged.has_batch else found[0]


def contiguous_ragged(dataset: xr.Dataset, name: str) -> xr.Dataset:
    """Return an output as a contiguous ragged array of the CF conventions [1]_.

    Parameters
    ----------
    dataset : Dataset
        A result: of a run, or a store opened with `xarray.open_zarr`; or a selection of it along the batch.
    name : str
        Name of an output with one dimension and no clock, in the layout "concatenated".

    Returns
    -------
    Dataset
        All values along ``obs``, and ``row_size``: how many of them each simulation has.

    Raises
    ------
    SetupError
        As `read_ragged` does, or if the output has more dimensions or a clock, or there is no batch.

    References
    ----------
    .. [1] CF conventions 1.11, 9.3.3 "Contiguous ragged array representation".
    """
    ragged = _find(dataset, name)
    sizes = ragged.sizes
    if sizes.ndim != 1 or not ragged.has_batch:
        raise SetupError(
            f"{name!r} has a clock, several dimensions or no batch: no contiguous ragged array.",
            fix="read it with read_ragged.",
        )
    parts = _values_of(ragged)
    attrs = {k: value for k, value in ragged.values.attrs.items() if k not in (LAYOUT, PER_ROW, OWN_DIMS)}
    flat = np.concatenate(parts) if parts else np.empty(0, ragged.values.dtype)
    row_size = xr.Variable(sizes.dims, np.asarray(sizes), {"sample_dimension": "obs"})
    return xr.Dataset({name: ("obs", flat, attrs), "row_size": row_size})


@dataclass(frozen=True, kw_only=True, slots=True)
class _Ragged:
    """An output whose values are concatenated, as a dataset has it."""

    name: str
    """Name of the output."""
    values: xr.Variable
    """Shape (rows, items)."""
    numbers: xr.Variable
    """Position of each simulation in the whole batch, shape ([simulations])."""
    starts: xr.Variable
    """Where each value begins in its row, shape ([simulations][, saves])."""
    sizes: xr.Variable
    """How large each value is, shape ([simulations][, saves][, dimensions])."""

    @property
    def has_batch(self) -> bool:
        """Whether there is a dimension of the batch."""
        return self.numbers.ndim > 0

    @property
    def has_clock(self) -> bool:
        """Whether there is a dimension of a clock."""
        return self.starts.ndim > self.numbers.ndim

    def only(self, position: int) -> _Ragged:
        """Return the values of one simulation."""
        count = self.numbers.size
        if not self.has_batch or not -count <= position < count:
            found = f"{count} simulations" if self.has_batch else "one simulation and no batch"
            raise SetupError(
                f"Cannot read {self.name!r} of simulation {position}: the dataset has {found}.",
                fix=f"give a position below {count}." if self.has_batch else "leave the number out.",
            )
        numbers, starts, sizes = (
            one.isel({self.numbers.dims[0]: position}) for one in (self.numbers, self.starts, self.sizes)
        )
        return replace(self, numbers=numbers, starts=starts, sizes=sizes)


def _find(dataset: xr.Dataset, name: str) -> _Ragged:
    """Return an output of a dataset and what says where its values are, its dimensions in one order."""
    if name not in dataset.variables:
        raise SetupError(f"There is no output {name!r}. {close_matches(name, map(str, dataset.variables))}")
    values = dataset.variables[name]
    if values.attrs.get(LAYOUT) != "concatenated":
        raise SetupError(
            f"{name!r} is not concatenated: it has dimensions {values.dims}.",
            fix="index it, as any other variable.",
        )
    if set(values.dims) != {row_dim(name), item_dim(name)}:
        raise _lost(name, f"it has dimensions {values.dims}")
    numbers, starts, sizes = (
        _part(dataset, name, part) for part in (NUMBER, start_name(name), size_name(name))
    )
    if numbers.ndim > 1 or not {*numbers.dims} <= {*starts.dims}:
        raise _lost(name, f"{NUMBER!r} has dimensions {numbers.dims}")
    several = len(values.attrs[OWN_DIMS]) > 1
    if sizes.ndim != starts.ndim + several:
        raise _made_before(name, "it does not say where each value along its clock begins", _RUN_AGAIN)
    if not _has_start_of_each(starts) and (labels := _single_labels(dataset)):
        found = f"one label of {labels[0]!r} is selected, which may be one of its clock"
        raise _made_before(name, found, _SELECT_LISTS)
    return _Ragged(
        name=name,
        values=values.transpose(row_dim(name), item_dim(name)),
        numbers=numbers,
        starts=starts.transpose(*numbers.dims, ...),
        sizes=sizes.transpose(*starts.transpose(*numbers.dims, ...).dims, ...),
    )


def _part(dataset: xr.Dataset, name: str, part: str) -> xr.Variable:
    if part not in dataset.variables:
        if part == NUMBER:
            raise _made_before(name, f"the dataset has no {NUMBER!r}", _SAY_NUMBERS)
        raise _lost(name, f"the dataset has no {part!r}")
    variable = dataset.variables[part]
    if variable.dtype.kind not in "iu":
        raise _lost(name, f"{part!r} has values of type {variable.dtype}")
    return variable


def _has_start_of_each(starts: xr.Variable) -> bool:
    return str(starts.attrs.get("description", "")).startswith(STARTS)


def _single_labels(dataset: xr.Dataset) -> list[str]:
    return sorted(str(name) for name, one in dataset.coords.items() if one.ndim == 0 and name != NUMBER)


_SELECT_LISTS = "select lists of labels, such as isel(time=[0])."
_RUN_AGAIN = "read it with the version of simherd that its attributes name, or run it again."
_SAY_NUMBERS = (
    f"open the store anew and, before you select anything, assign_coords({NUMBER}=(batch_dim, "
    "np.arange(dataset.sizes[batch_dim])))."
)


def _made_before(name: str, found: str, fix: str) -> SetupError:
    return SetupError(
        f"Cannot tell where the values of {name!r} are: {found}, as in stores of earlier versions.", fix=fix
    )


def _lost(name: str, found: str) -> SetupError:
    return SetupError(
        f"Cannot tell where the values of {name!r} are: {found}.",
        fix="select with isel or sel along the batch or a clock only, and keep all variables of the output.",
    )


def _values_of(ragged: _Ragged) -> list[Any]:
    """Return the values of each simulation, reading each row once."""
    numbers = np.atleast_1d(np.asarray(ragged.numbers))
    saves = ragged.starts.shape[-1] if ragged.has_clock else 1
    starts = np.asarray(ragged.starts).reshape(len(numbers), saves)
    sizes = np.asarray(ragged.sizes).reshape(len(numbers), saves, len(ragged.values.attrs[OWN_DIMS]))
    found: list[Any] = [None] * len(numbers)
    for members, begin, flat in _rows(ragged, numbers, starts, starts + sizes.prod(axis=2)):
        for member in members:
            parts = [
                flat[start : start + math.prod(shape)].reshape(shape)
                for start, shape in zip(
                    (starts[member] - begin).tolist(), sizes[member].tolist(), strict=True
                )
            ]
            found[member] = parts if ragged.has_clock else parts[0]
    return found


def _rows(
    ragged: _Ragged, numbers: Array, starts: Array, ends: Array
) -> Iterator[tuple[list[int], int, Array]]:
    """Yield the simulations of each row, where their first value begins, and the values from there."""
    rows = numbers // int(ragged.values.attrs[PER_ROW])
    for row in np.unique(rows).tolist():
        members = np.flatnonzero(rows == row)
        is_full = ends[members] > starts[members]
        end = int(ends[members].max(initial=0, where=is_full))
        begin = int(starts[members].min(initial=end, where=is_full))
        if end and (row >= ragged.values.shape[0] or end > ragged.values.shape[1]):
            raise _lost(ragged.name, f"it was cut along {' or '.join(map(repr, ragged.values.dims))}")
        flat = np.asarray(ragged.values[row, begin:end]) if end else np.empty(0, ragged.values.dtype)
        yield members.tolist(), begin, flat

"""Coordinates that inputs bring into a setup."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import xarray as xr

from simherd.engine.simulate import are_same_labels
from simherd.errors import InputWarning, SetupError
from simherd.reserved import check_name
from simherd.setup.clocks import clock_names, without_marks
from simherd.user_warnings import warn_user

__all__ = ["OWNERS", "check_clocks", "check_labels", "with_labels", "without_labels"]

OWNERS = "simherd_inputs"
"""Key of a coordinate's encoding: the inputs that brought it, so that it leaves a setup with them."""


def check_labels(
    dataset: xr.Dataset, inputs: Mapping[str, xr.Variable], labelled: Mapping[str, xr.DataArray]
) -> dict[str, xr.DataArray]:
    """Return labelled inputs without the coordinates for which a setup has no place.

    Parameters
    ----------
    dataset : Dataset
        The setup.
    inputs : mapping of str to Variable
        Inputs that are about to be part of it.
    labelled : mapping of str to DataArray
        Those of them that have coordinates.

    Raises
    ------
    SetupError
        If a coordinate differs from one that another input or the setup has.

    Warns
    -----
    InputWarning
        If a coordinate that is no dimension has the name of a clock.
    """
    labelled = {name: _without_clock_scalars(dataset, name, value) for name, value in labelled.items()}
    known = {str(label): variable for label, variable in (*dataset.variables.items(), *inputs.items())}
    owners: dict[str, tuple[str, ...]] = {label: (label,) for label in inputs}
    for name, value in labelled.items():
        for label in value.coords:
            check_name(f"Coordinate of input {name}", label)
        for label, coord in ((str(label), coord.variable) for label, coord in value.coords.items()):
            if label in known and not _agree(known[label], coord):
                others = owners.get(label) or _owners(dataset, label)
                raise _conflict(name, label, others, label in clock_names(dataset))
            known.setdefault(label, coord)
            owners.setdefault(label, _owners(dataset, label) or (name,))
    return labelled


def check_clocks(dataset: xr.Dataset, clocks: xr.Dataset) -> None:
    """Raise an error if a clock would replace other labels, which an input brought.

    Parameters
    ----------
    dataset : Dataset
        The setup.
    clocks : Dataset
        The setup with its new clocks.

    Raises
    ------
    SetupError
        If so.
    """
    for name in clock_names(clocks):
        known = dataset.variables.get(name)
        if known is not None and OWNERS in known.encoding and not _agree(known, clocks.variables[name]):
            raise _conflict(", ".join(known.encoding[OWNERS]), name, (), is_clock=True)


def with_labels(dataset: xr.Dataset, labelled: Mapping[str, xr.DataArray]) -> xr.Dataset:
    """Return a setup with all coordinates of some of its inputs, which agree with those it has."""
    for name, value in labelled.items():
        brought = value.coords.to_dataset()
        fresh = brought.drop_vars([label for label in brought.variables if label in dataset.variables])
        for variable in fresh.variables.values():
            variable.attrs = without_marks(variable.attrs)
            variable.encoding = {OWNERS: ()}
        dataset = dataset.assign_coords(fresh.coords)
        for variable in (dataset.variables[label] for label in brought.variables):
            if OWNERS in variable.encoding:
                variable.encoding[OWNERS] = (*variable.encoding[OWNERS], name)
    return dataset


def without_labels(dataset: xr.Dataset, names: Iterable[str]) -> xr.Dataset:
    """Return a setup without the coordinates that only the named inputs brought."""
    left = {*names}
    dataset = dataset.copy()
    gone = []
    for label, variable in dataset.coords.variables.items():
        if OWNERS in variable.encoding:
            owners = tuple(name for name in variable.encoding[OWNERS] if name not in left)
            variable.encoding[OWNERS] = owners
            gone += [] if owners else [label]
    return dataset.drop_vars(gone)


def _without_clock_scalars(dataset: xr.Dataset, name: str, value: xr.DataArray) -> xr.DataArray:
    """Return an input without coordinates such as the time at which it was taken from another result."""
    found = [label for label in clock_names(dataset) if label in value.coords and label not in value.dims]
    for label in found:
        warn_user(
            f"Input {name} leaves out its coordinate {label!r}, which is the name of a clock. "
            f"Fix: drop it with .drop_vars({label!r}), or rename it.",
            InputWarning,
        )
    return value.drop_vars(found)


def _agree(known: xr.Variable, coord: xr.Variable) -> bool:
    if known.dims != coord.dims:
        return False
    are_numbers = known.dtype.kind in "fiu" and coord.dtype.kind in "fiu"
    return known.equals(coord) or (are_numbers and are_same_labels(coord.values, known.values))  # type: ignore[no-untyped-call]  # xarray's


def _owners(dataset: xr.Dataset, label: str) -> tuple[str, ...]:
    """Return the inputs that brought a coordinate, or lie along it."""
    if label not in dataset.variables:
        return ()
    variable = dataset.variables[label]
    along = (str(n) for n, v in dataset.data_vars.items() if variable.dims and {*variable.dims} <= {*v.dims})
    return variable.encoding.get(OWNERS) or tuple(along)


def _conflict(name: str, label: str, others: tuple[str, ...], is_clock: bool) -> SetupError:
    than = f"input {', '.join(others)}" if others else "the setup"
    return SetupError(
        f"Input {name} has another coordinate {label!r} than {'the clock' if is_clock else than}.",
        fix=f"give both the same labels, for instance by xarray.align, or drop those of {name} with "
        f".drop_vars({label!r}).",
    )

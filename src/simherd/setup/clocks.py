"""Clocks: the main one that steps follow and those at whose labels outputs are saved."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from simherd.errors import SetupError, UnknownNameError, close_matches, shown
from simherd.reserved import check_name

__all__ = [
    "CLOCK_ATTR",
    "MAIN_CLOCK_ATTR",
    "OUTPUTS_ATTR",
    "add_clocks",
    "clock_names",
    "main_clock",
    "positions_on",
    "without_marks",
]

CLOCK_ATTR = "__simherd_clock__"
MAIN_CLOCK_ATTR = "__simherd_main_clock__"
OUTPUTS_ATTR = "__simherd_output_vars__"
_MARK = re.compile(r"__(simherd|xsimlab)_(\w*clock|output_vars)__")
MAIN_CLOCK_KEYS = ("dim", "units", "calendar")
TOLERANCE = 1e-9


def clock_names(dataset: xr.Dataset) -> list[str]:
    """Return the names of all clocks of a setup."""
    return [
        str(n) for n, v in dataset.coords.variables.items() if _is_clock(n, v, CLOCK_ATTR, MAIN_CLOCK_ATTR)
    ]


def _is_clock(name: Any, variable: xr.Variable, *marks: str) -> bool:
    """Return whether a coordinate is a clock; one that was computed from a clock has its attributes too."""
    return variable.dims == (name,) and not variable.attrs.keys().isdisjoint(marks)


def without_marks(attrs: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return attributes without those that mark clocks and outputs, which arithmetic carries on."""
    return {name: value for name, value in attrs.items() if not _MARK.fullmatch(str(name))}


def main_clock(dataset: xr.Dataset) -> str | None:
    """Return the name of the main clock, if there is one."""
    found = (str(n) for n, v in dataset.coords.variables.items() if _is_clock(n, v, MAIN_CLOCK_ATTR))
    return next(found, None)


def add_clocks(
    dataset: xr.Dataset,
    clocks: Mapping[str, Any],
    main: str | Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Return a dataset with clocks added or replaced.

    Parameters
    ----------
    dataset : Dataset
        The setup.
    clocks : mapping
        Labels by name: an array-like, ``(name, values[, attrs])`` or a DataArray along the dimension of
        that name.
    main : str or mapping, optional
        Name of the main clock, or a mapping with ``dim`` and optionally ``units`` and ``calendar``. Not
        needed where there is only one.

    Raises
    ------
    SetupError
        If a clock has other dimensions than its own or labels that are not on the main clock, or the
        main one is not known.
    """
    options = _main_clock_options(main)
    if not isinstance(clocks, Mapping):
        raise SetupError(f"clocks: a mapping is needed, found {shown(clocks)}.", fix="give {name: labels}.")
    for name in clocks:
        check_name("Clock", name)
    coords = {name: _clock_variable(name, values) for name, values in clocks.items()}
    for name in clocks:
        coords[name].attrs[CLOCK_ATTR] = np.uint8(1)
    previous = main_clock(dataset)
    dataset = dataset.drop_vars([n for n in clocks if n in dataset.variables]).assign_coords(coords)
    chosen = _choose_main(clock_names(dataset), options.get("dim", previous))
    for name in clock_names(dataset):
        dataset[name].attrs.pop(MAIN_CLOCK_ATTR, None)
        units = {k: v for k, v in options.items() if k in ("units", "calendar")}
        holds_dates = dataset[name].dtype.kind not in "fiu"  # then units only say how they are stored
        (dataset[name].encoding if holds_dates else dataset[name].attrs).update(units)
    dataset[chosen].attrs[MAIN_CLOCK_ATTR] = np.uint8(1)
    labels = dataset[chosen].values
    for name in clock_names(dataset):
        positions_on(labels, dataset[name].values, name, chosen)
    return dataset


def _main_clock_options(given: Any) -> dict[str, Any]:
    if isinstance(given, str):
        return {"dim": given}
    if not isinstance(given, Mapping | None):
        raise SetupError(
            f"master_clock={given!r} is not allowed: the name of a clock is needed, or a mapping with 'dim'."
        )
    for key in given or {}:
        if key not in MAIN_CLOCK_KEYS:
            allowed = close_matches(str(key), MAIN_CLOCK_KEYS)
            raise SetupError(f"master_clock: {key!r} is not known. {allowed}")
    return dict(given or {})


def _clock_variable(name: str, values: Any) -> xr.Variable:
    wrong = SetupError(
        f"Invalid dimension(s) given for clock {name!r}.",
        fix=f"give one-dimensional labels along {name!r}.",
    )
    try:
        if isinstance(values, xr.DataArray):
            variable = values.variable.copy()
        else:
            variable = xr.Variable(*(values if isinstance(values, tuple) else ((name,), values)))
    except (TypeError, ValueError) as error:
        raise wrong from error
    if variable.dims != (name,):
        raise wrong
    if len(variable) < 1:
        raise SetupError(f"Clock {name!r} has no labels.", fix="give at least two.")
    if not _can_be_subtracted(variable):
        raise SetupError(
            f"Clock {name!r} has labels that are neither numbers nor dates: {variable.values[0]!r}.",
            fix="of texts that are dates, np.array(labels, 'datetime64[ns]') makes dates.",
        )
    return variable.to_base_variable()


def _can_be_subtracted(labels: xr.Variable) -> bool:
    """Return whether labels have differences, as the lengths of steps: numbers, dates, objects of dates."""
    if labels.dtype.kind == "O":
        return not any(isinstance(label, str) for label in labels.values)
    return labels.dtype.kind in "iufmM"


def _choose_main(names: list[str], wanted: str | None) -> str:
    if wanted is not None:
        if wanted not in names:
            raise UnknownNameError(f"Main clock {wanted!r} is not a clock. {close_matches(wanted, names)}")
        return wanted
    if len(names) == 1:
        return names[0]
    raise SetupError(
        f"There are several clocks, {', '.join(names)}, and none is called the main one.",
        fix="name it: master_clock=... (main_clock: in an experiment file).",
    )


def positions_on(main: Any, labels: Any, name: str, main_name: str) -> tuple[int, ...]:
    """Return where the labels of a clock stand on the main clock.

    Numbers match within 1e-9 of the clock's span, so that 0.3 is found on ``arange(0, 1.01, 0.1)``.

    Raises
    ------
    SetupError
        If a label is not on the main clock.
    """
    main, labels = np.asarray(main), np.asarray(labels)
    order = np.argsort(main, kind="stable")
    tolerance = TOLERANCE * np.ptp(main) if main.dtype.kind in "fiu" and len(main) > 1 else None
    if tolerance is None:
        matches = [np.flatnonzero(main == label) for label in labels]
        found = np.array([m[0] if len(m) else -1 for m in matches])
    else:
        near = np.clip(np.searchsorted(main[order], labels - tolerance), 0, len(main) - 1)
        found = np.where(np.abs(main[order][near] - labels) <= tolerance, order[near], -1)
    if (found < 0).any():
        strangers = ", ".join(str(label) for label in labels[found < 0][:3])
        raise SetupError(
            f"Clock {name!r} has labels that are not on the main clock {main_name!r}: {strangers}.",
            fix="take them from the main clock, for instance main[::10].",
        )
    if (np.diff(found) <= 0).any():
        raise SetupError(
            f"The labels of clock {name!r} do not follow the order of the main clock {main_name!r}.",
            fix="give each label once, in the order of the main clock.",
        )
    return tuple(int(position) for position in found)

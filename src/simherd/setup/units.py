"""Units of inputs: held against those of their variables, and converted where pint or cf-units can."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import xarray as xr

from simherd.errors import InputWarning, SetupError
from simherd.setup.conversion import Conversion
from simherd.user_warnings import warn_user

__all__ = ["Quantity", "in_units_of", "without_units"]

UNITS = "units"
_EXPONENT = re.compile(r"(?<![\w.])([^\W\d]+)([-+]?\d+)(?![\w.])")
"""A unit with its exponent as the CF conventions write it, such as the ``m-2`` of ``W m-2``."""

Convert: TypeAlias = Callable[[Any, str, str], Any]
"""Takes values, their units and other units, and returns the values in these.

It raises LookupError if it does not know the units, ValueError if they measure different things.
"""


class Quantity(NamedTuple):
    """Values with their units."""

    values: Any
    """A number or an array."""
    units: str
    """Their units."""
    registry: Any
    """The pint registry that defines these; None if there is none."""


def without_units(value: Any) -> tuple[Any, Quantity | None]:
    """Return a value of an input with plain numbers, and the quantity of pint or astropy that it holds.

    The value may be ``(dims, data[, attrs])``, or a variable or array of xarray.
    """
    if isinstance(value, xr.DataArray | xr.Variable):
        variable = value.variable if isinstance(value, xr.DataArray) else value
        quantity = _quantity(variable._data)  # .data would read what is in a file
        return (value if quantity is None else value.copy(data=np.asarray(quantity.values))), quantity
    if isinstance(value, tuple) and len(value) > 1:
        quantity = _quantity(value[1])
        return (value if quantity is None else (value[0], quantity.values, *value[2:])), quantity
    quantity = _quantity(value)
    return (value if quantity is None else quantity.values), quantity


def _quantity(value: Any) -> Quantity | None:
    if isinstance(value, xr.DataArray | xr.Variable | xr.Dataset):  # their attributes may have any name
        return None
    if hasattr(value, "magnitude") and hasattr(value, "units"):
        return Quantity(value.magnitude, str(value.units), getattr(value, "_REGISTRY", None))
    if hasattr(value, "value") and hasattr(value, "unit"):
        return Quantity(value.value, str(value.unit), None)
    return None


def in_units_of(
    declared: Any, name: str, given: xr.Variable, registry: Any = None, *, reports_unknown: bool = True
) -> xr.Variable:
    """Return an input in the units that its variable declares.

    Parameters
    ----------
    declared : str or None
        Units of the variable; None if it has none.
    name : str
        Name of the input.
    given : Variable
        The input; its attribute ``units`` says its own.
    registry : pint.UnitRegistry, optional
        Defines its units; that of the application by default.
    reports_unknown : bool, optional
        Warn of units that are not known; False where a later call does.

    Raises
    ------
    SetupError
        If the units differ and values cannot be converted, or do not fit their type afterwards.

    Warns
    -----
    InputWarning
        If values are converted, or the units are not known.
    """
    own, wanted = (" ".join(str(units or "").split()) for units in (given.attrs.get(UNITS), declared))
    if own == wanted or not own or not wanted:
        return given
    pair = f"Input {name} is in {own!r}, its variable in {wanted!r}"
    scale = _scale(own, wanted, registry, pair)
    if scale is None:
        if reports_unknown:
            _warn(f"{pair}: these units are not known, so they are not compared.")
        return given
    converted = given.copy(deep=False)
    converted.attrs[UNITS] = wanted
    conversion = Conversion(pair=pair, scale=scale)
    if not conversion.is_identity:
        converted = conversion.apply(converted)
        _warn(f"Input {name} is converted from {own!r} to {wanted!r}.")
    return converted


def _scale(own: str, wanted: str, registry: Any, pair: str) -> Callable[[Any], Any] | None:
    """Return what converts values; None where no installed package knows the units."""
    found = [partial(_by_pint, registry=registry)] if registry is not None else _installed()
    for convert in found:
        try:
            convert(np.zeros(1), own, wanted)
        except LookupError:
            continue
        except ValueError as error:
            raise SetupError(f"{pair}: {error}.", fix="correct the value or its units.") from error
        return partial(_convert_by, convert, own, wanted)
    if found:
        return None
    raise SetupError(
        f"{pair}.",
        fix=f"give it in {wanted!r}, or install pint, which converts it: pip install 'simherd[units]'.",
    )


def _convert_by(convert: Convert, own: str, wanted: str, values: Any) -> Any:
    return convert(values, own, wanted)


def _installed() -> list[Convert]:
    """Return what the installed packages convert; cf-units comes first, which knows all units of CF."""
    return [convert for name, convert in _SYSTEMS.items() if importlib.util.find_spec(name)]


def _by_cf_units(values: Any, own: str, wanted: str) -> Any:
    from cf_units import Unit

    try:
        before, after = Unit(own), Unit(wanted)
    except ValueError as error:
        raise LookupError(str(error)) from error
    return before.convert(values, after)


def _by_pint(values: Any, own: str, wanted: str, registry: Any = None) -> Any:
    import pint

    get_registry: Callable[[], Any] = pint.get_application_registry
    known = get_registry() if registry is None else registry
    before, after = (_parsed(known, text) for text in (own, wanted))
    try:
        return known.Quantity(values, before).to(after).magnitude
    except pint.DimensionalityError as error:
        raise ValueError(str(error)) from error


def _parsed(registry: Any, text: str) -> Any:
    """Return units that pint knows, with exponents as CF or as pint writes them."""
    for form in (_EXPONENT.sub(r"\1**\2", text), text):
        try:
            return registry.parse_units(form)
        except Exception:  # pint raises errors of many kinds for texts that are no units
            continue
    raise LookupError(text)


def _warn(message: str) -> None:
    warn_user(message, InputWarning)


_SYSTEMS: Mapping[str, Convert] = {"cf_units": _by_cf_units, "pint": _by_pint}

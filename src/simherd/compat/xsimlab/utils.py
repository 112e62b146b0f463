"""The one helper of xarray-simlab that packages use."""

from __future__ import annotations

from typing import Any

import attr

from simherd.model.variables import Attribute

__all__ = ["variables_dict"]


def variables_dict(process_cls: type[Any]) -> dict[str, Attribute]:
    """Return the variables that a process class declares, without its other attrs fields."""
    return {
        name: field for name, field in attr.fields_dict(process_cls).items() if "var_type" in field.metadata
    }

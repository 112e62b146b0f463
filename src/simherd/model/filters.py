"""Looking for variables by what they are."""

from __future__ import annotations

from typing import Any

from simherd.model.model import Model
from simherd.model.process import inspect_process
from simherd.model.variables import Attribute, VarType

__all__ = ["filter_variables"]


def filter_variables(
    obj: Any, var_type: str | VarType | None = None, intent: Any = None, func: Any = None
) -> dict[Any, Attribute]:
    """Return the variables of a process or model that fulfil all conditions given.

    Parameters
    ----------
    obj : process class, process or Model
        Where to look.
    var_type : str or VarType, optional
        Kind of variable.
    intent : str or VarIntent, optional
        What the process does with it.
    func : callable, optional
        Called with the declaration (an attrs field), returns whether it is wanted.

    Returns
    -------
    dict
        Declarations by name, or by (process, variable) for a model.
    """
    if isinstance(obj, Model):
        found: dict[Any, Attribute] = {k: v.declared for k, v in obj.graph.variables.items()}
    else:
        found = dict(inspect_process(obj if isinstance(obj, type) else type(obj)).variables)

    def is_wanted(declared: Attribute) -> bool:
        metadata = declared.metadata
        return (
            (var_type is None or metadata["var_type"] is VarType(var_type))
            and (intent is None or metadata["intent"] is type(metadata["intent"])(intent))
            and (func is None or bool(func(declared)))
        )

    return {key: declared for key, declared in found.items() if is_wanted(declared)}

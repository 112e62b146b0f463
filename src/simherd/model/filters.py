"""Looking for variables by what they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from simherd.model.model import Model
from simherd.model.process import inspect_process
from simherd.model.variables import Attribute, VarIntent, VarType

__all__ = ["filter_variables"]


def filter_variables(
    process: Any,
    var_type: str | VarType | None = None,
    intent: str | VarIntent | None = None,
    group: str | None = None,
    func: Callable[[Attribute], Any] | None = None,
) -> dict[Any, Attribute]:
    """Return the variables of a process or model that fulfil all conditions given.

    Parameters
    ----------
    process : process class, process or Model
        Where to look.
    var_type : str or VarType, optional
        Kind of variable.
    intent : str or VarIntent, optional
        What the process does with it.
    group : str, optional
        Only members of this group.
    func : callable, optional
        Called with the declaration (an attrs field), returns whether it is wanted.

    Returns
    -------
    dict
        Declarations by name, or by (process, variable) for a model.
    """
    if isinstance(process, Model):
        found: dict[Any, Attribute] = {k: v.declared for k, v in process.graph.variables.items()}
    else:
        found = dict(inspect_process(process if isinstance(process, type) else type(process)).variables)

    def is_wanted(declared: Attribute) -> bool:
        metadata = declared.metadata
        return (
            (var_type is None or metadata["var_type"] is VarType(var_type))
            and (intent is None or metadata["intent"] is VarIntent(intent))
            and (group is None or group in metadata["groups"])
            and (func is None or bool(func(declared)))
        )

    return {key: declared for key, declared in found.items() if is_wanted(declared)}

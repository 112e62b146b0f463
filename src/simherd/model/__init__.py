"""What a simulation is: variables, processes and the model that they make.

Knows attrs and pure Python; no Dask, no Zarr, no xarray.
"""

from simherd.model.describe import process_info, variable_info
from simherd.model.dims import MAIN_CLOCK
from simherd.model.filters import filter_variables
from simherd.model.graph import Graph, Key, Variable, join_name
from simherd.model.hooks import RuntimeHook, runtime_hook
from simherd.model.model import Model, active_model
from simherd.model.process import process
from simherd.model.runtime import RuntimeContext, RuntimeSignal, runtime
from simherd.model.variables import (
    VarIntent,
    VarType,
    any_object,
    foreign,
    global_ref,
    group,
    group_dict,
    index,
    on_demand,
    variable,
)

__all__ = [
    "MAIN_CLOCK",
    "Graph",
    "Key",
    "Model",
    "RuntimeContext",
    "RuntimeHook",
    "RuntimeSignal",
    "VarIntent",
    "VarType",
    "Variable",
    "active_model",
    "any_object",
    "filter_variables",
    "foreign",
    "global_ref",
    "group",
    "group_dict",
    "index",
    "join_name",
    "on_demand",
    "process",
    "process_info",
    "runtime",
    "runtime_hook",
    "variable",
    "variable_info",
]

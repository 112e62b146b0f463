"""xarray-simlab's names, each one a thin layer over ours.

Either import this module in place of xarray-simlab, ``import simherd.compat.xsimlab as xs``, or call
`install` once, before the first ``import xsimlab``, which then finds this module. What differs from
xarray-simlab 0.5.0, and why, stands in docs/xarray-simlab.md.
"""

from simherd.compat.xsimlab import (
    dot,
    formatting,
    hook,
    ipython,
    model,
    monitoring,
    utils,
    validators,
    xr_accessor,
)
from simherd.compat.xsimlab.hook import RuntimeHook, runtime_hook
from simherd.compat.xsimlab.install import install
from simherd.compat.xsimlab.model import Model
from simherd.compat.xsimlab.process import (
    RuntimeSignal,
    filter_variables,
    process,
    process_info,
    runtime,
    variable_info,
)
from simherd.compat.xsimlab.variable import (
    any_object,
    foreign,
    global_ref,
    group,
    group_dict,
    index,
    on_demand,
    variable,
)
from simherd.compat.xsimlab.xr_accessor import SimlabAccessor, create_setup
from simherd.model.dims import MAIN_CLOCK

__all__ = [
    "MAIN_CLOCK",
    "Model",
    "RuntimeHook",
    "RuntimeSignal",
    "SimlabAccessor",
    "any_object",
    "create_setup",
    "dot",
    "filter_variables",
    "foreign",
    "formatting",
    "global_ref",
    "group",
    "group_dict",
    "hook",
    "index",
    "install",
    "ipython",
    "model",
    "monitoring",
    "on_demand",
    "process",
    "process_info",
    "runtime",
    "runtime_hook",
    "utils",
    "validators",
    "variable",
    "variable_info",
    "xr_accessor",
]

__version__ = "0.5.0"
"""The version of xarray-simlab whose names these are."""

__git_revision__ = "e4832bcf9e6d095d0df723ae868980993fc77acb"
"""The commit of xarray-simlab that was that version."""

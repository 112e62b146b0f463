"""simherd: run simulation models once on a laptop, or a million times on a cluster.

Names are loaded when they are first used, so that importing simherd costs nearly nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from simherd._accessor import register_when_xarray_loads

if TYPE_CHECKING:
    from simherd import accounting, errors, events, monitoring, validators
    from simherd.api.ragged import contiguous_ragged, read_ragged
    from simherd.api.run import run
    from simherd.clusters import open_client
    from simherd.clusters.report import performance_report
    from simherd.experiment.replay import replay
    from simherd.model import (
        MAIN_CLOCK,
        Model,
        RuntimeContext,
        RuntimeHook,
        RuntimeSignal,
        any_object,
        filter_variables,
        foreign,
        global_ref,
        group,
        group_dict,
        index,
        on_demand,
        process,
        process_info,
        runtime,
        runtime_hook,
        variable,
        variable_info,
    )
    from simherd.parallel.function import parallelize
    from simherd.parallel.parallel import Parallel
    from simherd.plots.visualize import visualize
    from simherd.setup.dataset import create_setup

__all__ = [
    "MAIN_CLOCK",
    "Model",
    "Parallel",
    "RuntimeContext",
    "RuntimeHook",
    "RuntimeSignal",
    "accounting",
    "any_object",
    "contiguous_ragged",
    "create_setup",
    "errors",
    "events",
    "filter_variables",
    "foreign",
    "global_ref",
    "group",
    "group_dict",
    "index",
    "monitoring",
    "on_demand",
    "open_client",
    "parallelize",
    "performance_report",
    "process",
    "process_info",
    "read_ragged",
    "replay",
    "run",
    "runtime",
    "runtime_hook",
    "validators",
    "variable",
    "variable_info",
    "visualize",
]

_ELSEWHERE = {
    "contiguous_ragged": "simherd.api.ragged",
    "create_setup": "simherd.setup.dataset",
    "Parallel": "simherd.parallel.parallel",
    "open_client": "simherd.clusters",
    "parallelize": "simherd.parallel.function",
    "performance_report": "simherd.clusters.report",
    "read_ragged": "simherd.api.ragged",
    "replay": "simherd.experiment.replay",
    "run": "simherd.api.run",
    "visualize": "simherd.plots.visualize",
}
_MODULES = {
    "accounting": "simherd.accounting",
    "errors": "simherd.errors",
    "events": "simherd.events",
    "monitoring": "simherd.monitoring",
    "validators": "simherd.validators",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("simherd")
    if name not in __all__:
        raise AttributeError(f"module 'simherd' has no attribute {name!r}")
    if name in _MODULES:
        return import_module(_MODULES[name])
    found = getattr(import_module(_ELSEWHERE.get(name, "simherd.model")), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])


register_when_xarray_loads()

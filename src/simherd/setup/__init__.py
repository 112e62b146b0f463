"""xarray on the way in: setups, clocks, names, samplers, and the plan made of them."""

from simherd.setup.clocks import clock_names, main_clock
from simherd.setup.dataset import (
    create_setup,
    filter_vars,
    find_model,
    output_clocks,
    reset_vars,
    update_clocks,
    update_vars,
)
from simherd.setup.planning import Setup, make_setup

__all__ = [
    "Setup",
    "clock_names",
    "create_setup",
    "filter_vars",
    "find_model",
    "main_clock",
    "make_setup",
    "output_clocks",
    "reset_vars",
    "update_clocks",
    "update_vars",
]

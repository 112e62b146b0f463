"""Let ``import xsimlab`` find our modules."""

from __future__ import annotations

import sys
from importlib import import_module

from simherd.errors import SetupError

__all__ = ["install", "is_installed"]

OURS = "simherd.compat.xsimlab"
THEIRS = "xsimlab"
SUBMODULES = (
    "dot",
    "formatting",
    "hook",
    "ipython",
    "model",
    "monitoring",
    "process",
    "utils",
    "validators",
    "variable",
    "xr_accessor",
)


def is_installed() -> bool:
    """Return whether ``import xsimlab`` gives our module."""
    return OURS in sys.modules and sys.modules.get(THEIRS) is sys.modules[OURS]


def install() -> None:
    """Make ``import xsimlab``, and of its submodules, give ours. Worker processes do the same.

    Raises
    ------
    SetupError
        If xarray-simlab itself was imported before.
    """
    if THEIRS in sys.modules and not is_installed():
        raise SetupError(
            "Cannot stand in for xarray-simlab: it is imported already.",
            fix="call simherd.compat.xsimlab.install() before the first 'import xsimlab'.",
        )
    sys.modules[THEIRS] = import_module(OURS)
    for name in SUBMODULES:
        sys.modules[f"{THEIRS}.{name}"] = import_module(f"{OURS}.{name}")

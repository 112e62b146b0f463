"""The settings of worker jobs in the environment: the job that submits them must have the same."""

from __future__ import annotations

import os
from collections.abc import Mapping

__all__ = ["PATHS", "settings_in_use"]

PATHS = ("DASK_CONFIG", "DASK_ROOT_CONFIG")
"""Variables that name files or folders with settings."""
SECTIONS = ("DASK_DISTRIBUTED__", "DASK_JOBQUEUE__", "DASK_SIMHERD__")
"""What variables begin with that are settings of worker jobs themselves."""


def settings_in_use(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables from which settings of worker jobs come, files by their absolute paths.

    Parameters
    ----------
    environment : mapping of str to str
        Environment variables of the process that checks the settings.
    """
    found = {name: os.path.abspath(environment[name]) for name in PATHS if environment.get(name)}
    found = {name: path for name, path in found.items() if os.path.exists(path)}
    own = {name: value for name, value in sorted(environment.items()) if name.startswith(SECTIONS)}
    return {**found, **own}

"""``%load_ext xsimlab.ipython``; see `simherd.ipython`."""

from __future__ import annotations

from typing import Any

from simherd.ipython import register_create_setup

__all__ = ["load_ipython_extension"]


def load_ipython_extension(shell: Any) -> None:
    """Add the magic ``%create_setup``."""
    register_create_setup(shell, module="xsimlab", alias="xs")

"""Hooks of the user."""

from __future__ import annotations

from typing import Any

from simherd.model import hooks as native
from simherd.model.hooks import runtime_hook

__all__ = ["RuntimeHook", "runtime_hook"]


class RuntimeHook(native.RuntimeHook):
    """Hooks that belong together; see `simherd.RuntimeHook`.

    Derived classes need not call this one's ``__init__``.
    """

    def __getattr__(self, name: str) -> Any:
        if name != "functions":
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        native.RuntimeHook.__init__(self)
        return self.functions

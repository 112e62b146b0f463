"""Give every Dataset the attribute ``simherd``, without loading xarray before the user does."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

__all__ = ["register_when_xarray_loads"]


def register_when_xarray_loads() -> None:
    """Register the accessor now if xarray is loaded, else as soon as it is."""
    if "xarray" in sys.modules and hasattr(sys.modules["xarray"], "register_dataset_accessor"):
        _register(sys.modules["xarray"])
    elif not any(isinstance(finder, _XarrayFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _XarrayFinder())


def _register(xarray: Any) -> None:
    if not hasattr(xarray.Dataset, "simherd"):
        xarray.register_dataset_accessor("simherd")(_make_accessor)


def _make_accessor(dataset: Any) -> Any:
    return import_module("simherd.api.accessor").SimherdAccessor(dataset)


class _XarrayFinder:
    """Lets xarray be found as always, and registers the accessor when it has been loaded."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "xarray":
            return None
        sys.meta_path.remove(self)
        spec = find_spec("xarray")
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_register(module: ModuleType) -> None:
                load(module)
                _register(module)

            spec.loader.exec_module = load_and_register  # type: ignore[method-assign]
        return spec

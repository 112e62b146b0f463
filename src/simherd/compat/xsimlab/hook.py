"""Hooks of the user."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from simherd.compat.xsimlab.process import SimulationStage
from simherd.model import hooks as native
from simherd.model.hooks import HOOK
from simherd.model.runtime import signal_of_number

__all__ = ["RuntimeHook", "flatten_hooks", "group_hooks", "runtime_hook", "unregistered"]

Grouped = dict[Any, dict[str, dict[str, list[Callable[..., Any]]]]]


def runtime_hook(
    stage: str, level: str = "model", trigger: str = "post"
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Mark a function, or a method of a `RuntimeHook`, as a hook; see `simherd.runtime_hook`.

    It may return a signal as a number.
    """
    mark = native.runtime_hook(getattr(stage, "value", stage), level, trigger)

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        return mark(numbers_as_signals(function))

    return decorate


def numbers_as_signals(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a hook that answers with signals where a function answers with their numbers."""

    @wraps(function)
    def hook(*args: Any) -> Any:
        return signal_of_number(function(*args))

    return hook


class RuntimeHook(native.RuntimeHook):
    """Hooks that belong together; see `simherd.RuntimeHook`.

    Derived classes need not call this one's ``__init__``.
    """

    def register(self) -> None:
        """Call the hooks in all runs from now on, once however often they are registered."""
        if self not in RuntimeHook.active:
            super().register()


def unregistered(hooks: Iterable[Any]) -> list[Any]:
    """Return hooks without those that are registered or repeated: each is called once."""
    return [hook for hook in dict.fromkeys(hooks) if hook not in native.RuntimeHook.active]


def flatten_hooks(objects: Iterable[Any]) -> list[Callable[..., Any]]:
    """Return functions for functions and `RuntimeHook` objects."""
    given = [one.functions if isinstance(one, native.RuntimeHook) else (one,) for one in objects]
    return [function for functions in given for function in functions]


def group_hooks(hooks: Iterable[Callable[..., Any]]) -> Grouped:
    """Return marked functions by stage, level and trigger, as `Model.execute` takes them."""
    grouped: Grouped = {}
    for function in hooks:
        level, stage, trigger = getattr(function, HOOK)
        levels = grouped.setdefault(SimulationStage(stage), {})
        levels.setdefault(level, {}).setdefault(trigger, []).append(function)
    return grouped

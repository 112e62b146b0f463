"""Functions of the user that are called at the stages of a simulation."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias, TypeVar

from simherd.errors import ModelError, close_matches
from simherd.model.runtime import STAGES, RuntimeSignal

__all__ = ["HookTable", "RuntimeHook", "gather_hooks", "runtime_hook"]

HOOK = "__simherd_hook__"
LEVELS = ("model", "process")
TRIGGERS = ("pre", "post")

Place: TypeAlias = tuple[str, str, str]
F = TypeVar("F", bound=Callable[..., Any])


def runtime_hook(stage: str, level: str = "model", trigger: str = "post") -> Callable[[F], F]:
    """Mark a function, or a method of a `RuntimeHook`, as a hook.

    Parameters
    ----------
    stage : {"initialize", "run_step", "finalize_step", "finalize"}
        Stage at which it is called.
    level : {"model", "process"}, optional
        Once for the model, or for each process that has the stage.
    trigger : {"pre", "post"}, optional
        Before or after.

    Raises
    ------
    ModelError
        If one of them is something else.
    """
    for found, allowed in ((stage, STAGES), (level, LEVELS), (trigger, TRIGGERS)):
        if found not in allowed:
            raise ModelError(f"runtime_hook got {found!r}. {close_matches(str(found), allowed)}")

    def mark(function: F) -> F:
        setattr(function, HOOK, (level, stage, trigger))
        return function

    return mark


class RuntimeHook:
    """Hooks that belong together.

    Give functions marked with `runtime_hook`, or derive a class with such methods. Use it in ``with``
    or call `register` to have it called in all runs until `unregister`.
    """

    active: ClassVar[dict[RuntimeHook, None]] = {}

    def __init__(self, *functions: Callable[..., Any]) -> None:
        self._given_functions = functions
        for function in self.functions:
            _place_of(function)

    @property
    def functions(self) -> tuple[Callable[..., Any], ...]:
        """Functions given and methods that are hooks; derived classes need not call our ``__init__``."""
        return (*getattr(self, "_given_functions", ()), *self._methods())

    def _methods(self) -> list[Callable[..., Any]]:
        """Return the hooks among the methods, those of base classes first."""
        members = [member for cls in reversed(type(self).__mro__) for member in vars(cls).items()]
        names = dict.fromkeys(name for name, member in members if hasattr(member, HOOK))
        methods = [getattr(self, name) for name in names]
        return [method for method in methods if hasattr(method, HOOK)]

    def register(self) -> None:
        """Call the hooks in all runs from now on."""
        if self in RuntimeHook.active:
            raise ModelError("This hook is registered already.")
        RuntimeHook.active[self] = None

    def unregister(self) -> None:
        """Call the hooks no more."""
        if self not in RuntimeHook.active:
            raise ModelError("This hook is not registered.")
        del RuntimeHook.active[self]

    def __enter__(self) -> RuntimeHook:
        self.register()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.unregister()


@dataclass(frozen=True, slots=True)
class HookTable:
    """Hooks sorted by where they are called, each in the order given."""

    functions: Mapping[Place, tuple[Callable[..., Any], ...]] = field(default_factory=dict)
    """Hooks by level, stage and trigger."""

    def __bool__(self) -> bool:
        return bool(self.functions)

    def has(self, level: str, stage: str, trigger: str) -> bool:
        """Return whether there are hooks at one place."""
        return (level, stage, trigger) in self.functions

    def watches_processes(self) -> bool:
        """Return whether there are hooks at process level."""
        return any(level == "process" for level, _, _ in self.functions)

    def call(self, level: str, stage: str, trigger: str, *args: Any) -> RuntimeSignal:
        """Call the hooks of one place and return the highest signal."""
        highest = RuntimeSignal.NONE
        for function in self.functions.get((level, stage, trigger), ()):
            answer = function(*args)
            if isinstance(answer, RuntimeSignal):
                highest = max(highest, answer)
        return highest


def gather_hooks(hooks: Iterable[Any] | None = None) -> HookTable:
    """Return registered and given hooks as a table.

    Parameters
    ----------
    hooks : iterable of callable or RuntimeHook, optional
        Hooks of one run.

    Raises
    ------
    ModelError
        If they are not several, or a function is not marked with `runtime_hook` or does not take three
        arguments.
    """
    if not isinstance(hooks, Iterable | None):
        raise ModelError(f"hooks: a list is needed, found {hooks!r}.", fix="give hooks=[...].")
    table: dict[Place, list[Callable[..., Any]]] = {}
    for hook in (*RuntimeHook.active, *(hooks or ())):
        for function in hook.functions if isinstance(hook, RuntimeHook) else (hook,):
            table.setdefault(_place_of(function), []).append(function)
    return HookTable({place: tuple(functions) for place, functions in table.items()})


def _place_of(function: Any) -> Place:
    place: Place | None = getattr(function, HOOK, None)
    if place is None:
        raise ModelError(f"{function!r} is not a hook.", fix="mark it with @runtime_hook(stage).")
    try:
        inspect.signature(function).bind("model", "context", "state")
    except TypeError:
        name = getattr(function, "__name__", repr(function))
        raise ModelError(f"Hook {name!r} must take three arguments: model, context and state.") from None
    return place

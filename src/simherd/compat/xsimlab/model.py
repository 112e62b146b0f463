"""The model, with the private names that packages for xarray-simlab touch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, ClassVar, TypeVar

from simherd.compat.xsimlab.context import as_context
from simherd.compat.xsimlab.formatting import repr_model
from simherd.compat.xsimlab.hook import numbers_as_signals
from simherd.compat.xsimlab.install import install, is_installed
from simherd.compat.xsimlab.process import MODEL, filter_variables, get_process_cls
from simherd.model import model as native
from simherd.model.graph import Key, Variable, join_name
from simherd.model.hooks import HookTable
from simherd.model.runtime import RuntimeContext, RuntimeSignal
from simherd.model.variables import VarType
from simherd.user_warnings import warn_user

__all__ = ["Model", "filter_variables", "get_model_variables"]

M = TypeVar("M", bound="Model")

_OF_THE_REFERENCE = ("var_type", "intent", "global_name")


class Model(native.Model):
    """A set of processes that together make a simulation model; see `simherd.Model`.

    Parameters
    ----------
    processes : mapping of str to type
        Process classes by name.
    order : iterable of (str, str), optional
        Processes of which the first runs before the second, where their variables leave it open.
    """

    active: ClassVar[list[Model]] = []

    def __init__(self, processes: Mapping[str, type], *, order: Iterable[tuple[str, str]] = ()) -> None:
        _warn_if_patched()
        super().__init__({name: get_process_cls(cls) for name, cls in processes.items()}, order=order)

    def _reset(self) -> None:
        super()._reset()
        vars(self).pop("_var_cache", None)
        for instance in self.values():
            vars(instance)[MODEL] = self

    @property
    def _processes(self) -> dict[str, Any]:
        return dict(self)

    @cached_property
    def _var_cache(self) -> dict[Key, dict[str, Any]]:
        return {key: _cache_entry(variable) for key, variable in self.graph.variables.items()}

    @property
    def cache(self) -> dict[Key, dict[str, Any]]:
        """Name, declaration, metadata and last cached value of each variable."""
        return self._var_cache

    def update_cache(self, var_key: Key) -> None:
        """Keep the present value of a variable in `cache`."""
        self._var_cache[var_key]["value"] = getattr(self[var_key[0]], var_key[1])

    def execute(
        self,
        stage: str,
        runtime_context: RuntimeContext | Mapping[str, Any] | None = None,
        hooks: Iterable[Any] | Mapping[Any, Any] | HookTable | None = None,
        validate: bool = False,
        parallel: bool = False,
        scheduler: Any = None,
    ) -> RuntimeSignal:
        """Run one stage of all processes; see `simherd.Model.execute`.

        Parameters
        ----------
        runtime_context : mapping, optional
            What processes may ask of the run, and more that hooks may look up.
        hooks : iterable or mapping, optional
            Also in xarray-simlab's form, functions by stage, level and trigger.
        parallel, scheduler : optional
            Accepted and not used: processes run one after another, with the same result.
        """
        stage = getattr(stage, "value", stage)
        given = _ungrouped(hooks) if isinstance(hooks, Mapping) else hooks
        return super().execute(stage, as_context(runtime_context or {}), given, validate)

    def drop_processes(self: M, keys: str | Iterable[str]) -> M:
        """Return a model without some processes; names that it does not have are ignored."""
        names = [keys] if isinstance(keys, str) else keys
        return super().drop_processes([name for name in names if name in self])

    def visualize(
        self,
        show_only_variable: Key | None = None,
        show_inputs: bool = False,
        show_variables: bool = False,
    ) -> Any:
        """Draw the model; see `simherd.compat.xsimlab.dot.dot_graph`."""
        from simherd.compat.xsimlab.dot import dot_graph

        return dot_graph(
            self,
            show_only_variable=show_only_variable,
            show_inputs=show_inputs,
            show_variables=show_variables,
        )

    def __enter__(self: M) -> M:
        super().__enter__()
        Model.active.append(self)
        return self

    def __exit__(self, *exc_info: object) -> None:
        Model.active.remove(self)
        super().__exit__(*exc_info)

    def __repr__(self) -> str:
        return repr_model(self)

    def __reduce__(self) -> Any:
        rebuild = _rebuild_installed if is_installed() else _rebuild
        state = {k: v for k, v in self.__getstate__().items() if k != "_var_cache"}
        # The user's classes travel, since the derived ones refer to them and they to those
        return rebuild, (type(self), {**state, "_graph": (_user_classes(self), self.graph.pairs)})


def _ungrouped(hooks: Mapping[Any, Any]) -> HookTable:
    """Return hooks that are given by stage, level and trigger."""
    return HookTable(
        {
            (level, getattr(stage, "value", stage), trigger): tuple(map(numbers_as_signals, functions))
            for stage, levels in hooks.items()
            for level, triggers in levels.items()
            for trigger, functions in triggers.items()
        }
    )


def _user_classes(model: Model) -> dict[str, type]:
    classes = model.graph.classes
    return {n: c.__bases__[0] if "__xsimlab_process__" in vars(c) else c for n, c in classes.items()}


def _rebuild(cls: type[Model], state: dict[str, Any]) -> Model:
    model = cls.__new__(cls)
    users, pairs = state["_graph"]
    classes = {name: get_process_cls(process) for name, process in users.items()}
    model.__setstate__({**state, "_graph": (classes, pairs)})
    return model


class _RebuildInstalled:
    """Rebuilds a model where `install` has been called.

    Pickle loads this object before the classes of the model, whose modules import xsimlab.
    """

    def __reduce__(self) -> Any:
        return _install_and_give_rebuild, ()

    def __call__(self, cls: type[Model], state: dict[str, Any]) -> Model:
        return _rebuild(cls, state)


_rebuild_installed = _RebuildInstalled()


def _install_and_give_rebuild() -> _RebuildInstalled:
    install()
    return _rebuild_installed


def _cache_entry(variable: Variable) -> dict[str, Any]:
    metadata = dict(variable.declared.metadata)
    if variable.type is VarType.GLOBAL:
        own = {key: metadata[key] for key in _OF_THE_REFERENCE}
        metadata = {**variable.owner.metadata, **own}
    return {
        "name": join_name(variable.key),
        "attrib": variable.declared,
        "metadata": metadata,
        "value": None,
    }


def get_model_variables(p_mapping: Mapping[str, Any], **conditions: Any) -> list[Key]:
    """Return the variables of processes that fulfil the conditions of `filter_variables`."""
    return [(name, v) for name, process in p_mapping.items() for v in filter_variables(process, **conditions)]


class _ModelBuilder:
    """A name that packages import to replace some of its methods. Our models are not made by it."""

    def set_state(self) -> None:
        """Do nothing."""


_set_state = _ModelBuilder.set_state


def _warn_if_patched() -> None:
    if _ModelBuilder.set_state is not _set_state:
        warn_user(
            "A replaced xsimlab.model._ModelBuilder.set_state has no effect: values are attributes of "
            "the processes here, not entries of a mapping that could be exchanged.",
            UserWarning,
        )

"""The model: processes by name, wired, ordered and ready to run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar, Token
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, BinaryIO, TypeVar

from simherd.errors import ModelError, UnknownNameError, close_matches
from simherd.model.contents import Contents
from simherd.model.copies import own_value
from simherd.model.frozen import freeze, thaw
from simherd.model.graph import Key, Pair, join_name, pairs_without
from simherd.model.hooks import HookTable, gather_hooks
from simherd.model.names import find_key, flatten_keys, name_pairs, shown_name
from simherd.model.runtime import STAGES, RuntimeContext, RuntimeSignal, as_context
from simherd.model.stages import CompiledStages, SplitStages, Stages, compile_stages
from simherd.model.state import LiveProcesses, ModelState
from simherd.model.variables import Attribute, VarType
from simherd.model.watching import ProcessWatcher
from simherd.model.wiring import build_graph

__all__ = ["Model", "SetupDefaults", "active_model"]

M = TypeVar("M", bound="Model")


@dataclass(frozen=True, kw_only=True, slots=True)
class SetupDefaults:
    """Clocks and outputs that go with a model, for setups that are given none."""

    clocks: Mapping[str, Any] = field(default_factory=dict)
    """Labels by name."""
    main_clock: str | Mapping[str, Any] | None = None
    """The main one, where there are several."""
    outputs: Mapping[Key, Any] = field(default_factory=dict)
    """The clock of each output; None saves it at the end."""


_active: ContextVar[Model | None] = ContextVar("simherd_active_model", default=None)


def active_model() -> Model | None:
    """Return the model of the ``with model:`` block that we are in, if any."""
    return _active.get()


class Model(Contents):
    """A set of processes that together make a simulation model.

    Behaves as a mapping of names to process objects, which are attributes too: ``model.flow``.

    Parameters
    ----------
    processes : mapping of str to type
        Process classes by name.
    order : iterable of (str, str), optional
        Pairs of processes of which the first runs before the second, where variables leave that open:
        an "inout" variable makes nobody wait.
    clocks : mapping, optional
        Clocks of setups that are given none, see `create_setup`.
    main_clock : str or mapping, optional
        The main one of these, where there are several.
    outputs : mapping, optional
        Outputs of setups that are given none, and the clock of each.

    Raises
    ------
    ModelError
        If the processes do not fit together: an unknown reference, two that set one variable, or
        change it with nothing to say which comes first, a circle.
    UnknownNameError
        If `order` or `outputs` name something that the model does not have.
    """

    def __init__(
        self,
        processes: Mapping[str, type],
        *,
        order: Iterable[Pair] = (),
        clocks: Mapping[str, Any] | None = None,
        main_clock: str | Mapping[str, Any] | None = None,
        outputs: Mapping[Any, Any] | None = None,
    ) -> None:
        for name in processes:
            if not isinstance(name, str) or not name:
                raise ModelError(f"Process names are texts, got {name!r}.")
        self._graph = build_graph(processes, order)
        self._defaults = SetupDefaults(
            clocks=dict(clocks or {}),
            main_clock=main_clock,
            outputs=flatten_keys(outputs or {}, self._graph, "outputs"),
        )
        self._compiled: dict[str, CompiledStages] = {}
        self._reset()

    def _reset(self) -> None:
        """Forget all values: fresh process objects are made when they are needed."""
        self._live_processes: LiveProcesses | None = None
        self._token: Token[Model | None] | None = None

    @property
    def setup_defaults(self) -> SetupDefaults:
        """Clocks and outputs of setups that are given none."""
        return self._defaults

    @property
    def _live(self) -> LiveProcesses:
        if self._live_processes is None:
            self._live_processes = LiveProcesses(self._graph, self._compile("plain"))
        return self._live_processes

    @property
    def _objects(self) -> dict[str, Any]:
        return self._live.objects

    @property
    def stages(self) -> Stages:
        """The compiled stages of this model's own process objects."""
        return self._live.stages

    def _compile(self, kind: str) -> CompiledStages:
        if kind not in self._compiled:
            options = {"watched": kind == "watched", "split": kind == "split"}
            self._compiled[kind] = compile_stages(self._graph, **options)
        return self._compiled[kind]

    def watched_stages(self, hooks: HookTable, validate: bool) -> Stages:
        """Return stages that call hooks at process level and validate after each process."""
        stages: Stages = self._live.bind(self._compile("watched"), ProcessWatcher(self, hooks, validate))
        return stages

    def split_stages(self) -> tuple[Callable[[], None], SplitStages]:
        """Return a function to call before each stage, and one for each process of each stage.

        The latter return whether the process answered BREAK.
        """
        stages = dict(self._live.bind(self._compile("split")))
        return stages.pop("begin"), stages

    def locate(self, error: BaseException) -> tuple[str, str] | None:
        """Return the process and the stage in which an error was raised, if any."""
        found = (compiled.locate(error.__traceback__) for compiled in self._compiled.values())
        return next((place for place in found if place is not None), None)

    def __getstate__(self) -> dict[str, Any]:
        own = {k: v for k, v in vars(self).items() if k not in _LIVE}
        return {**own, "_graph": (dict(self._graph.classes), self._graph.pairs)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _graph=build_graph(*state["_graph"]), _compiled={})
        self._reset()

    # Running stage by stage

    @property
    def state(self) -> ModelState:
        """The values that are set; a view that writes through."""
        return ModelState(self._live)

    def update_state(
        self,
        input_vars: Mapping[Any, Any],
        validate: bool = True,
        ignore_static: bool = False,
        ignore_invalid_keys: bool = True,
    ) -> None:
        """Give values to inputs.

        Parameters
        ----------
        input_vars : mapping
            Values by name: ``{("process", "variable"): value}``, ``{"process__variable": value}`` or
            ``{"process": {"variable": value}}``. They are copied, with what they hold where that can be
            done, and converted by the variable's converter.
        validate : bool, optional
            Call the validators of the processes concerned.
        ignore_static : bool, optional
            True lets static variables change.
        ignore_invalid_keys : bool, optional
            False raises an error for keys that are no inputs.

        Raises
        ------
        UnknownNameError
            If a key is no input.
        ModelError
            If a static variable would change.
        SetupError
            If a value cannot be copied.
        """
        known = set(self._graph.inputs)
        if not known.issuperset(input_vars):
            input_vars = dict(self._known_inputs(input_vars, ignore_invalid_keys))
        for key, value in input_vars.items():
            self._check_static(key, ignore_static)
            self._assign_input(key, value)
        if validate:
            self.validate(dict.fromkeys(key[0] for key in input_vars))

    def _known_inputs(self, given: Mapping[Any, Any], ignore_invalid_keys: bool) -> Iterator[tuple[Key, Any]]:
        for name, value in name_pairs(given, self._graph.classes):
            key = find_key(name, self._graph)
            if key in self._graph.inputs:
                yield key, value
            elif not ignore_invalid_keys:
                shown = shown_name(name)
                raise UnknownNameError(
                    f"{shown} is not an input of the model. "
                    f"{close_matches(shown, map(join_name, self._graph.inputs))}"
                )

    def _check_static(self, key: Key, ignore_static: bool) -> None:
        if self._graph.variables[key].is_static and not ignore_static:
            raise ModelError(f"Cannot set value for static variable {join_name(key)}.")

    def _assign_input(self, key: Key, value: Any) -> None:
        variable = self._graph.variables[key]
        value = own_value(value)
        self._live.assign(key, variable.converter(value) if variable.converter else value)

    def validate(self, p_names: Iterable[str] | None = None) -> None:
        """Call the validators of all variables that have a value.

        Parameters
        ----------
        p_names : iterable of str, optional
            Only the variables of these processes.
        """
        for process in self._graph.order if p_names is None else p_names:
            _validate(self._objects[process], self._graph.infos[process].variables.values())

    def check_intents(self) -> None:
        """Check, between stages, that nobody but its setters has assigned a variable.

        Raises
        ------
        ModelError
            If an input has another value than it was given, or a reference another than the owner.
        """
        strays = [join_name(key) for key in self._live.strays()]
        if strays:
            raise ModelError(
                f"Assigned by a process that may only read it, or outside of stages: {', '.join(strays)}.",
                fix="declare intent='inout' or 'out' where a process sets a variable, and set it in a stage.",
            )

    def execute(
        self,
        stage: str,
        runtime_context: RuntimeContext | Mapping[str, Any] | None = None,
        hooks: Iterable[Any] | HookTable | None = None,
        validate: bool = False,
    ) -> RuntimeSignal:
        """Run one stage of all processes.

        Parameters
        ----------
        stage : {"initialize", "run_step", "finalize_step", "finalize"}
            The stage.
        runtime_context : RuntimeContext or mapping, optional
            What processes may ask of the run, by the names of its fields.
        hooks : iterable, optional
            Hooks, besides those registered.
        validate : bool, optional
            Call the validators of all that a process sets, after it, and check intents.

        Returns
        -------
        RuntimeSignal
            The signal of the hooks at model level.

        Raises
        ------
        UnknownNameError
            If there is no such stage, or the context has names that a run does not have.
        """
        if stage not in STAGES:
            raise UnknownNameError(f"There is no stage {stage!r}. {close_matches(stage, STAGES)}")
        context = as_context(runtime_context or {})
        table = hooks if isinstance(hooks, HookTable) else gather_hooks(hooks)
        watched = validate or table.watches_processes()
        stages = self.watched_stages(table, validate) if watched else self.stages
        self._live.share()
        return self.run_hooked(stages[stage], stage, context, table)

    def run_hooked(self, run: Any, stage: str, context: RuntimeContext, hooks: HookTable) -> RuntimeSignal:
        """Run a stage between the hooks at model level and return their signal."""
        signal = self.call_hooks(hooks, "model", stage, "pre", context)
        if signal is not RuntimeSignal.NONE:
            return signal
        run(context)
        return self.call_hooks(hooks, "model", stage, "post", context)

    def call_hooks(
        self, hooks: HookTable, level: str, stage: str, trigger: str, context: RuntimeContext
    ) -> RuntimeSignal:
        """Call the hooks of one place, let all processes see what they set, and return their signal."""
        if not hooks.has(level, stage, trigger):
            return RuntimeSignal.NONE
        signal = hooks.call(level, stage, trigger, self, context, MappingProxyType(self.state))
        self._live.share()
        return signal

    def freeze(self, file: BinaryIO, provided: Mapping[Key, Any], more: Any = None) -> None:
        """Write all values that processes have between two stages, see `simherd.model.frozen.freeze`."""
        freeze(self._live, file, provided, more)

    def thaw(self, file: BinaryIO) -> Any:
        """Take values that `freeze` has written, and return what was frozen with them."""
        return thaw(self._live, file)

    # Making others of it

    def clone(self: M) -> M:
        """Return a model of the same processes, without values."""
        new = type(self).__new__(type(self))
        new.__dict__.update(self.__dict__)
        new._reset()
        return new

    def update_processes(self: M, processes: Mapping[str, type]) -> M:
        """Return a model with some processes added or replaced."""
        return self._with({**self._graph.classes, **processes}, self._graph.pairs)

    def _with(self: M, processes: Mapping[str, type], pairs: Iterable[Pair]) -> M:
        """Return such a model of other processes; a class of the user may take nothing but these."""
        options: dict[str, Any] = {"order": tuple(pairs)} if pairs else {}
        new = type(self)(processes, **options)
        known = new.graph.variables
        outputs = {key: clock for key, clock in self._defaults.outputs.items() if key in known}
        new._defaults = replace(self._defaults, outputs=outputs)
        return new

    def drop_processes(self: M, keys: str | Iterable[str]) -> M:
        """Return a model without some processes; those before and after a dropped one keep their order.

        Raises
        ------
        UnknownNameError
            If the model does not have one of them.
        """
        dropped = [keys] if isinstance(keys, str) else list(keys)
        for name in dropped:
            if name not in self._graph.classes:
                raise UnknownNameError(
                    f"Cannot drop process {name!r}. {close_matches(name, self._graph.classes)}"
                )
        pairs = self._graph.pairs
        for name in dropped:
            pairs = pairs_without(pairs, name)
        return self._with({n: c for n, c in self._graph.classes.items() if n not in dropped}, pairs)

    def __enter__(self: M) -> M:
        if _active.get() is not None:
            raise ModelError("There is already a model object in context.")
        self._token = _active.set(self)
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._token is not None:
            _active.reset(self._token)
            self._token = None


_LIVE = ("_live_processes", "_token", "_compiled")


def _validate(instance: Any, fields: Iterable[Attribute]) -> None:
    for declared in fields:
        if declared.validator is not None and declared.metadata["var_type"] is not VarType.ON_DEMAND:
            try:
                value = getattr(instance, declared.name)
            except AttributeError:
                continue
            declared.validator(instance, declared, value)

"""Processes that are called for one simulation after another inside a block that is advanced as arrays.

Each simulation has process objects of its own for them, which live as long as the block. Before a process
is called for a simulation, these get that simulation's rows of what it reads; what it has set in all
simulations becomes one array again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from simherd.engine.plan import Array, Plan
from simherd.engine.rows import EachRow, has_rows, rows_of, stack
from simherd.errors import VectorizeError
from simherd.model.access import NAME, PROCESS
from simherd.model.graph import Graph, Key
from simherd.model.model import Model
from simherd.model.process import Compute, ProcessInfo, inspect_process
from simherd.model.randomness import NO_GENERATORS, Generators
from simherd.model.runtime import RNG, RuntimeContext, RuntimeSignal
from simherd.model.stages import CompiledStages
from simherd.model.state import LiveProcesses

__all__ = ["Rows", "attach_rows", "loop_over", "looped_processes", "place"]

ROWS = "__simherd_rows__"


def looped_processes(graph: Graph) -> frozenset[str]:
    """Return the processes that are not called with arrays.

    Those marked ``vectorized=False``; where some are marked True, those without a mark; and all that ask
    for random numbers, which each simulation has for itself.
    """
    infos = graph.infos
    is_marked = any(info.vectorized for info in infos.values())
    return frozenset(
        name
        for name, info in infos.items()
        if info.vectorized is False
        or (info.vectorized is None and is_marked)
        or any(RNG in asked for asked in info.stages.values())
    )


def loop_over(model: Model, processes: Collection[str]) -> Model:
    """Return a model in which some processes are called for one simulation after another."""
    if not processes:
        return model
    return model.update_processes({name: _looped_class(model.graph.classes[name]) for name in processes})


def _looped_class(cls: type) -> type:
    info = inspect_process(cls)
    on_demand = {name: Compute(_computer(name), one.is_cached) for name, one in info.on_demand.items()}
    looped: ProcessInfo = replace(info, stages=dict.fromkeys(info.stages, ()), on_demand=on_demand)
    stages = {stage: _caller(stage) for stage in info.stages}
    return type(cls.__name__, (cls,), {"__module__": cls.__module__, PROCESS: looped, **stages})


def _caller(stage: str) -> Callable[[Any], RuntimeSignal | None]:
    def call(process: Any) -> RuntimeSignal | None:
        rows: Rows = vars(process)[ROWS]
        return rows.call(vars(process)[NAME], stage)

    return call


def _computer(variable: str) -> Callable[[Any], Any]:
    def compute(process: Any) -> Any:
        rows: Rows = vars(process)[ROWS]
        return rows.compute(vars(process)[NAME], variable)

    return compute


def attach_rows(model: Model, rows: Rows) -> None:
    """Let the looped processes of a model find the simulations that they loop over."""
    for name in rows.processes:
        vars(model[name])[ROWS] = rows


def place(graph: Graph, objects: Mapping[str, Any], home: Key, value: Any) -> None:
    """Give a value, converted already, to all processes that hold it."""
    for process, name in graph.holders[home]:
        vars(objects[process])[name] = value


class Rows:
    """The simulations of a block one by one.

    Parameters
    ----------
    graph : Graph
        The processes as the user declared them.
    compiled : CompiledStages
        Their stages, a function for each process.
    processes : collection of str
        Those that are looped over.
    model : Model
        The processes of the whole block.
    context : RuntimeContext
        Where the block stands; its ``batch`` is the positions of all simulations.
    plan : Plan
        What the simulations have in common.
    """

    def __init__(
        self,
        graph: Graph,
        compiled: CompiledStages,
        processes: Collection[str],
        model: Model,
        context: RuntimeContext,
        plan: Plan,
    ) -> None:
        self.graph = graph
        self.processes = processes
        self.model = model
        self.context = context
        self.clock = plan.clock
        self.numbers: list[int] = np.asarray(context.batch).tolist()
        self.lives = [LiveProcesses(graph, compiled) for _ in self.numbers]
        seed = plan.seed
        self.rngs = [NO_GENERATORS if seed is None else Generators(seed, n) for n in self.numbers]
        self.seen: dict[Key, Any] = {}
        self.sources = {name: self._sources(name) for name in processes}
        self.own = {home for home in graph.holders if self._is_own(home)}

    def _sources(self, process: str) -> list[Key]:
        touched = self.graph.touched_by(process)
        return [home for home in self.graph.holders if home in touched]

    def _is_own(self, home: Key) -> bool:
        """Return whether only looped processes change a value, so that their objects hold it already."""
        setters = {v.key[0] for v in self.graph.variables.values() if v.home == home and self._sets(v.key)}
        return setters <= set(self.processes)

    def _sets(self, key: Key) -> bool:
        return any(v.key == key for v in self.graph.set_by(key[0]))

    def call(self, process: str, stage: str) -> RuntimeSignal | None:
        """Call a stage method of a process for each simulation.

        Raises
        ------
        VectorizeError
            If some simulations answer BREAK and others do not.
        """
        answers = self._for_each(process, partial(_call_stage, process, stage))
        self._gather(process)
        if len(set(answers)) > 1:
            raise VectorizeError(f"Process {process!r} answers BREAK in some simulations of a block only.")
        return RuntimeSignal.BREAK if answers[0] else None

    def compute(self, process: str, variable: str) -> Any:
        """Return an on-demand variable of a process for all simulations."""
        return stack(self._for_each(process, partial(_read, process, variable)))

    def _for_each(self, process: str, do: Callable[[LiveProcesses, RuntimeContext], Any]) -> list[Any]:
        """Return what a function gives for each simulation, with NumPy's errors as in a loop."""
        self._hand_out(process)
        context = copy(self.context)
        found = []
        with np.errstate(divide="warn", over="warn", invalid="warn"):
            for number, rngs, live in zip(self.numbers, self.rngs, self.lives, strict=True):
                context.batch, context.rngs = number, rngs
                live.stages["begin"]()  # type: ignore[call-arg]  # it takes no context
                found.append(do(live, context))
        return found

    def _hand_out(self, process: str) -> None:
        """Give the objects of each simulation its rows of what a process may read."""
        for home in self.sources[process]:
            held = vars(self.model[home[0]])
            if home[1] not in held:
                continue
            value = held[home[1]]
            if home in self.own and self.seen.get(home, self) is value:
                continue
            for live, row in zip(self.lives, self._rows(home, value), strict=True):
                place(self.graph, live.objects, home, row)
            self.seen[home] = value

    def _rows(self, home: Key, value: Any) -> Sequence[Any]:
        dims = self.graph.variables[home].dims_on(self.clock)
        if has_rows(value, dims, len(self.lives)):
            return rows_of(value)
        if isinstance(value, np.ndarray) and home not in self.graph.fixed:
            return [value.copy() for _ in self.lives]
        return [value] * len(self.lives)

    def _gather(self, process: str) -> None:
        """Take over what a process has set in all simulations."""
        for home in dict.fromkeys(v.home for v in self.graph.set_by(process)):
            objects = [vars(live.objects[home[0]]) for live in self.lives]
            values = [held[home[1]] for held in objects if home[1] in held]
            if not values:
                continue
            if len(values) < len(objects):
                raise VectorizeError(
                    f"Process {process!r} sets {home[1]!r} in some simulations of a block only."
                )
            stacked = self._stacked(home, values)
            vars(self.model[process])[self.graph.keepers[process, home][1]] = stacked
            self.seen[home] = stacked

    def _stacked(self, home: Key, values: Sequence[Any]) -> Array | Any:
        return EachRow(values) if self.graph.variables[home].is_object else stack(values)


def _call_stage(process: str, stage: str, live: LiveProcesses, context: RuntimeContext) -> Any:
    call: Any = live.stages[stage]
    return call[process](context)


def _read(process: str, variable: str, live: LiveProcesses, context: RuntimeContext) -> Any:
    return getattr(live.objects[process], variable)

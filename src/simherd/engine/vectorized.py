"""A block advanced as arrays: all its simulations at once, along a leading batch axis.

A block is cut into parts whose arrays stay in the caches of a core. A part in which anything goes wrong is
halved until the simulations that are to blame run one by one, as they would without arrays: so they fail,
or not, as they would there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import copy
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from simherd.engine.block import Block, BlockResult, BlockRun, Status, Stopped
from simherd.engine.columns import Column
from simherd.engine.failures import add_note, as_failure
from simherd.engine.looped import Rows, attach_rows, loop_over, looped_processes, place
from simherd.engine.plan import Array, Plan
from simherd.engine.rows import RowColumn, has_rows, rows_of, stack
from simherd.engine.simulate import Simulator
from simherd.errors import OutputError, SetupError
from simherd.model.copies import own_value
from simherd.model.graph import Key, join_name
from simherd.model.model import Model
from simherd.model.randomness import NO_GENERATORS
from simherd.model.runtime import RuntimeContext
from simherd.model.stages import compile_stages
from simherd.model.variables import VarType

__all__ = ["BlockSimulator", "Parts", "WatchPart", "check_vectorizable", "run_as_arrays"]

SMALLEST = 16
"""A part of so many simulations is not halved any more: they run one by one as quickly."""

WatchPart: TypeAlias = Callable[[int], AbstractContextManager[Any]]
"""Called with a number of simulations, gives the context in which they are advanced together."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """How a block is cut up."""

    size: int
    """Simulations that are advanced together, at most."""
    seconds: float
    """Time that one simulation takes on its own, in s."""
    axes: frozenset[int] = frozenset()
    """Sizes of other axes: no part has one of these, so that nobody takes one axis for the other."""

    def of(self, simulations: int) -> Iterator[tuple[int, int]]:
        """Yield first row and end of each part of a block; all are of about one size."""
        count = -(-simulations // self.size)
        yield from pairwise(number * simulations // count for number in range(count + 1))


def check_vectorizable(plan: Plan) -> None:
    """Raise an error where simulations of a plan cannot be advanced as arrays, whatever their processes do.

    Raises
    ------
    SetupError
        If so.
    """
    if plan.validate == "all":
        raise SetupError(
            "vectorize does not go with validate='all', which looks at each simulation by itself.",
            fix="say validate='inputs', or vectorize=False.",
            cli_fix="set run.validate to inputs, or run.vectorize to false (--set run.vectorize=false).",
        )
    if looped_processes(plan.model.graph) == set(plan.model):
        raise SetupError(
            "vectorize: every process of the model is looped over, none takes arrays.",
            fix="mark those that do with @process(vectorized=True), or say vectorize=False.",
            cli_fix="mark those that do with @process(vectorized=True), or give --set run.vectorize=false.",
        )


class BlockSimulator(Simulator):
    """Advances simulations of a plan together.

    Processes get, for each input that differs between simulations, an array with these along its first
    axis. Runtime argument ``batch`` is the array of their positions.

    Parameters
    ----------
    plan : Plan
        What the simulations have in common.
    """

    def __init__(self, plan: Plan) -> None:
        self.looped = looped_processes(plan.model.graph)
        self.original = plan.model
        self.split = compile_stages(plan.model.graph, split=True) if self.looped else None
        super().__init__(replace(plan, model=loop_over(plan.model, self.looped)))
        self.size = 0
        self.context = super()._context(0)
        graph = plan.model.graph
        self.dims = [graph.variables[tap.key].dims_on(plan.clock) for tap in plan.taps]

    def advance(self, block: Block, columns: Sequence[Column], start: int = 0) -> Model:
        """Advance simulations to their end.

        Parameters
        ----------
        block : Block
            The simulations.
        columns : sequence of Column
            Where outputs are saved, in the order of the plan.
        start : int, optional
            Row of the columns that is the first simulation's.

        Returns
        -------
        Model
            The processes as they were left.

        Raises
        ------
        Exception
            Whatever a process raises, with a note that says where; `OutputError` if a value has a shape
            that is not declared, `VectorizeError` if simulations go separate ways.
        """
        one = copy(self)  # other threads advance other blocks
        one.size = block.size
        targets: list[Any] = [
            RowColumn(column, start, block.size, dims)
            for column, dims in zip(columns, self.dims, strict=True)
        ]
        return one.run(block.inputs, targets, 0, np.asarray(block.numbers))  # type: ignore[arg-type]

    def _context(self, number: Any) -> RuntimeContext:
        self.context = super()._context(0)
        self.context.batch, self.context.rngs = number, NO_GENERATORS
        return self.context

    def _set_inputs(self, model: Model, values: Mapping[Key, Any]) -> dict[Key, Sequence[Any]]:
        if self.split is not None:
            rows = Rows(self.original.graph, self.split, self.looped, model, self.context, self.plan)
            attach_rows(model, rows)
        varying = self.plan.varying
        steps_first = {key: np.moveaxis(v, 1, 0) if key in varying else v for key, v in values.items()}
        return super()._set_inputs(model, steps_first)

    def _give(self, model: Model, values: Mapping[Key, Any], *, is_first: bool) -> None:
        for key, value in values.items():
            place(model.graph, model, key, self._converted(key, own_value(value)))
        if self.plan.validate is not None:
            for process in dict.fromkeys(key[0] for key in values):
                self._validate(model, process)

    def _converted(self, key: Key, value: Any) -> Any:
        converter = self.plan.model.graph.variables[key].set_converter
        if converter is None:
            return value
        return stack(list(map(converter, rows_of(value)))) if key in self.plan.batched else converter(value)

    def _validate(self, model: Model, process: str) -> None:
        """Call validators as for one simulation after another, unless they look at each element anyway."""
        declared = model.graph.infos[process].variables.values()
        validators = [
            one.validator
            for one in declared
            if one.validator is not None and one.metadata["var_type"] is not VarType.ON_DEMAND
        ]
        if all(getattr(validator, "is_elementwise", False) for validator in validators):
            model.validate((process,))
            return
        scratch, graph = self.original.clone(), self.original.graph
        homes = [home for home in graph.holders if home in set(graph.read_by(process))]
        held = {home: vars(model[home[0]])[home[1]] for home in homes if home[1] in vars(model[home[0]])}
        series = {home: self._rows(home, value) for home, value in held.items()}
        for row in range(self.size):
            for home, rows in series.items():
                place(graph, scratch, home, rows[row])
            scratch.validate((process,))

    def _rows(self, home: Key, value: Any) -> Sequence[Any]:
        dims = self.plan.model.graph.variables[home].dims_on(self.plan.clock)
        return rows_of(value) if has_rows(value, dims, self.size) else [value] * self.size

    def _explain(self, error: BaseException, model: Model, context: RuntimeContext) -> None:
        place = model.locate(error)
        if place is not None:
            process, stage = place
            add_note(error, f"In process {process!r}, stage {stage}, {self.size} simulations at once")

    def read_indexes(self, model: Model) -> dict[Key, Array]:
        """Return the values of index variables that have one: those of each simulation.

        Raises
        ------
        OutputError
            If they differ between the simulations.
        """
        return {key: self._one_for_all(key, values) for key, values in super().read_indexes(model).items()}

    def _one_for_all(self, key: Key, values: Array) -> Array:
        dims = self.plan.model.graph.variables[key].dims_on(self.plan.clock)
        if not has_rows(values, dims, self.size):
            return values
        if (values != values[0]).any():
            raise OutputError(f"Index variable {join_name(key)} differs between simulations of the batch.")
        first: Array = values[0]
        return first


def run_as_arrays(
    simulator: BlockSimulator,
    run: BlockRun,
    parts: Parts,
    watch_part: WatchPart = nullcontext,
) -> BlockResult:
    """Run the simulations of a block, many at once.

    Parameters
    ----------
    simulator : BlockSimulator
        Advances simulations together.
    run : BlockRun
        The block, and how its simulations run on their own.
    parts : Parts
        How it is cut up.
    watch_part : callable, optional
        Gives the context in which a part is advanced, such as one that limits its time.

    Returns
    -------
    BlockResult
        As `BlockRun.run` gives it. The time of a part is shared among its simulations.
    """
    parts_run = _PartsRun(simulator, run, parts.axes, watch_part)
    for start, stop in parts.of(run.block.size):
        if not parts_run.run(start, stop):
            break
    return run.result()


@dataclass(frozen=True, slots=True)
class _PartsRun:
    simulator: BlockSimulator
    block: BlockRun
    axes: frozenset[int]
    watch: WatchPart

    def run(self, start: int, stop: int) -> bool:
        """Run the rows of a block from one to another, and return whether to go on."""
        size = stop - start
        if self.block.is_over():
            return False
        if size < 2:
            return self.block.one_by_one(stop)
        if size not in self.axes:
            try:
                if self.advance(start, stop):
                    return True
            except Stopped:
                self.block.clear(start, stop)
                return False
            except KeyboardInterrupt as error:
                self.block.clear(start, stop)
                self.block.interrupt = as_failure(int(self.block.block.numbers[start]), error)
                return False
            self.block.clear(start, stop)
            if size <= SMALLEST:
                return self.block.one_by_one(stop)
        middle = (start + stop) // 2
        return self.run(start, middle) and self.run(middle, stop)

    def advance(self, start: int, stop: int) -> bool:
        """Advance the rows from one to another together, and return whether that worked."""
        started = time.perf_counter()
        try:
            with self.watch(stop - start), np.errstate(divide="raise", over="raise", invalid="raise"):
                self.simulator.advance(self.block.block.part(start, stop), self.block.columns, start)
        except (KeyboardInterrupt, Stopped):
            raise
        except BaseException:
            return False  # what is wrong, and with whom, comes out when they run one by one
        self.block.settle(stop, Status.DONE, (time.perf_counter() - started) / (stop - start))
        return True

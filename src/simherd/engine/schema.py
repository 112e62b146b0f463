"""What the outputs look like, found out before a store is made for them."""

from __future__ import annotations

import inspect
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from inspect import isfunction
from io import BytesIO
from typing import Any

import numpy as np

from simherd.engine.columns import Column
from simherd.engine.plan import Array, Plan, Tap
from simherd.engine.simulate import Simulator
from simherd.errors import OutputError
from simherd.model.graph import Key
from simherd.model.hooks import HookTable
from simherd.model.model import Model
from simherd.model.runtime import RuntimeContext
from simherd.model.variables import VarIntent

__all__ = ["OutputSchema", "Schema", "hold_to", "may_change", "output_schema", "schema_of", "scout"]


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputSchema:
    """Shape and type of an output in one simulation."""

    tap: Tap
    """The output."""
    dims: tuple[str, ...]
    """Labels of its dimensions, without clock and batch."""
    shape: tuple[int, ...]
    """Its sizes along these."""
    dtype: np.dtype[Any]
    """Its type."""
    is_concatenated: bool = False
    """Whether values of different sizes are stored one after another, not filled up to one size."""

    def result_dims(self, batch_dim: str | None) -> tuple[str, ...]:
        """Return its dimensions in the result: batch, clock, its own."""
        return (*(d for d in (batch_dim, self.tap.clock) if d is not None), *self.dims)

    @property
    def nbytes(self) -> int:
        """Bytes of one simulation."""
        return int(np.prod((self.tap.saves, *self.shape))) * self.dtype.itemsize


@dataclass(frozen=True, kw_only=True, slots=True)
class Schema:
    """Shapes and types of all outputs, and the index variables."""

    outputs: tuple[OutputSchema, ...]
    """In the order of the plan."""
    indexes: Mapping[Key, Array]
    """Values of the index variables."""
    seconds: float | None = None
    """Time that one simulation takes, in s, as far as it is known."""
    loop_seconds: float | None = None
    """Time that it takes on its own, in s, where simulations are advanced together."""


def schema_of(simulator: Simulator, columns: Sequence[Column]) -> Schema:
    """Return the schema of the outputs in `columns`.

    Raises
    ------
    OutputError
        If an output has no value, or a number of dimensions that is not declared.
    """
    plan = simulator.plan
    outputs = [output_schema(plan, tap, column) for tap, column in zip(plan.taps, columns, strict=True)]
    sizes = _common_sizes(outputs, _index_sizes(plan, simulator.index_values))
    outputs = [replace(one, shape=tuple(sizes[dim] for dim in one.dims)) for one in outputs]
    return Schema(outputs=tuple(outputs), indexes=simulator.index_values)


def _index_sizes(plan: Plan, indexes: Mapping[Key, Array]) -> dict[str, int]:
    return {
        dims[0]: len(values)
        for key, values in indexes.items()
        for dims in plan.model.graph.variables[key].dims_on(plan.clock)
        if len(dims) == values.ndim == 1
    }


def _common_sizes(outputs: Sequence[OutputSchema], indexed: Mapping[str, int]) -> dict[str, int]:
    """Return the size of each dimension: the largest that an output or its index variable has.

    Raises
    ------
    OutputError
        If an output is larger than the index variable of its dimension.
    """
    sizes = dict(indexed)
    for one in outputs:
        for dim, size in zip(one.dims, one.shape, strict=True):
            if size > indexed.get(dim, size):
                raise OutputError(
                    f"Output {one.tap.name!r} has {size} values along {dim!r}, its index variable has "
                    f"{indexed[dim]}.",
                    fix="check the order of its dimensions.",
                )
            sizes[dim] = max(size, sizes.get(dim, 0))
    return sizes


def hold_to(plan: Plan, schema: Schema) -> Plan:
    """Return a plan whose outputs start with the shapes of a schema and keep its types.

    Index variables keep their values, and the dimensions that they label their size, unless they change
    while a simulation runs; others may grow.
    """
    changing = set(changing_indexes(plan))
    fixed = _index_sizes(plan, {k: v for k, v in schema.indexes.items() if k not in changing})
    taps = [
        replace(
            one.tap,
            dtype=one.dtype,
            has_found_dtype=one.tap.has_found_dtype or one.tap.dtype is None,
            shape=one.shape,
            is_concatenated=one.is_concatenated,
            sizes=(tuple(fixed.get(d, n) for d, n in zip(one.dims, _sizes_of(one), strict=True)),),
        )
        for one in schema.outputs
    ]
    return replace(plan, taps=tuple(taps), index_values=schema.indexes)


def changing_indexes(plan: Plan) -> Iterator[Key]:
    """Yield the index variables that may have other values after `initialize`, as far as code tells."""
    for key in plan.indexes:
        setters = [
            variable.key
            for variable in plan.model.graph.variables.values()
            if variable.home == key and variable.intent is not VarIntent.IN
        ]
        if any(_is_mentioned_later(plan.model.graph.classes[process], name) for process, name in setters):
            yield key


def _is_mentioned_later(cls: type, name: str) -> bool:
    """Return whether a method other than `initialize` has to do with an attribute, or hides its source."""
    methods = {n: m for base in reversed(cls.__mro__[:-1]) for n, m in vars(base).items() if isfunction(m)}
    return any(
        re.search(rf"\.{name}\b", _source_of(method)) is not None
        for method_name, method in methods.items()
        if method_name != "initialize" and not method_name.startswith("__")
    )


def _source_of(method: Callable[..., Any]) -> str:
    try:
        return inspect.getsource(method)
    except (OSError, TypeError):
        return "".join(f".{name}" for name in method.__code__.co_names)


def may_change(plan: Plan, schema: Schema, output: OutputSchema) -> bool:
    """Return whether the size of an output may differ between simulations."""
    fixed = _index_sizes(plan, schema.indexes)
    return any(n is None and d not in fixed for d, n in zip(output.dims, _sizes_of(output), strict=True))


def _sizes_of(output: OutputSchema) -> tuple[int | None, ...]:
    """Return the sizes that are known of an output, None where they may change."""
    unknown = (None,) * len(output.dims)
    return next((s for s in output.tap.sizes if len(s) == len(output.dims)), unknown)


def output_schema(plan: Plan, tap: Tap, column: Column) -> OutputSchema:
    """Return the schema of an output.

    Raises
    ------
    OutputError
        If it has no value, or a number of dimensions that is not declared.
    """
    if column.values is None:
        raise OutputError(f"Output {tap.name!r} has no value at the end of the simulation.")
    shape = column.values.shape[2:]
    declared = plan.model.graph.variables[tap.key].dims_on(plan.clock)
    for dims in declared:
        if len(dims) == len(shape):
            return OutputSchema(tap=tap, dims=dims, shape=shape, dtype=column.values.dtype)
    raise OutputError(
        f"Output {tap.name!r} has values of shape {shape}; declared dimensions are "
        f"{' or '.join(map(str, declared))}."
    )


class _AllSeen(Exception):
    """All outputs have had a value: there is nothing more to find out."""


class _Watch(Column):
    """A column that looks at values and keeps none but the last."""

    def put(self, row: int, position: int, value: Any) -> None:
        super().put(0, 0, value)

    @property
    def is_settled(self) -> bool:
        """Whether no later value changes the type."""
        return self.values is not None and (
            self.known is not None or self.values.dtype in (np.float64, np.complex128)
        )


def scout(simulator: Simulator, values: Mapping[Key, Any], number: int = 0) -> Schema:
    """Find out the schema by running a simulation as far as it takes.

    It ends with the first step after which every output has been saved and has a type that is declared,
    or float64 or complex128, which no later real number widens. Outputs of other types are watched to the
    end, since 5 may be followed by 1.7; so are those that are saved at the end only, since what they hold
    before may be anything, and all where an index variable may change while the simulation runs.

    Parameters
    ----------
    simulator : Simulator
        Runs the simulation.
    values : mapping
        Inputs of one simulation of the batch.
    number : int, optional
        Position of the simulation in the batch.
    """
    taps = simulator.plan.taps
    columns = [_Watch(tap.name, 1, 1, tap.dtype, None, tap.sizes, tap.fill_value) for tap in taps]
    scouting = _Scouting(simulator, columns)
    started = time.perf_counter()
    with suppress(_AllSeen):
        scouting.run(values, columns, 0, number)
    seconds = (time.perf_counter() - started) / scouting.share
    return replace(schema_of(scouting, columns), seconds=seconds)


class _Scouting(Simulator):
    """A simulator that stops as soon as it has seen all that it looks for."""

    def __init__(self, simulator: Simulator, columns: list[_Watch]) -> None:
        super().__init__(replace(simulator.plan, hooks=HookTable()))
        self.watched = columns
        self.goes_to_the_end = any(changing_indexes(self.plan))
        self.share = 1.0
        """Share of all steps after which it stopped."""

    def _calls(self, model: Model) -> dict[str, Any]:
        calls = dict(super()._calls(model))
        finalize_step = calls["finalize_step"]

        def stop_or_go_on(context: RuntimeContext) -> Any:
            if context.step == 0 and self.plan.checkpoint_every is not None:
                model.freeze(BytesIO(), {})  # what cannot be kept is found out now, not hours later
            self._stop_if_settled(model, context.step)
            return finalize_step(context)

        return {**calls, "finalize_step": stop_or_go_on}

    def _stop_if_settled(self, model: Model, step: int) -> None:
        if not self.goes_to_the_end and all(column.is_settled for column in self.watched):
            indexes = self.read_indexes(model)
            if len(indexes) == len(self.plan.indexes):
                self.index_values = indexes
                self.share = (step + 1) / self.plan.nsteps
                raise _AllSeen

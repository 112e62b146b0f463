"""What the outputs look like, found out before a store is made for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
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

__all__ = ["OutputSchema", "Schema", "schema_of", "scout"]


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


def schema_of(simulator: Simulator, columns: Sequence[Column]) -> Schema:
    """Return the schema of the outputs in `columns`.

    Raises
    ------
    OutputError
        If an output has no value, or a number of dimensions that is not declared.
    """
    outputs = tuple(
        _output_schema(simulator.plan, tap, column)
        for tap, column in zip(simulator.plan.taps, columns, strict=True)
    )
    return Schema(outputs=outputs, indexes=simulator.index_values)


def _output_schema(plan: Plan, tap: Tap, column: Column) -> OutputSchema:
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
            self.declared is not None or self.values.dtype in (np.float64, np.complex128)
        )


def scout(simulator: Simulator, values: Mapping[Key, Any], number: int = 0) -> Schema:
    """Find out the schema by running a simulation as far as it takes.

    It ends after the first step if the type of every output is declared, or float64 or complex128 by
    then, which no later real number widens. Others are watched to the end, since 5 may be followed by 1.7.

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
    columns = [_Watch(tap.name, 1, 1, tap.dtype) for tap in taps]
    scouting = _Scouting(simulator, columns)
    with suppress(_AllSeen):
        scouting.run(values, columns, 0, number)
    return schema_of(scouting, columns)


class _Scouting(Simulator):
    """A simulator that stops as soon as it has seen all that it looks for."""

    def __init__(self, simulator: Simulator, columns: list[_Watch]) -> None:
        super().__init__(replace(simulator.plan, hooks=HookTable()))
        self.watched = columns

    def _calls(self, model: Model) -> dict[str, Any]:
        calls = dict(super()._calls(model))
        run_step = calls["run_step"]

        def run_and_look(context: RuntimeContext) -> Any:
            signal = run_step(context)
            self._look(model)
            return signal

        return {**calls, "run_step": run_and_look}

    def _look(self, model: Model) -> None:
        objects = list(model.values())
        for column, (number, name) in zip(self.watched, self.places, strict=True):
            try:
                column.put(0, 0, getattr(objects[number], name))
            except AttributeError:
                return
        indexes = self.read_indexes(model)
        if all(column.is_settled for column in self.watched) and len(indexes) == len(self.plan.indexes):
            self.index_values = indexes
            raise _AllSeen("All outputs have been seen.")

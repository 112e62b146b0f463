"""One simulation: inputs in, stages in turn, outputs saved on their clocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from simherd.engine.checkpoints import Keeper, KeptRun, Stopped
from simherd.engine.columns import Column
from simherd.engine.failures import Place, add_note, said_by, set_place
from simherd.engine.finite import FiniteColumn
from simherd.engine.plan import Array, Plan, Tap
from simherd.engine.sized import FiniteSizedColumn, SizedColumn
from simherd.engine.threaded import threaded_stages
from simherd.engine.values import fill_value_for, texts_of
from simherd.errors import ModelError, OutputError, UnsetVariableError
from simherd.model.graph import Key, join_name
from simherd.model.model import Model
from simherd.model.randomness import NO_GENERATORS, Generators
from simherd.model.runtime import STAGES, RuntimeContext, RuntimeSignal

__all__ = ["Simulator", "are_same_labels"]

LABEL_TOLERANCE = 1e-9  # of the largest label

_COLUMNS: Mapping[tuple[bool, bool], type[Column]] = {
    (False, False): Column,
    (True, False): FiniteColumn,
    (False, True): SizedColumn,
    (True, True): FiniteSizedColumn,
}
"""Columns of outputs by whether they have to be finite, and whether their sizes are kept."""

Save: TypeAlias = tuple[int, str, int, int]
StageCall: TypeAlias = Callable[[RuntimeContext], RuntimeSignal | None]


class Simulator:
    """Runs simulations of a plan, one after another, each on a clone of its model.

    Parameters
    ----------
    plan : Plan
        What the simulations have in common.
    clones : bool, optional
        False runs on the model of the plan itself, whose values can be looked at afterwards.
    pool : ThreadPoolExecutor, optional
        Runs processes that do not wait for each other at once. Not where all are watched one by one, by
        hooks at process level or with ``validate="all"``.
    """

    def __init__(self, plan: Plan, *, clones: bool = True, pool: ThreadPoolExecutor | None = None) -> None:
        self.plan = plan
        self.clones = clones
        self.pool = pool
        self.labels = _as_list(plan.labels)
        self.deltas = _as_list(np.diff(plan.labels)) if plan.nsteps else []
        numbers = {name: number for number, name in enumerate(plan.model)}
        self.places = [(numbers[tap.home[0]], tap.home[1]) for tap in plan.taps]
        self.due = self._due()
        self.last = self._due_at_end()
        self.index_values = dict(plan.index_values)
        self.is_first = True

    def _due(self) -> list[list[Save]]:
        """Return for each step object number, attribute, column and position of all that is saved."""
        nsteps = self.plan.nsteps
        due: list[list[Save]] = [[] for _ in range(nsteps)]
        for column, tap in enumerate(self.plan.taps):
            for position, step in enumerate(tap.steps):
                if step < nsteps:
                    due[step].append((*self.places[column], column, position))
        return due

    def _due_at_end(self) -> tuple[tuple[int, str, int], ...]:
        end = self.plan.nsteps
        return tuple(
            (*self.places[column], column)
            for column, tap in enumerate(self.plan.taps)
            if tap.clock is None or end in tap.steps
        )

    def columns(self, size: int) -> list[Column]:
        """Return empty columns for the outputs of `size` simulations."""
        return [self._column(tap, size) for tap in self.plan.taps]

    def _column(self, tap: Tap, size: int) -> Column:
        kind = _COLUMNS[tap.is_finite, tap.is_concatenated]
        column = kind(
            tap.name,
            size,
            tap.saves,
            tap.dtype,
            tap.shape,
            tap.sizes,
            tap.fill_value,
            rounds=not tap.has_found_dtype,
        )
        if isinstance(column, FiniteColumn):
            column.when = partial(self.plan.moment, tap)
        return column

    def run(
        self,
        values: Mapping[Key, Any],
        columns: Sequence[Column],
        row: int,
        number: int = -1,
        keeper: Keeper | None = None,
    ) -> Model:
        """Run one simulation.

        Parameters
        ----------
        values : mapping
            Values of the inputs that differ between simulations.
        columns : sequence of Column
            Where outputs are saved, in the order of ``plan.taps``.
        row : int
            Row of the columns that is this simulation's.
        number : int, optional
            Position of the simulation in its batch.
        keeper : Keeper, optional
            Keeps checkpoints, from which the simulation goes on.

        Returns
        -------
        Model
            The model as the simulation left it.

        Raises
        ------
        Exception
            Whatever a process raises, with a note that says where.
        """
        model = self.plan.model.clone() if self.clones else self.plan.model
        context = self._context(number)
        calls = self._calls(model)
        feeds = self._set_inputs(model, values)
        try:
            if keeper is None:
                calls["initialize"](context)
                self.loop(model, calls, context, feeds, columns, row, 0, self.plan.nsteps)
            else:
                KeptRun(
                    keeper=keeper,
                    simulator=self,
                    model=model,
                    context=context,
                    calls=calls,
                    values=values,
                    feeds=feeds,
                    columns=columns,
                    row=row,
                ).run()
            self._save_last(model, columns, row)
            self._check_indexes(self.read_indexes(model))
            self._check_first(model)
        except BaseException as error:
            self._explain(error, model, context)
            self._finalize_after(error, calls["finalize"], context)
            raise
        try:
            calls["finalize"](context)
        except BaseException as error:
            self._explain(error, model, context)
            raise
        return model

    def _context(self, number: int) -> RuntimeContext:
        bounds = {"sim_start": self.labels[0], "sim_end": self.labels[-1]} if self.labels else {}
        return RuntimeContext(
            batch=number,
            batch_size=self.plan.batch_size,
            nsteps=self.plan.nsteps,
            main_clock_values=self.plan.labels,
            main_clock_dataarray=self.plan.labelled_clock,
            rngs=NO_GENERATORS if self.plan.seed is None else Generators(self.plan.seed, max(number, 0)),
            **bounds,
        )

    def _calls(self, model: Model) -> Mapping[str, StageCall]:
        hooks, validate = self.plan.hooks, self.plan.validate == "all"
        watched = validate or hooks.watches_processes()
        stages: Mapping[str, Any]
        if watched:
            stages = model.watched_stages(hooks, validate)
        else:
            stages = model.stages if self.pool is None else threaded_stages(model, self.pool)
        if not hooks:
            return stages

        def hooked(stage: str) -> StageCall:
            return lambda context: model.run_hooked(stages[stage], stage, context, hooks)

        return {stage: hooked(stage) for stage in STAGES}

    def _set_inputs(self, model: Model, values: Mapping[Key, Any]) -> dict[Key, Sequence[Any]]:
        """Give the model its first values and return those that vary with the clock."""
        feeds: dict[Key, Sequence[Any]] = {}
        first: dict[Key, Any] = {}
        for key in (*self.plan.shared, *values):
            value = values[key] if key in values else self.plan.shared[key]
            if key in self.plan.varying:
                feeds[key] = _as_list(value) if np.ndim(value) == 1 else value
                value = feeds[key][0]
            first[key] = value
        self._give(model, first, is_first=True)
        return feeds

    def _give(self, model: Model, values: Mapping[Key, Any], *, is_first: bool) -> None:
        """Give inputs values of one moment."""
        model.update_state(values, validate=self.plan.validate is not None, ignore_static=is_first)

    def loop(
        self,
        model: Model,
        calls: Mapping[str, StageCall],
        context: RuntimeContext,
        feeds: Mapping[Key, Sequence[Any]],
        columns: Sequence[Column],
        row: int,
        start: int,
        stop: int,
    ) -> bool:
        """Run steps `start` to `stop` - 1, and return whether a signal ended them all."""
        run_step, finalize_step = calls["run_step"], calls["finalize_step"]
        objects = list(model.values())
        labels = self.labels
        steps = zip(self.due[start:stop], self.deltas[start:stop], strict=True)
        for step, (due, delta) in enumerate(steps, start):
            context.step = step
            context.step_start = labels[step]
            context.step_end = labels[step + 1]
            context.step_delta = delta
            if feeds:
                self._feed(model, feeds, step)
            signal = run_step(context)
            if signal is RuntimeSignal.BREAK:
                return True
            try:
                for number, name, column, position in due:
                    columns[column].put(row, position, getattr(objects[number], name))
            except UnsetVariableError as error:
                raise self._unset(error, column, position) from error
            if signal is RuntimeSignal.CONTINUE:
                continue
            if finalize_step(context) is RuntimeSignal.BREAK:
                return True
        return False

    def _feed(self, model: Model, feeds: Mapping[Key, Sequence[Any]], step: int) -> None:
        self._give(model, {key: series[step] for key, series in feeds.items()}, is_first=False)

    def _save_last(self, model: Model, columns: Sequence[Column], row: int) -> None:
        """Save what is due at the end, each at the next free position of its clock."""
        objects = list(model.values())
        for number, name, column in self.last:
            position = columns[column].next_free(row)
            try:
                value = getattr(objects[number], name)
            except UnsetVariableError as error:
                raise self._unset(error, column, position) from error
            columns[column].put(row, position, value)

    def _unset(self, error: UnsetVariableError, column: int, position: int) -> UnsetVariableError:
        """Return the error of an output that cannot be saved, since a variable has no value."""
        tap = self.plan.taps[column]
        return UnsetVariableError(
            f"Output {tap.name!r} has no value {self.plan.moment(tap, position)}: {error.message}",
            fix="set it before it is saved, for instance in initialize to NaN or NaT.",
        )

    def _finalize_after(self, error: BaseException, finalize: StageCall, context: RuntimeContext) -> None:
        """Let processes clean up after an error, which stays the one that the user sees."""
        try:
            finalize(context)
        except (KeyboardInterrupt, Stopped):
            raise
        except BaseException as second:
            add_note(error, f"The stage finalize failed after this too: {said_by(second)}")

    def _explain(self, error: BaseException, model: Model, context: RuntimeContext) -> None:
        place = model.locate(error)
        if place is None:
            return
        process, stage = place
        where = f"In process {process!r}, stage {stage}"
        has_steps = stage in ("run_step", "finalize_step")
        set_place(error, Place(process=process, stage=stage, step=context.step if has_steps else None))
        if has_steps:
            where += f", step {context.step} ({self.plan.clock} = {context.step_start})"
        add_note(error, where + (f", simulation {context.batch}" if context.batch >= 0 else ""))

    def read_indexes(self, model: Model) -> dict[Key, Array]:
        """Return the values of index variables that have one."""
        state = model.state
        return {
            key: texts_of(join_name(key), _as_labels(state[key])) for key in self.plan.indexes if key in state
        }

    def _check_first(self, model: Model) -> None:
        """Check intents in the first simulation: the others run the same code."""
        if self.is_first:
            model.check_intents()
            self.is_first = False

    def _check_indexes(self, found: dict[Key, Array]) -> None:
        """Keep the index variables of the first simulation and hold all others to them.

        Raises
        ------
        OutputError
            If one of them has no value, or others than in the first simulation.
        """
        for key in self.plan.indexes:
            if key not in found:
                raise OutputError(
                    f"Index variable {join_name(key)} has no value at the end of the simulation, so its "
                    f"dimension cannot be labelled.",
                    fix="set it in initialize, or declare a variable in its place if it may stay unset.",
                )
        self.index_values = self.index_values or found
        for key, values in found.items():
            if not are_same_labels(values, self.index_values[key]):
                raise OutputError(
                    f"Index variable {join_name(key)} differs between simulations of the batch, so its "
                    f"dimension cannot be labelled.",
                    fix="save it as an output variable instead of an index.",
                )


def _as_labels(value: Any) -> Array:
    """Return the values of an index variable, with NaN or NaT for masked ones."""
    if not np.ma.is_masked(value):
        return np.array(value)
    values = value.astype(float) if value.dtype.kind in "biu" else value
    labels: Array = values.filled(fill_value_for(values.dtype))
    return labels


def are_same_labels(values: Array, others: Array) -> bool:
    """Return whether labels are equal, numbers up to the rounding of a computation that gave them."""
    if values.shape != others.shape or values.dtype.kind != "f" or others.dtype.kind != "f":
        return np.array_equal(values, others, equal_nan=values.dtype.kind == others.dtype.kind == "M")
    tolerance = LABEL_TOLERANCE * np.nanmax(np.abs(others), initial=0.0)
    return np.allclose(values, others, rtol=0.0, atol=tolerance, equal_nan=True)


def check_static(plan: Plan) -> None:
    """Raise an error if a static variable is to vary with the clock.

    Raises
    ------
    ModelError
        If so.
    """
    for key in plan.varying:
        if plan.model.graph.variables[key].is_static:
            raise ModelError(f"Cannot set value for static variable {join_name(key)} at each step.")


def _as_list(values: Array) -> list[Any]:
    """Return a list of Python numbers, or of NumPy scalars for dates."""
    values = np.asarray(values)
    return list(values) if values.dtype.kind in "mM" else values.tolist()

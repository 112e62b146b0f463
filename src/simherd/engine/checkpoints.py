"""Checkpoints: a simulation that was cut off goes on from the last one with the same results.

A checkpoint is the step that comes next, what the outputs have saved, and the values of the processes: what
processes keep outside of their attributes (in files, in libraries, in globals) is not part of it.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from simherd.engine.columns import Column
from simherd.model.graph import Key
from simherd.model.model import Model
from simherd.model.randomness import Generators
from simherd.model.runtime import RuntimeContext
from simherd.user_warnings import warn_user

if TYPE_CHECKING:
    from simherd.engine.simulate import Simulator, StageCall

__all__ = ["CheckpointStore", "Keeper", "KeptRun", "Stopped"]

UNREADABLE = (
    pickle.UnpicklingError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    TypeError,
    ValueError,
)


class Stopped(BaseException):
    """Raised in the middle of a simulation to leave it: the ones before it keep their results."""


class CheckpointStore(Protocol):
    """Where checkpoints are kept, by the positions of simulations in their batch."""

    def load(self, number: int) -> bytes | None:
        """Return the newest checkpoint of a simulation, if it has one."""
        ...

    def save(self, number: int, data: bytes) -> None:
        """Keep a checkpoint in place of the one before."""
        ...

    def remove(self, numbers: Iterable[int]) -> None:
        """Remove the checkpoints of simulations."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class _Checkpoint:
    """What stands in a checkpoint before the values of the model."""

    step: int | None
    """The step that comes next; None after the end."""
    rows: Sequence[Any]
    """What each output has saved."""
    seconds: float = 0.0
    """Time that the simulation took, in s, where it is finished."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Keeper:
    """Keeps checkpoints of simulations while they run."""

    store: CheckpointStore
    """Where."""
    every: int | None
    """Steps from one to the next; None only goes on from those that are there."""
    is_stopping: Callable[[], bool] | None = None
    """Whether to leave the simulation at the next step, with a checkpoint."""
    begins_early: bool = False
    """Whether the first step is followed by a checkpoint too: what cannot be kept is then found at once."""

    def is_due(self, step: int) -> bool:
        """Return whether there is to be a checkpoint after so many steps."""
        return self.every is not None and (step % self.every == 0 or (self.begins_early and step == 1))

    def rounds(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield first step and end of what runs without a look at anything else."""
        while start < end:
            stop = min(self._next_look(start, end), end)
            yield start, stop
            start = stop

    def _next_look(self, step: int, end: int) -> int:
        if self.is_stopping is not None or (self.begins_early and step == 0):
            return step + 1
        return end if self.every is None else step + self.every - step % self.every

    def load(self, number: int) -> tuple[_Checkpoint, BytesIO] | None:
        """Return the checkpoint of a simulation, and the values of its model, if it can be read."""
        data = self.store.load(max(number, 0))
        if data is None:
            return None
        file = BytesIO(data)
        try:
            return pickle.load(file), file
        except UNREADABLE as error:
            _warn_unreadable(number, error)
            return None

    def save(
        self, number: int, checkpoint: _Checkpoint, freeze: Callable[[BinaryIO], None] | None = None
    ) -> None:
        """Keep a checkpoint, with the values of a model."""
        file = BytesIO()
        pickle.dump(checkpoint, file, protocol=pickle.HIGHEST_PROTOCOL)
        if freeze is not None:
            freeze(file)
        self.store.save(max(number, 0), file.getvalue())

    def take_finished(self, number: int, columns: Sequence[Column], row: int) -> float | None:
        """Put back what a simulation saved that came to its end; return its time in s, None if it did not."""
        loaded = self.load(number)
        if loaded is None or loaded[0].step is not None:
            return None
        _put_back(columns, row, loaded[0].rows)
        return loaded[0].seconds

    def keep_finished(self, number: int, columns: Sequence[Column], row: int, seconds: float) -> None:
        """Keep what a simulation saved that came to its end, until its block is written."""
        rows = [column.kept(row) for column in columns]
        self.save(number, _Checkpoint(step=None, rows=rows, seconds=seconds))

    def forget(self, number: int) -> None:
        """Remove the checkpoint of a simulation, which begins anew or is not to go on."""
        self.store.remove([max(number, 0)])


def _warn_unreadable(number: int, error: Exception) -> None:
    warn_user(
        f"The checkpoint of simulation {max(number, 0)} cannot be read, so it begins anew: {error!r}",
        RuntimeWarning,
    )


def _put_back(columns: Sequence[Column], row: int, rows: Sequence[Any]) -> None:
    for column, saved in zip(columns, rows, strict=True):
        column.put_back(row, saved)


@dataclass(kw_only=True, slots=True)
class KeptRun:
    """The first stages of a simulation of which checkpoints are kept: initialize, and all steps."""

    keeper: Keeper
    simulator: Simulator
    model: Model
    context: RuntimeContext
    calls: Mapping[str, StageCall]
    values: Mapping[Key, Any]
    """Inputs of the simulation."""
    feeds: Mapping[Key, Sequence[Any]]
    """Inputs that vary with the clock."""
    columns: Sequence[Column]
    row: int

    def run(self) -> None:
        """Run the stages, from a checkpoint on if there is one.

        Raises
        ------
        Stopped
            If the keeper says so, after a checkpoint.
        """
        start = self._go_on()
        if start is None:
            self.calls["initialize"](self.context)
        keeper, end = self.keeper, self.simulator.plan.nsteps
        for first, stop in keeper.rounds(start or 0, end):
            if self.simulator.loop(
                self.model, self.calls, self.context, self.feeds, self.columns, self.row, first, stop
            ):
                return
            is_stopping = keeper.is_stopping is not None and keeper.is_stopping()
            if stop < end and (is_stopping or keeper.is_due(stop)):
                self._keep(stop)
            if stop < end and is_stopping:
                raise Stopped

    def _keep(self, step: int) -> None:
        rows = [column.kept(self.row) for column in self.columns]
        provided, rngs = self._provided(step), self.context.rngs
        drawn = rngs if isinstance(rngs, Generators) else None
        self.keeper.save(
            self.context.batch,
            _Checkpoint(step=step, rows=rows),
            lambda file: self.model.freeze(file, provided, drawn),
        )

    def _provided(self, step: int) -> dict[Key, Any]:
        """Return the inputs as they are given in the step before another."""
        now = {key: series[step - 1] for key, series in self.feeds.items()}
        return {**self.simulator.plan.shared, **self.values, **now}

    def _go_on(self) -> int | None:
        """Put everything as it was at the checkpoint, and return the next step; None if there is none."""
        loaded = self.keeper.load(self.context.batch)
        if loaded is None or loaded[0].step is None:
            return None
        checkpoint, file = loaded
        start: int = loaded[0].step
        provided = self._provided(start)
        self.model.update_state({key: provided[key] for key in self.feeds}, validate=False)
        frozen = file.tell()
        try:
            rngs = self.model.thaw(file)
        except UNREADABLE as error:
            _warn_unreadable(self.context.batch, error)
            return None
        if self.simulator.plan.hooks:  # they begin here, as if it had just been initialized
            hooks = self.simulator.plan.hooks
            self.model.run_hooked(lambda context: None, "initialize", self.context, hooks)
            file.seek(frozen)
            rngs = self.model.thaw(file)
        if rngs is not None:
            self.context.rngs = rngs
        _put_back(self.columns, self.row, checkpoint.rows)
        return start

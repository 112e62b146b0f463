"""A block: consecutive simulations of a batch, run one after another by one task."""

from __future__ import annotations

import pickle
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypeAlias

import cloudpickle
import numpy as np

from simherd.engine.columns import Column
from simherd.engine.plan import Array
from simherd.engine.simulate import Simulator
from simherd.model.graph import Key

__all__ = ["Block", "BlockResult", "Failure", "Numbers", "Status", "Stopped", "as_failure", "run_block"]

Numbers: TypeAlias = range | Array
"""Positions of simulations in their batch, in rising order: a range where none is left out."""


class Stopped(BaseException):
    """Raised in the middle of a simulation to leave it: the ones before it keep their results."""


class Status(IntEnum):
    """What became of a simulation; the flags of ``simulation_status``."""

    PENDING = 0
    DONE = 1
    FAILED = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """Simulations of a batch that one task runs, with the inputs that are theirs."""

    numbers: Numbers
    """Their positions in the batch."""
    inputs: Mapping[Key, Array]
    """Values of the inputs that differ, each with the simulations along the first axis."""

    def __str__(self) -> str:
        first, last = self.numbers[0], self.numbers[-1]
        return f"simulation {first}" if first == last else f"simulations {first} to {last}"

    @property
    def size(self) -> int:
        """Number of simulations."""
        return len(self.numbers)

    def rows(self) -> Iterator[Mapping[Key, Any]]:
        """Yield the inputs of each simulation.

        Scalars are Python numbers, with which processes compute several times quicker than with NumPy's.
        """
        series = {
            key: values.tolist() if values.ndim == 1 and values.dtype.kind not in "mM" else values
            for key, values in self.inputs.items()
        }
        for row in range(self.size):
            yield {key: values[row] for key, values in series.items()}


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Why a simulation failed."""

    number: int
    """Position of the simulation in the batch."""
    error: BaseException
    """What it raised."""
    traceback: str
    """The traceback, as text."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel by cloudpickle: the class of the error may stand in the user's script."""
        return _unpacked_failure, (self.number, cloudpickle.dumps(self.error), self.traceback)


def _unpacked_failure(number: int, error: bytes, traceback: str) -> Failure:
    return Failure(number=number, error=pickle.loads(error), traceback=traceback)


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockResult:
    """What the simulations of a block gave."""

    numbers: Numbers
    """Those that ran: all of the block, or the first ones where it was stopped."""
    values: Sequence[Array | None]
    """Outputs in the order of the plan, shape (simulations, saves, ...); None where all failed."""
    status: Array
    """What became of each simulation, shape (simulations,), `Status` as uint8."""
    seconds: Array
    """Time each one took, shape (simulations,), in s."""
    failures: tuple[Failure, ...] = ()
    """Why the failed ones failed."""


Watch: TypeAlias = Callable[[int], AbstractContextManager[Any]]
"""Called with the position of a simulation, gives the context in which it runs."""


def run_block(
    simulator: Simulator,
    block: Block,
    *,
    retries: int = 0,
    stop_on_failure: bool = False,
    watch: Watch = nullcontext,
    is_stopped: Callable[[], bool] = bool,
) -> BlockResult:
    """Run the simulations of a block.

    Parameters
    ----------
    simulator : Simulator
        Runs one simulation.
    block : Block
        Which ones, with their inputs.
    retries : int, optional
        Further attempts at a simulation that raises.
    stop_on_failure : bool, optional
        True leaves the simulations after a failed one pending.
    watch : callable, optional
        Gives the context in which a simulation runs, such as one that limits its time.
    is_stopped : callable, optional
        Says before each simulation whether the rest stays pending.

    Returns
    -------
    BlockResult
        Outcomes are data: a simulation that raises costs one simulation.
    """
    columns = simulator.columns(block.size)
    status = np.zeros(block.size, np.uint8)
    seconds = np.full(block.size, np.nan)
    failures: list[Failure] = []
    ran = 0
    for number, values in zip(map(int, block.numbers), block.rows(), strict=True):
        if is_stopped() or (failures and stop_on_failure):
            break
        started = time.perf_counter()
        try:
            error = _attempt(simulator, values, columns, ran, number, retries, watch)
        except Stopped:
            break
        status[ran] = Status.DONE if error is None else Status.FAILED
        if error is not None:
            failures.append(as_failure(number, error))
        seconds[ran] = time.perf_counter() - started
        ran += 1
    return BlockResult(
        numbers=block.numbers[:ran],
        values=[None if column.values is None else column.values[:ran] for column in columns],
        status=status[:ran],
        seconds=seconds[:ran],
        failures=tuple(failures),
    )


def _attempt(
    simulator: Simulator,
    values: Mapping[Key, Any],
    columns: Sequence[Column],
    row: int,
    number: int,
    retries: int,
    watch: Watch,
) -> Exception | None:
    """Run a simulation until it works, and return the last error if it never does."""
    last: Exception | None = None
    for _ in range(retries + 1):
        try:
            with watch(number):
                simulator.run(values, columns, row, number)
        except Exception as error:
            last = error
            for column in columns:
                column.clear(row)
        else:
            return None
    return last


def as_failure(number: int, error: Exception) -> Failure:
    """Return why a simulation failed, with the traceback of its error."""
    return Failure(number=number, error=error, traceback="".join(traceback.format_exception(error)))

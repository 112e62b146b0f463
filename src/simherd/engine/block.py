"""A block: consecutive simulations of a batch, run one after another by one task."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypeAlias

import numpy as np

from simherd.engine.checkpoints import Keeper, Stopped
from simherd.engine.failures import Failure, as_failure
from simherd.engine.plan import Array
from simherd.engine.simulate import Simulator
from simherd.engine.sized import Sized
from simherd.model.graph import Key

__all__ = [
    "Block",
    "BlockResult",
    "BlockRun",
    "Numbers",
    "Status",
    "Stopped",
    "Watch",
]

Numbers: TypeAlias = range | Array
"""Positions of simulations in their batch, in rising order: a range where none is left out."""


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

    def part(self, start: int, stop: int) -> Block:
        """Return the block of its rows from one to another."""
        rows = slice(start, stop)
        return Block(
            numbers=self.numbers[rows], inputs={key: values[rows] for key, values in self.inputs.items()}
        )

    def select(self, rows: Array) -> Block:
        """Return the block of some of its rows, in any order and number."""
        numbers = np.asarray(self.numbers)[rows]
        return Block(numbers=numbers, inputs={key: values[rows] for key, values in self.inputs.items()})

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
class BlockResult:
    """What the simulations of a block gave."""

    numbers: Numbers
    """Those that ran: all of the block, or the first ones where it was stopped."""
    values: Sequence[Array | Sized | None]
    """Outputs in the order of the plan, shape (simulations, saves, ...); None where all failed."""
    status: Array
    """What became of each simulation, shape (simulations,), `Status` as uint8."""
    seconds: Array
    """Time each one took, shape (simulations,), in s."""
    failures: tuple[Failure, ...] = ()
    """Why the failed ones failed."""
    interrupt: Failure | None = None
    """What interrupted one of them, which stays pending."""


Watch: TypeAlias = Callable[[int], AbstractContextManager[Any]]
"""Called with the position of a simulation, gives the context in which it runs."""


class BlockRun:
    """A block while it runs: what its simulations gave so far.

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
    keeper : Keeper, optional
        Keeps checkpoints of simulations, and the results of those that are finished.
    """

    def __init__(
        self,
        simulator: Simulator,
        block: Block,
        *,
        retries: int = 0,
        stop_on_failure: bool = False,
        watch: Watch = nullcontext,
        is_stopped: Callable[[], bool] = bool,
        keeper: Keeper | None = None,
    ) -> None:
        self.simulator = simulator
        self.block = block
        self.retries = retries
        self.stop_on_failure = stop_on_failure
        self.watch = watch
        self.is_stopped = is_stopped
        self.keeper = keeper
        self.columns = simulator.columns(block.size)
        self.status = np.zeros(block.size, np.uint8)
        self.seconds = np.full(block.size, np.nan)
        self.failures: list[Failure] = []
        self.interrupt: Failure | None = None
        self.ran = 0

    def run(self) -> BlockResult:
        """Run all simulations, one after another; one that raises costs one simulation."""
        self.one_by_one(self.block.size)
        return self.result()

    def is_over(self) -> bool:
        """Return whether the simulations that are left stay pending."""
        is_ended = self.interrupt is not None or bool(self.failures and self.stop_on_failure)
        return is_ended or self.is_stopped()

    def one_by_one(self, stop: int) -> bool:
        """Run the simulations up to row `stop`, and return whether to go on."""
        part = self.block.part(self.ran, stop)
        for number, values in zip(map(int, part.numbers), part.rows(), strict=True):
            if self.is_over():
                return False
            if self._is_finished(number):
                continue
            started = time.perf_counter()
            try:
                error = self._attempt(values, number)
            except Stopped:
                return False
            except KeyboardInterrupt as interrupt:
                self.interrupt = as_failure(number, interrupt)
                return False
            if error is not None:
                self.failures.append(as_failure(number, error))
            status = Status.DONE if error is None else Status.FAILED
            self.settle(self.ran + 1, status, time.perf_counter() - started)
            self._keep_last(number)
        return True

    def _is_finished(self, number: int) -> bool:
        """Take what a simulation gave before this block was cut off, if it came to its end."""
        if self.keeper is None:
            return False
        seconds = self.keeper.take_finished(number, self.columns, self.ran)
        if seconds is not None:
            self.settle(self.ran + 1, Status.DONE, seconds)
        return seconds is not None

    def _keep_last(self, number: int) -> None:
        """Keep what the simulation gave that came last to its end; the block may be cut off later."""
        last = self.ran - 1
        is_kept = self.keeper is not None and self.keeper.every is not None and self.ran < self.block.size
        if is_kept and self.status[last] == Status.DONE:
            self.keeper.keep_finished(number, self.columns, last, self.seconds[last])  # type: ignore[union-attr]

    def _attempt(self, values: Mapping[Key, Any], number: int) -> BaseException | None:
        """Run a simulation until it works, and return the last error if it never does."""
        last: BaseException | None = None
        for _ in range(self.retries + 1):
            try:
                with self.watch(number):
                    self.simulator.run(values, self.columns, self.ran, number, self.keeper)
            except (KeyboardInterrupt, Stopped):
                self.clear(self.ran, self.ran + 1)
                raise
            except BaseException as error:
                last = error
                if self.keeper is not None:
                    self.keeper.forget(number)
                self.clear(self.ran, self.ran + 1)
            else:
                return None
        return last

    def settle(self, stop: int, status: Status, seconds: float) -> None:
        """Say what became of the simulations up to row `stop`, and the time that each one took, in s."""
        self.status[self.ran : stop] = status
        self.seconds[self.ran : stop] = seconds
        self.ran = stop

    def clear(self, start: int, stop: int) -> None:
        """Forget what the simulations from one row to another saved."""
        for column in self.columns:
            for row in range(start, stop):
                column.clear(row)

    def result(self) -> BlockResult:
        """Return what the simulations that ran gave."""
        return BlockResult(
            numbers=self.block.numbers[: self.ran],
            values=[column.first(self.ran) for column in self.columns],
            status=self.status[: self.ran],
            seconds=self.seconds[: self.ran],
            failures=tuple(self.failures),
            interrupt=self.interrupt,
        )

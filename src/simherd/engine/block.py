"""A block: consecutive simulations of a batch, run one after another by one task."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np

from simherd.engine.columns import Column
from simherd.engine.plan import Array
from simherd.engine.simulate import Simulator
from simherd.model.graph import Key

__all__ = ["Block", "BlockResult", "Failure", "Status", "run_block"]


class Status(IntEnum):
    """What became of a simulation; the flags of ``simulation_status``."""

    PENDING = 0
    DONE = 1
    FAILED = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """Simulations ``start`` to ``stop - 1`` of a batch, with the inputs that are theirs."""

    start: int
    stop: int
    inputs: Mapping[Key, Array]
    """Values of the inputs that differ, each with the simulations along the first axis."""

    def __str__(self) -> str:
        return f"simulations {self.start} to {self.stop - 1}"

    @property
    def size(self) -> int:
        """Number of simulations."""
        return self.stop - self.start

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


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockResult:
    """What the simulations of a block gave."""

    start: int
    """First simulation."""
    values: Sequence[Array | None]
    """Outputs in the order of the plan, shape (simulations, saves, ...); None where all failed."""
    status: Array
    """What became of each simulation, shape (simulations,), `Status` as uint8."""
    seconds: Array
    """Time each one took, shape (simulations,), in s."""
    failures: tuple[Failure, ...]
    """Why the failed ones failed."""


def run_block(
    simulator: Simulator, block: Block, *, retries: int = 0, stop_on_failure: bool = False
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

    Returns
    -------
    BlockResult
        Outcomes are data: a simulation that raises costs one simulation.
    """
    columns = simulator.columns(block.size)
    status = np.zeros(block.size, np.uint8)
    seconds = np.full(block.size, np.nan)
    failures: list[Failure] = []
    for row, values in enumerate(block.rows()):
        started = time.perf_counter()
        error = _attempt(simulator, values, columns, row, block.start + row, retries)
        status[row] = Status.DONE if error is None else Status.FAILED
        if error is not None:
            failures.append(_failure(block.start + row, error))
        seconds[row] = time.perf_counter() - started
        if failures and stop_on_failure:
            break
    return BlockResult(
        start=block.start,
        values=[column.values for column in columns],
        status=status,
        seconds=seconds,
        failures=tuple(failures),
    )


def _attempt(
    simulator: Simulator,
    values: Mapping[Key, Any],
    columns: Sequence[Column],
    row: int,
    number: int,
    retries: int,
) -> Exception | None:
    """Run a simulation until it works, and return the last error if it never does."""
    last: Exception | None = None
    for _ in range(retries + 1):
        try:
            simulator.run(values, columns, row, number)
        except Exception as error:
            last = error
            for column in columns:
                column.clear(row)
        else:
            return None
    return last


def _failure(number: int, error: Exception) -> Failure:
    return Failure(number=number, error=error, traceback="".join(traceback.format_exception(error)))

"""Whether simulations that are advanced together give what each gives on its own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simherd.engine.block import Block, BlockRun, Status, Watch
from simherd.engine.columns import Column
from simherd.engine.failures import Failure, as_failure, notes_of
from simherd.engine.plan import Array, Plan, Tap
from simherd.engine.simulate import Simulator
from simherd.engine.vectorized import BlockSimulator, WatchPart
from simherd.errors import VectorizeError

__all__ = ["Agreement", "compare_ways"]

MORE = 8
FIX = (
    "write its processes for arrays whose first axis is the simulations (np.sqrt for math.sqrt, np.where "
    "for if, parameters as k[:, None] beside a profile), mark those that are not with "
    "@process(vectorized=False), or say"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """How long simulations took that gave the same in both ways."""

    loop_seconds: float
    """Time of one on its own, in s."""
    seconds: float
    """Time that each one takes where they are advanced together, in s."""
    overhead_s: float
    """Time that these take whatever their number, in s."""

    def seconds_among(self, simulations: int) -> float:
        """Return the time of one among so many that are advanced together, in s."""
        return self.seconds + self.overhead_s / simulations


def compare_ways(
    plan: Plan,
    block: Block,
    count: int,
    rtol: float,
    watch: Watch,
    watch_part: WatchPart,
) -> Agreement | Failure:
    """Run simulations one by one and together, and compare all outputs.

    Parameters
    ----------
    plan : Plan
        What they have in common, with the types of the outputs.
    block : Block
        Candidates: as many run on their own as it takes for `count` to work. If fewer work, they stand more
        than once among those that are advanced together.
    count : int
        Simulations that are advanced together.
    rtol : float
        Largest difference that is allowed, relative to the largest value of the output in the simulation.
    watch, watch_part : callable
        Give the contexts in which one simulation runs, and in which several do.

    Returns
    -------
    Agreement or Failure
        The latter if no candidate works, or with a `VectorizeError` if the ways differ.
    """
    loop = Simulator(plan)
    run = BlockRun(loop, block, watch=watch)
    run.is_stopped = lambda: int(np.count_nonzero(run.status == Status.DONE)) >= count
    run.one_by_one(block.size)
    if run.interrupt is not None:
        return run.interrupt
    working = np.flatnonzero(run.status == Status.DONE)
    if not len(working):
        return run.failures[0]
    rows = np.resize(working, count)
    loop_seconds = float(run.seconds[working].mean())
    together = _Together(plan, block, watch_part)
    try:
        columns, seconds = together.run(rows)
        each, overhead_s = _split_time(together, rows, seconds, loop_seconds)
    except KeyboardInterrupt as error:
        return as_failure(int(block.numbers[working[0]]), error)
    except BaseException as error:
        return as_failure(int(block.numbers[working[0]]), _not_written_for_arrays(count, error))
    for tap, alone, arrays in zip(plan.taps, run.columns, columns, strict=True):
        for row, one in enumerate(rows.tolist()):
            number = int(block.numbers[one])
            if (found := _difference(tap, number, _row(alone, one), _row(arrays, row), rtol)) is not None:
                return as_failure(number, found)
    return Agreement(loop_seconds=loop_seconds, seconds=each, overhead_s=overhead_s)


class _Together:
    """Advances some simulations of a block together."""

    def __init__(self, plan: Plan, block: Block, watch_part: WatchPart) -> None:
        self.simulator = BlockSimulator(plan)
        self.block = block
        self.watch_part = watch_part

    def run(self, rows: Array) -> tuple[Sequence[Column], float]:
        """Return what rows of the block give, which may stand there more than once, and the time in s."""
        columns = self.simulator.columns(len(rows))
        started = time.perf_counter()
        with self.watch_part(len(rows)), np.errstate(divide="raise", over="raise", invalid="raise"):
            self.simulator.advance(self.block.select(rows), columns)
        return columns, time.perf_counter() - started


def _split_time(together: _Together, rows: Array, seconds: float, loop_seconds: float) -> tuple[float, float]:
    """Return the time that each simulation adds, and the time that passes whatever their number, in s."""
    if seconds > 2 * loop_seconds:  # computing outweighs all else
        return seconds / len(rows), 0.0
    more = np.resize(rows, MORE * len(rows))
    _, seconds_of_more = together.run(more)
    added = max(seconds_of_more - seconds, 0.0) / (len(more) - len(rows))
    each = min(added, seconds_of_more / len(more))  # the first of two noisy times may be too short
    return each, seconds_of_more - each * len(more)


def _row(column: Column, row: int) -> Array:
    assert column.values is not None
    values: Array = column.values[row]
    return values


def _not_written_for_arrays(count: int, error: BaseException) -> VectorizeError:
    notes = "".join(f" {note}." for note in notes_of(error))
    made = VectorizeError(
        f"vectorize: the model fails where {count} simulations are advanced at once, and works on each of "
        f"them: {type(error).__name__}: {str(error).rstrip('.')}.{notes}",
        fix=f"{FIX} vectorize=False.",
        cli_fix=f"{FIX} --set run.vectorize=false.",
    )
    made.__cause__ = error
    return made


def _difference(tap: Tap, number: int, alone: Array, arrays: Array, rtol: float) -> VectorizeError | None:
    """Return the error of an output that differs in a simulation, if it does."""
    if alone.shape != arrays.shape:
        return VectorizeError(
            f"vectorize: output {tap.name!r} of simulation {number} has shape {arrays.shape[1:]} where "
            f"several are advanced at once, on its own {alone.shape[1:]}.",
            fix=f"{FIX} vectorize=False.",
            cli_fix=f"{FIX} --set run.vectorize=false.",
        )
    if not alone.size:
        return None
    relative = _relative(alone, arrays)
    worst = np.unravel_index(int(np.argmax(relative)), relative.shape)
    if relative[worst] <= rtol:
        return None
    roomy = _roomy(relative[worst])
    place = "" if alone.size == 1 else f" at {tuple(map(int, worst))}"
    return VectorizeError(
        f"vectorize: output {tap.name!r} of simulation {number}{place} is {arrays[worst]} where several "
        f"are advanced at once, on its own {alone[worst]}: a relative difference of {relative[worst]:.2g}, "
        f"allowed is {rtol:g}.",
        fix=f"{FIX} vectorize=False, or allow more: vectorize={roomy}.",
        cli_fix=f"{FIX} --set run.vectorize=false, or allow more: --set run.vectorize={roomy}.",
    )


def _roomy(difference: float) -> str:
    return f"{10 ** np.ceil(np.log10(difference)):.0e}" if 0 < difference < 0.1 else "1e-6"


def _relative(expected: Array, found: Array) -> Array:
    """Return the differences of two arrays relative to the largest number of the first one.

    What is no floating-point number is equal, 0, or not, infinite; so are infinities and NaN.
    """
    if expected.dtype.kind not in "fc":
        is_equal = (expected == found) | ((expected != expected) & (found != found))
        return np.where(np.asarray(is_equal, bool), 0.0, np.inf)
    with np.errstate(all="ignore"):
        same = (expected == found) | (np.isnan(expected) & np.isnan(found))
        scale = np.max(np.abs(expected), initial=0.0, where=np.isfinite(expected))
        off = np.abs(found - expected) / scale
    return np.where(same, 0.0, np.where(np.isfinite(off), off, np.inf))

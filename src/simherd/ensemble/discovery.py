"""Finding out what the outputs of a batch look like, by running one of its simulations."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from math import gcd
from typing import Any

from simherd.engine.failures import Failure, said_by
from simherd.engine.schema import Schema
from simherd.ensemble.run import Batch, raised, share
from simherd.ensemble.task import Trial, find_schema
from simherd.errors import PicklingError, SimulationError
from simherd.executors.base import JOB_LOSSES, Lost, Tasks

__all__ = ["discover_more", "discover_schema", "spread"]

SCOUTED = 64


def discover_schema(batch: Batch) -> Schema:
    """Return what the outputs of a batch look like, found out by the first simulation that works.

    With ``on_error="record"`` up to 64 others, spread over the batch, are tried if the first one fails.

    Raises
    ------
    SimulationError
        If all that were tried fail.
    Exception
        What the first simulation raised, with ``on_error="raise"``.
    PicklingError
        If there are to be checkpoints, and something cannot be kept in one.
    """
    shared = share(batch, batch.plan)
    numbers = spread(batch.plan.batch_size)
    first = _scouted(batch, shared, numbers[:1])
    if isinstance(first, Schema):
        return first
    if _ends_run(batch, first):
        raise raised(first, batch)
    found = _scouted(batch, shared, numbers[1:]) if len(numbers) > 1 else first
    if isinstance(found, Schema):
        return found
    if found.is_interrupt:
        raise raised(found, batch)
    raise SimulationError(
        f"All {len(numbers)} simulations that were tried failed, so nothing is known of the outputs and "
        f"nothing was written. The first one raised {said_by(first.error)}.",
        fix="run one of them on its own: its error then comes with a traceback (--set run.on_error=raise).",
    ) from first.error


def _ends_run(batch: Batch, first: Failure) -> bool:
    return batch.on_error == "raise" or first.is_interrupt or isinstance(first.error, PicklingError)


def discover_more(batch: Batch, count: int) -> list[Schema]:
    """Return what the outputs of some more simulations look like, of those that work."""
    numbers = spread(batch.plan.batch_size)[1 : count + 1]
    with batch.executor.tasks(find_schema, share(batch, batch.plan), batch.silence_s) as tasks:
        found = [result for _, result in _all_results(tasks, [_trial(batch, n) for n in numbers])]
    return [one for one in found if isinstance(one, Schema)]


def _all_results(tasks: Tasks, trials: list[Trial]) -> Iterator[tuple[Trial, Any]]:
    while trials or tasks.running:
        while trials and tasks.room:
            tasks.submit(trials.pop())
        yield from tasks.finished()


def spread(simulations: int) -> list[int]:
    """Return the positions of up to 64 simulations, the first one first, then far from each other."""
    count = min(simulations, SCOUTED)
    stride = next(
        s for s in range(max(round(simulations * 0.618), 1), simulations + 2) if gcd(s, simulations) == 1
    )
    return [number * stride % simulations for number in range(count)]


def _scouted(batch: Batch, shared: Any, numbers: Sequence[int]) -> Schema | Failure:
    """Return the first schema that one of some simulations gives, else the last failure."""
    waiting, losses = list(numbers), 0
    with batch.executor.tasks(find_schema, shared, batch.silence_s) as tasks:
        while True:
            while waiting and tasks.room:
                tasks.submit(_trial(batch, waiting.pop(0)))
            for trial, result in tasks.finished():
                if isinstance(result, Schema):
                    return result
                if isinstance(result, Lost) and result.is_innocent and losses < JOB_LOSSES:
                    losses += 1
                    waiting.insert(0, trial.number)
                    continue
                last = _killer(trial, result) if isinstance(result, Lost) else result
                if last.is_interrupt:
                    return last
            if not waiting and not tasks.running:
                return last


def _trial(batch: Batch, number: int) -> Trial:
    return Trial(
        number=number,
        inputs={key: values[number : number + 1] for key, values in batch.inputs.items()},
        retries=batch.retries,
        timeout_s=batch.timeout_s,
        client=os.getpid(),
    )


def _killer(trial: Trial, lost: Lost) -> Failure:
    error = SimulationError(f"{str(trial).capitalize()} ended its worker process: {lost.reason}.")
    return Failure(number=trial.number, error=error, traceback="")

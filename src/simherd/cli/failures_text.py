"""The failed simulations of a store in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from simherd.cli.called import simherd_command
from simherd.cli.paths import shown
from simherd.cli.tracebacks import users_part_of
from simherd.experiment.replay import trusted_model_in
from simherd.progress.words import counted
from simherd.store.failures import FailedSimulation, SameError, group_errors, read_batch_inputs

__all__ = ["describe_each", "describe_groups", "error_lines", "replay_lines"]

GROUPS = 10
NUMBERS = 8
WIDTH = 200


def error_lines(groups: Sequence[SameError], count: int) -> Iterator[str]:
    """Yield a line for each of the most frequent errors, and one for the rest."""
    for group in groups[:count]:
        times, first = len(group.numbers), group.first
        of = "simulation" if times == 1 else "first in simulation"
        yield f"  {times} x {_short(first.error)}{_in_place(first, with_step=False)}, {of} {first.number}"
    if len(groups) > count:
        rest = sum(len(group.numbers) for group in groups[count:])
        yield f"  {rest} x {counted(len(groups) - count, 'other error')}"


def describe_groups(store: Path, failures: Sequence[FailedSimulation]) -> Iterator[str]:
    """Yield the failed simulations grouped by error, and the first one in full."""
    if not failures:
        yield f"{shown(str(store))}: no simulation has failed."
        return
    groups = group_errors(failures)
    yield f"{shown(str(store))}: {counted(len(failures), 'simulation')} failed{_kinds(failures, groups)}"
    inputs = read_batch_inputs(store, [group.first.number for group in groups[:GROUPS]])
    for row, group in enumerate(groups[:GROUPS]):
        yield ""
        note = " (first message shown; numbers differ)" if group.messages_differ else ""
        yield f"{len(group.numbers)} x {_short(group.first.error)}{note}"
        yield from _group_lines(group, {name: values[row] for name, values in inputs.items()})
    if len(groups) > GROUPS:
        yield ""
        yield f"and {counted(len(groups) - GROUPS, 'other error')}: see --all"
    yield ""
    example = groups[0].first
    yield f"Simulation {example.number} in full:"
    yield ""
    yield from _in_full(store, example)
    if len(failures) > 1:
        yield ""
        other = groups[1].first if len(groups) > 1 else failures[-1]
        again = simherd_command("failures", shown(str(store)), "--simulation", str(other.number))
        yield f"Another failed simulation: {again}"


def describe_each(store: Path, failures: Sequence[FailedSimulation]) -> Iterator[str]:
    """Yield each failed simulation in full."""
    if not failures:
        yield f"{shown(str(store))}: no simulation has failed."
        return
    inputs = read_batch_inputs(store, [one.number for one in failures])
    for row, one in enumerate(failures):
        yield f"Simulation {one.number}{_in_place(one)}"
        yield from _input_lines({name: values[row] for name, values in inputs.items()})
        yield from ["", _traceback(one), ""]
    yield from _again(store, failures[-1])


def _kinds(failures: Sequence[FailedSimulation], groups: Sequence[SameError]) -> str:
    if len(failures) == 1:
        return ""
    return f" with {len(groups)} kinds of errors" if len(groups) > 1 else " with the same kind of error"


def _group_lines(group: SameError, inputs: dict[str, Any]) -> Iterator[str]:
    place = _place(group.first, with_step=False)
    if place:
        yield f"    in {place}"
    numbers = ", ".join(map(str, group.numbers[:NUMBERS]))
    more = f" and {len(group.numbers) - NUMBERS} more" if len(group.numbers) > NUMBERS else ""
    yield f"    simulation{'' if len(group.numbers) == 1 else 's'} {numbers}{more}"
    if inputs:
        values = ", ".join(f"{name} = {_value(value)}" for name, value in inputs.items())
        yield f"    simulation {group.first.number} has {values}"


def _input_lines(inputs: dict[str, Any]) -> Iterator[str]:
    for name, value in inputs.items():
        yield f"    {name} = {_value(value)}"


def _in_full(store: Path, one: FailedSimulation) -> Iterator[str]:
    yield _traceback(one)
    yield ""
    yield from _again(store, one)


def _again(store: Path, one: FailedSimulation) -> Iterator[str]:
    yield f"Run simulation {one.number} again here, in a debugger:"
    yield ""
    for line in replay_lines(store, one.number):
        yield f"    {line}" if line else ""
    if not one.traceback:
        yield ""
        yield "It ended its worker process, so it may end this one: python -X faulthandler shows where."


def replay_lines(store: Path, number: int) -> Iterator[str]:
    """Yield the lines of Python that run a simulation again in a debugger."""
    is_named = trusted_model_in(store) is not None
    yield "import pdb"
    yield "import traceback"
    yield ""
    yield "import simherd"
    yield ""
    if not is_named:
        yield "model = ...  # the model of the run"
    yield "try:"
    yield f"    simherd.replay({str(store)!r}, {number}{'' if is_named else ', model'})"
    yield "except Exception:"
    yield "    traceback.print_exc()"
    yield "    pdb.post_mortem()"


def _traceback(one: FailedSimulation) -> str:
    return users_part_of(one.traceback).rstrip() or f"{one.error} (no traceback)"


def _place(one: FailedSimulation, with_step: bool = True) -> str:
    """Return where a simulation failed, such as "process 'walk', stage run_step"; "" if unknown."""
    if one.process is None:
        return ""
    step = f", step {one.step}" if with_step and one.step is not None else ""
    return f"process {one.process!r}, stage {one.stage}{step}"


def _in_place(one: FailedSimulation, with_step: bool = True) -> str:
    place = _place(one, with_step)
    return f" in {place}" if place else ""


def _short(error: str) -> str:
    line = " ".join(error.split())
    return line if len(line) <= WIDTH else f"{line[:WIDTH]} ..."


def _value(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return _short(np.array2string(value, threshold=6, edgeitems=3))
    return _short(repr(value.item() if isinstance(value, np.number | np.bool_ | np.str_) else value))

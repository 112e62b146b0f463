"""``simherd failures``: which simulations failed, and why."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from simherd.cli.exits import Exit
from simherd.cli.output import say

if TYPE_CHECKING:
    from pathlib import Path

    from simherd.store.failures import FailedSimulation

__all__ = ["command"]


class _NotFailedError(click.ClickException):
    """A wrong number in a command whose usage is right."""

    exit_code = Exit.USAGE


@click.command()
@click.argument("store")
@click.option("--simulation", type=int, metavar="N", help="Show only simulation N.")
@click.option("--all", "show_all", is_flag=True, help="Show each failed simulation with its traceback.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(store: str, simulation: int | None, show_all: bool, as_json: bool) -> None:
    r"""Show the failed simulations of a store: inputs, error, traceback.

    Simulations with the same kind of error are shown together, the most frequent error first. One of them is
    shown with its traceback and the Python code that runs it again in a debugger.

    \b
    simherd failures out.zarr
    simherd failures out.zarr --simulation 17
    simherd failures out.zarr --json | jq '.failures[].simulation'
    """
    from simherd.store.failures import read_failures
    from simherd.store.places import as_folder

    folder = as_folder(store)
    failures = read_failures(folder)
    if simulation is not None:
        failures = [_only(failures, simulation)]
    if as_json:
        say(_json(folder, failures))
        return
    from simherd.cli.failures_text import describe_each, describe_groups
    from simherd.progress.words import counted
    from simherd.store.journal import read_whole_journal

    describe = describe_each if show_all or simulation is not None else describe_groups
    say("\n".join(describe(folder, failures)))
    if odd_lines := read_whole_journal(folder).odd_lines:
        say(f"Skipped {counted(odd_lines, 'unreadable line')} of the journal.", err=True)


def _only(failures: list[FailedSimulation], number: int) -> FailedSimulation:
    from simherd.errors import close_matches

    for one in failures:
        if one.number == number:
            return one
    numbers = [one.number for one in failures]
    allowed = close_matches(str(number), map(str, numbers)) if numbers else "None of them has."
    raise _NotFailedError(f"Simulation {number} has not failed. {allowed}")


def _json(store: Path, failures: list[FailedSimulation]) -> str:
    from simherd.store.failures import read_batch_inputs

    inputs = read_batch_inputs(store, [one.number for one in failures])
    entries = [
        {
            "simulation": one.number,
            "error": one.error,
            "process": one.process,
            "stage": one.stage,
            "step": one.step,
            "where": one.where,
            "inputs": {name: _jsonable(values[row]) for name, values in inputs.items()},
            "traceback": one.traceback,
            "time": one.time,
        }
        for row, one in enumerate(failures)
    ]
    found = {"store": str(store), "failed": len(failures), "failures": entries}
    return json.dumps(found, default=str)


def _jsonable(value: Any) -> Any:
    """Return a value with lists for arrays, and None for what JSON has no number for."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list):
        return [_jsonable(item) for item in value]
    is_number = isinstance(value, float)
    return None if is_number and (value != value or value in (float("inf"), -float("inf"))) else value

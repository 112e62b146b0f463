"""``simherd status``: how far the simulations of a store are."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from simherd.cli.exits import Exit
from simherd.cli.output import say
from simherd.control_characters import without_controls

if TYPE_CHECKING:
    from simherd.store.jobs import JobRecord
    from simherd.store.reading import StoreState

__all__ = ["command"]

REFRESH_S = 1.0
LINE_S = 10.0
SHARE_OF_READING = 0.1
BAR_WIDTH = 60


@click.command()
@click.argument("store")
@click.option("--watch", is_flag=True, help="Update the output until the run ends.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; with --watch, one object per line.")
@click.option("--check", is_flag=True, help="Read every chunk of the inputs and of the results.")
@click.pass_context
def command(ctx: click.Context, store: str, watch: bool, as_json: bool, check: bool) -> None:
    r"""Show how many simulations of a store are done, failed and pending.

    Reads only: a run that is writing the store is not affected.

    \b
    Exit codes: 0 all done, 3 finished but some failed, 4 incomplete or damaged, 1 not a store.
    """
    from simherd.cli.status_text import lines_of
    from simherd.store.reading import read_state

    if check and watch:
        raise click.UsageError("--check reads the store once: leave out --watch.")
    state = read_state(store)
    if check:
        ctx.exit(_check(state, as_json))
    if watch and state.is_running:
        state = _watch(state, as_json)
    else:
        say(_json(state) if as_json else "\n".join(lines_of(state)))
    ctx.exit(_code(state))


def _code(state: StoreState) -> Exit:
    if state.pending or not state.simulations:
        return Exit.INCOMPLETE
    return Exit.SOME_FAILED if state.failed else Exit.DONE


def _check(state: StoreState, as_json: bool) -> Exit:
    """Read all chunks, show what is damaged, and return the exit code."""
    from simherd.cli.check_text import as_data, lines_of_array, summary_lines
    from simherd.cli.status_text import lines_of
    from simherd.store.checking import check_store

    found = []
    if not as_json:
        say("\n".join(lines_of(state)))
    for array in check_store(state.path) if state.simulations else ():
        found.append(array)
        if not as_json:
            say("\n".join(lines_of_array(array)))
    if as_json:
        say(json.dumps({**_data(state), **as_data(found)}))
    else:
        say("\n".join(summary_lines(state, found)))
    return Exit.INCOMPLETE if any(array.damages for array in found) else _code(state)


def _watch(state: StoreState, as_json: bool) -> StoreState:
    """Show the state until nobody writes any more, or Ctrl-C, and return the last one."""
    if as_json or not sys.stdout.isatty():
        return _watch_in_lines(state, as_json)
    from rich.live import Live

    with suppress(KeyboardInterrupt), Live(_picture(state), auto_refresh=False) as live:
        for newer in _states(state, REFRESH_S):
            state = newer
            live.update(_picture(state), refresh=True)
    return state


def _watch_in_lines(state: StoreState, as_json: bool) -> StoreState:
    from simherd.cli.status_text import lines_of, one_line_of

    with suppress(KeyboardInterrupt):
        for newer in _states(state, REFRESH_S if as_json else LINE_S):
            state = newer
            if as_json or state.is_running:
                say(_json(state) if as_json else one_line_of(state))
    if not as_json:
        say("\n".join(lines_of(state)))
    return state


def _states(state: StoreState, interval_s: float) -> Iterator[StoreState]:
    """Yield the state now and then, the last time when nobody writes any more."""
    from simherd.store.reading import read_state

    yield state
    while state.is_running:
        time.sleep(interval_s)
        started = time.monotonic()
        state = read_state(state.path)
        interval_s = max(interval_s, (time.monotonic() - started) / SHARE_OF_READING)
        yield state


def _picture(state: StoreState) -> Any:
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    from simherd.cli.status_text import lines_of

    picture = Table.grid()
    settled = state.done + state.failed
    picture.add_row(ProgressBar(total=max(state.simulations, 1), completed=settled, width=BAR_WIDTH))
    picture.add_row(Text(without_controls("\n".join(lines_of(state)))))
    return picture


def _json(state: StoreState) -> str:
    return json.dumps(_data(state))


def _data(state: StoreState) -> dict[str, Any]:
    note = state.note
    return {
        "store": str(state.path),
        "simulations": state.simulations,
        "done": state.done,
        "failed": state.failed,
        "pending": state.pending,
        "is_running": state.is_running,
        "doubt": state.doubt or None,
        "running": list(state.at_work),
        "started": note and _iso(note.started),
        "rate_per_s": note and note.rate_per_s,
        "seconds_left": state.seconds_left,
        "median_seconds": state.durations and state.durations.median_s,
        "longest_seconds": state.durations and state.durations.longest_s,
        "last_write": _iso(state.last_write) if state.last_write else None,
        "models": [asdict(one) for one in state.models],
        "jobs": [_job_data(one) for one in state.jobs],
        "bytes": state.nbytes,
        "files": state.files,
    }


def _job_data(record: JobRecord) -> dict[str, Any]:
    return {**asdict(record.job), "roles": list(record.roles), "since": _iso(record.since)}


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")

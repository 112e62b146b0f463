"""How far the simulations of a store are, in words."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from simherd.cli.called import simherd_command
from simherd.cli.paths import shown
from simherd.experiment.replay import model_named_in
from simherd.progress.words import counted, format_duration, format_rate, listed
from simherd.resources import format_bytes
from simherd.store.jobs import CLIENT, JobRecord
from simherd.store.model_versions import ModelVersion
from simherd.store.reading import StoreState

__all__ = ["lines_of", "lines_of_models", "one_line_of", "resuming_command"]

SHOWN_AT_WORK = 8
SHOWN_RANGES = 8


def lines_of(state: StoreState) -> Iterator[str]:
    """Yield the state in words."""
    yield _headline(state)
    yield from _run_lines(state)
    yield from _time_lines(state)
    yield from lines_of_models(state.models)
    yield from _job_lines(state.jobs)
    if state.last_write:
        yield f"Last write  {_ago(state.last_write)}"
        yield f"Size        {format_bytes(state.nbytes)} in {state.files} files"
    yield from _next_lines(state)


def one_line_of(state: StoreState) -> str:
    """Return the state in a line."""
    return _headline(state) + (f"; {_pace(state)}" if state.note else "")


def _headline(state: StoreState) -> str:

    name = shown(str(state.path))
    if not state.simulations:
        return f"{name}: a run is preparing the store"
    parts = [f"{state.done} of {counted(state.simulations, 'simulation')} done"]
    parts += [f"{state.failed} failed"] if state.failed else []
    parts += [f"{state.pending} pending"] if state.pending else []
    return f"{name}: {', '.join(parts)}"


def _run_lines(state: StoreState) -> Iterator[str]:
    if state.doubt:
        yield f"Running     perhaps: {state.doubt}"
    if not state.is_running:
        return
    note = state.note
    if note is None:
        yield "Running     now"
    else:
        since = datetime.fromtimestamp(note.started).strftime("%Y-%m-%d %H:%M:%S")
        yield f"Running     since {since} on {note.where}"
        yield f"            {_pace(state)}"
    if state.at_work:
        more = f" and {len(state.at_work) - SHOWN_AT_WORK} more" if len(state.at_work) > SHOWN_AT_WORK else ""
        yield f"Now at      {', '.join(map(str, state.at_work[:SHOWN_AT_WORK]))}{more}"


def _pace(state: StoreState) -> str:
    """Return how much of its work the run has done, how quick it is and how long it will take."""
    note = state.note
    assert note is not None
    parts = [f"{state.settled_in_run} of {note.simulations} in this run"]
    parts += [format_rate(note.rate_per_s)] if note.rate_per_s else []
    left = state.seconds_left
    parts += [f"{format_duration(left)} left"] if left else []
    return ", ".join(parts)


def _time_lines(state: StoreState) -> Iterator[str]:

    took = state.durations
    if took is None:
        return
    each = f"{_seconds(took.median_s)} (median), {_seconds(took.longest_s)} (longest)"
    yield f"Each took   {each}, {format_duration(took.total_s)} in all"


def lines_of_models(models: Sequence[ModelVersion]) -> Iterator[str]:
    """Yield which simulations ran with which version of the model, where there are several."""
    for one in models:
        which = f": {_ranges(one.simulations)}" if one.simulations else ""
        yield f"Model {one.number:<5} {counted(len(one.simulations), 'simulation')}{which}"
        if one.accepted is not None:
            when = _time(datetime.fromisoformat(one.accepted))
            yield f"            changed before {when}: {'; '.join(one.changes)}"


def _job_lines(records: Sequence[JobRecord]) -> Iterator[str]:
    """Yield the batch jobs that worked on a store: those of the client, then those of workers alone."""
    for is_client, what in ((True, "run"), (False, "workers")):
        ids: dict[str, list[str]] = {}
        for one in records:
            if (CLIENT in one.roles) is is_client:
                ids.setdefault(one.job.scheduler, []).append(one.job.job_id)
        for scheduler, found in ids.items():
            yield f"Jobs        {scheduler}, {what}: {listed(found)}"


def _ranges(numbers: Sequence[int]) -> str:
    """Return positions in words, such as ``"0-3, 7"``."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    shown = [str(first) if first == last else f"{first}-{last}" for first, last in parts[:SHOWN_RANGES]]
    return ", ".join(shown) + (" ..." if len(parts) > SHOWN_RANGES else "")


def _seconds(seconds: float) -> str:

    return f"{1000 * seconds:.3g} ms" if seconds < 1 else format_duration(seconds)


def _time(when: datetime) -> str:
    return when.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _ago(moment: float) -> str:

    when = datetime.fromtimestamp(moment, UTC)
    return f"{_time(when)}, {format_duration(max(time.time() - moment, 0.0))} ago"


def _next_lines(state: StoreState) -> Iterator[str]:
    if state.pending and not state.is_running:
        yield f"Go on with  {resuming_command(state)}"
    if state.failed:
        yield f"See errors  {simherd_command('failures', shown(str(state.path)))}"


def resuming_command(state: StoreState) -> str:
    """Return how to go on in a store: a command, or the call of Python that made it."""
    again = ("run", "EXPERIMENT", "--store", shown(str(state.path)), "--resume")
    by_command = model_named_in(state.path) is not None
    return simherd_command(*again) if by_command else "run(..., resume=True)"

"""What went wrong in a run, one JSON line per failed simulation, beside the arrays of its store.

Each process that writes has a file of its own: lines of several never mix, on network file systems
neither.
"""

from __future__ import annotations

import json
import math
import os
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any

from simherd.engine.failures import Failure, notes_of, said_by
from simherd.reserved import JOURNAL
from simherd.store.durable import append_lines, make_folders

__all__ = ["JOURNAL", "Journal", "read_journal", "read_whole_journal", "record_failures"]

_FIELDS: Mapping[str, type | UnionType] = {
    "simulation": int,
    "time": float,
    "error": str,
    "where": str,
    "process": str | None,
    "stage": str | None,
    "step": int | None,
    "traceback": str,
}


def record_failures(store: Path, failures: Iterable[Failure]) -> None:
    """Append failed simulations, with their tracebacks, to the journal of a store, and wait for the disk.

    Raises
    ------
    OSError
        If the disk does not take all of it.
    """
    lines = [json.dumps(_entry(failure)) + "\n" for failure in failures]
    if not lines:
        return
    make_folders(store / JOURNAL)
    append_lines(store / JOURNAL / f"{socket.gethostname()}-{os.getpid()}.jsonl", "".join(lines).encode())


def _entry(failure: Failure) -> dict[str, Any]:
    place = failure.place
    return {
        "simulation": failure.number,
        "time": time.time(),
        "error": said_by(failure.error),
        "where": " ".join(notes_of(failure.error)),
        "process": place and place.process,
        "stage": place and place.stage,
        "step": place and place.step,
        "traceback": failure.traceback,
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Journal:
    """What a journal tells."""

    entries: list[dict[str, Any]]
    """The newest entry of each simulation that ever failed, in the order of the batch."""
    odd_lines: int
    """Lines that are no entries: a killed process did not finish them, or something else wrote them."""


def read_journal(store: Path) -> list[dict[str, Any]]:
    """Return the newest entry of each simulation that ever failed, in the order of the batch."""
    return read_whole_journal(store).entries


def read_whole_journal(store: Path) -> Journal:
    """Return what the journal of a store tells, and how much of it cannot be read."""
    newest: dict[int, dict[str, Any]] = {}
    odd_lines = 0
    for line in _lines(store):
        entry = _parsed(line)
        if entry is None:
            odd_lines += 1
        elif entry["simulation"] not in newest or entry["time"] >= newest[entry["simulation"]]["time"]:
            newest[entry["simulation"]] = entry
    return Journal(entries=[newest[number] for number in sorted(newest)], odd_lines=odd_lines)


def _lines(store: Path) -> Iterator[bytes]:
    """Yield all lines of a journal; a file that cannot be read is one that is no entry."""
    for path in sorted((store / JOURNAL).glob("*.jsonl")):
        try:
            data = path.read_bytes()
        except OSError:
            yield b""
        else:
            yield from data.removesuffix(b"\n").split(b"\n") if data else ()


def _parsed(line: bytes) -> dict[str, Any] | None:
    """Return the entry that a line is; None if it has another form than `record_failures` writes."""
    try:
        entry = json.loads(line.decode(errors="replace"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict):
        return None
    is_entry = all(isinstance(entry.get(name), kind) for name, kind in _FIELDS.items())
    is_entry = is_entry and not isinstance(entry["simulation"], bool) and math.isfinite(entry["time"])
    return entry if is_entry else None

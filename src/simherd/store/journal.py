"""What went wrong in a run, one JSON line per failed simulation, beside the arrays of its store.

Each process that writes has a file of its own: lines of several never mix, on network file systems
neither.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from simherd.engine.failures import Failure, notes_of, said_by
from simherd.reserved import JOURNAL
from simherd.store.durable import append_lines, make_folders

__all__ = ["JOURNAL", "read_journal", "record_failures"]


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


def read_journal(store: Path) -> list[dict[str, Any]]:
    """Return the newest entry of each simulation that ever failed, in the order of the batch.

    A line that a killed process did not finish is left out.
    """
    newest: dict[int, dict[str, Any]] = {}
    for path in (store / JOURNAL).glob("*.jsonl"):
        for line in path.read_text(errors="replace").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            known = newest.get(entry["simulation"])
            if known is None or entry["time"] >= known["time"]:
                newest[entry["simulation"]] = entry
    return [newest[number] for number in sorted(newest)]

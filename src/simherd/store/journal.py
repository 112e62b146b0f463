"""What went wrong in a run, one JSON line per event, beside the arrays of its store."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from simherd.engine.block import Failure

__all__ = ["JOURNAL", "record_failures"]

JOURNAL = "journal.jsonl"


def record_failures(store: Path, failures: Iterable[Failure]) -> None:
    """Append failed simulations, with their tracebacks, to the journal of a store.

    In one write at the end of the file, so that lines of several workers do not mix.
    """
    lines = [
        json.dumps({"simulation": f.number, "error": repr(f.error), "traceback": f.traceback}) + "\n"
        for f in failures
    ]
    if lines:
        with (store / JOURNAL).open("ab", buffering=0) as journal:
            journal.write("".join(lines).encode())

"""What went wrong in a run, one JSON line per event, beside the arrays of its store."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from simherd.engine.block import Failure

__all__ = ["JOURNAL", "record_failures"]

JOURNAL = "journal.jsonl"


def record_failures(store: Path, failures: Iterable[Failure]) -> None:
    """Append failed simulations, with their tracebacks, to the journal of a store."""
    lines = [
        json.dumps({"simulation": f.number, "error": repr(f.error), "traceback": f.traceback}) + "\n"
        for f in failures
    ]
    if lines:
        with (store / JOURNAL).open("a", encoding="utf-8") as journal:
            journal.writelines(lines)

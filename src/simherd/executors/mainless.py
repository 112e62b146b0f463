"""Starting worker processes that do not import the user's script.

Python's "spawn" makes a new process import the ``__main__`` of its parent, which runs a script
without an ``if __name__ == "__main__"`` guard once more, in every worker. Our workers need none of it:
what they run is importable, or travels by value.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["without_main"]

_lock = threading.Lock()
_depth = 0
_saved: dict[str, object] = {}


@contextmanager
def without_main() -> Iterator[None]:
    """Hide where ``__main__`` came from, so that processes started now do not import it."""
    with _lock:
        _enter()
    try:
        yield
    finally:
        with _lock:
            _leave()


def _enter() -> None:
    global _depth
    _depth += 1
    if _depth == 1:
        names = vars(sys.modules["__main__"])
        _saved.update({n: names.pop(n) for n in ("__file__", "__spec__") if n in names})
        names["__spec__"] = None


def _leave() -> None:
    global _depth
    _depth -= 1
    if _depth == 0:
        names = vars(sys.modules["__main__"])
        names.pop("__spec__", None)
        names.update(_saved)
        _saved.clear()

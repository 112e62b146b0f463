"""What is said while a cluster starts or mends itself: lines on standard error, none twice in a row."""

from __future__ import annotations

import sys
import time
from contextlib import suppress

from simherd.control_characters import without_controls

__all__ = ["Notices", "notice"]

AGAIN_S = 60.0


def notice(text: str) -> None:
    """Write a line, unless standard error is gone, with its terminal for instance."""
    with suppress(OSError):
        print(without_controls(text), file=sys.stderr, flush=True)  # noqa: T201 (looked up now: a live bar may stand there)


class Notices:
    """Lines of which one is repeated only when it has changed, or after a minute."""

    def __init__(self) -> None:
        self._last = ""
        self._when = 0.0

    def say(self, text: str) -> None:
        """Write a line, unless it is what was said last."""
        now = time.monotonic()
        if text != self._last or now - self._when > AGAIN_S:
            self._last, self._when = text, now
            notice(text)

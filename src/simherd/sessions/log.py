"""What a session has printed."""

from __future__ import annotations

import time
from collections.abc import Iterator

from simherd.sessions.control import find
from simherd.sessions.record import log_of

__all__ = ["portions"]

PORTION = 65536
LOOK_S = 0.2


def portions(name: str, follow: bool) -> Iterator[bytes]:
    """Yield the log of a session in pieces; with `follow` until the session ends."""
    with log_of(name).open("rb") as file:
        while True:
            is_live = follow and find(name).state.is_live
            while portion := file.read(PORTION):
                yield portion
            if not is_live:
                return
            time.sleep(LOOK_S)

"""Progress of runs from Python: nothing is shown of those that are over in a moment."""

from __future__ import annotations

import threading
import time

from simherd.events import Event, RunFinished, RunStarted
from simherd.progress import Progress

__all__ = ["LateProgress"]

PATIENCE_S = 1.0


class LateProgress:
    """Passes events on once a run has taken a second, those of before first.

    Parameters
    ----------
    progress : Progress
        Shows them.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._lock = threading.Lock()
        self._waiting: list[Event] = []
        self._is_shown = False
        self._begun = 0.0
        self._timer = threading.Timer(PATIENCE_S, self._show)
        self._timer.daemon = True

    def __call__(self, event: Event) -> None:
        """Show what an event tells, now or later."""
        with self._lock:
            if self._is_shown:
                self._progress(event)
                return
            self._waiting.append(event)
        if isinstance(event, RunStarted):
            self._begun = time.monotonic()
            self._timer.start()
        elif isinstance(event, RunFinished):
            self._timer.cancel()

    def close(self) -> None:
        """Show nothing any more."""
        self._timer.cancel()
        with self._lock:
            self._waiting.clear()
            if self._is_shown:
                self._progress.close()

    def _show(self) -> None:
        with self._lock:
            self._is_shown = True
            for event in self._waiting:
                self._progress(event)
                if isinstance(event, RunStarted):
                    self._progress.tally.started = self._begun
            self._waiting.clear()

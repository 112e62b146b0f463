"""Processes that can be abandoned.

A process that waits for a hung file system does not end when it is killed. ``multiprocessing`` and
``concurrent.futures`` wait for it nevertheless, at the latest when Python ends.
"""

from __future__ import annotations

import os
import time
from multiprocessing.connection import wait
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any

__all__ = ["WorkerContext", "WorkerProcess"]

LOOK_S = 0.5


class WorkerProcess(SpawnProcess):
    """A process that counts as ended once it is abandoned."""

    is_abandoned = False

    def abandon(self) -> None:
        """Let everyone who waits for this process take it for ended."""
        self.is_abandoned = True
        ended, begun = os.pipe()
        os.close(begun)
        os.dup2(ended, self.sentinel)
        os.close(ended)

    def is_alive(self) -> bool:
        """Return whether the process has neither ended nor been abandoned."""
        return not self.is_abandoned and super().is_alive()

    def join(self, timeout: float | None = None) -> None:
        """Wait until the process ends or is abandoned."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self.is_abandoned:
            super().join(0)
            left_s = LOOK_S if deadline is None else deadline - time.monotonic()
            if self.exitcode is not None or left_s <= 0:
                return
            wait([self.sentinel], min(left_s, LOOK_S))


class WorkerContext(SpawnContext):
    """Starts one `WorkerProcess`, and gives it."""

    process: WorkerProcess | None = None

    def Process(self, *args: Any, **options: Any) -> WorkerProcess:  # type: ignore[override]  # noqa: N802 (a class there)
        """Return the process."""
        self.process = WorkerProcess(*args, **options)
        return self.process

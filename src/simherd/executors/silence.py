"""Workers that give no sign of life: stopped, killed but stuck in a hung file system, on a hung node.

A worker that lives gives a sign every second or so, unless compiled code holds its interpreter lock. That
ends with the time limit of the simulation at the latest. A worker that is silent for longer gives no result.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Silence", "silence_after"]

MARGIN_S = 120.0
"""Silence allowed beyond the longest simulation, in s: a library that loads slowly holds the lock, too."""
END_SHARE = 1.1
"""How much longer than its time a simulation may last until its worker is ended."""
STEP_S = 15.0
"""Silence that counts between two looks, in s: more means that this process was stopped itself."""

W = TypeVar("W")


def silence_after(longest_s: float | None) -> float | None:
    """Return how long a worker may give no sign of life, in s; None is for ever.

    Parameters
    ----------
    longest_s : float, optional
        Time limit of what a worker runs at once, in s; None if there is none.
    """
    return None if longest_s is None else END_SHARE * longest_s + MARGIN_S


@dataclass(frozen=True, slots=True)
class _Heard:
    sign: float
    silent_s: float


class Silence(Generic[W]):
    """Counts how long workers have given no sign of life.

    Parameters
    ----------
    limit_s : float, optional
        Silence after which a worker is given up, in s; None is never.
    """

    def __init__(self, limit_s: float | None) -> None:
        self.limit_s = limit_s
        self._heard: dict[W, _Heard] = {}
        self._looked_at = time.monotonic()

    def beyond_limit(self, signs: Mapping[W, float]) -> list[W]:
        """Return the workers that have been silent for too long.

        Parameters
        ----------
        signs : mapping
            For each worker that has something to do, any number that changes with each sign of life.
        """
        now = time.monotonic()
        passed_s, self._looked_at = min(now - self._looked_at, STEP_S), now
        self._heard = {worker: self._after(worker, sign, passed_s) for worker, sign in signs.items()}
        if self.limit_s is None:
            return []
        return [worker for worker, heard in self._heard.items() if heard.silent_s > self.limit_s]

    def _after(self, worker: W, sign: float, passed_s: float) -> _Heard:
        before = self._heard.get(worker)
        is_silent = before is not None and before.sign == sign
        return _Heard(sign, before.silent_s + passed_s if before is not None and is_silent else 0.0)

"""Random numbers of tasks: each task has a stream of its own in NumPy's global generator.

The generator is Philox [1]_, whose key is two numbers: one for the whole map and the position of the task.
Setting the key takes a microsecond, so streams cost next to nothing where no task draws a number. They do
not depend on the number of workers or on the order of tasks.

References
----------
.. [1] Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC'11.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import mtrand

__all__ = ["Streams", "draw_root"]


def draw_root() -> int:
    """Return a number for a map from NumPy's global generator, which ``numpy.random.seed`` sets."""
    return int(np.random.randint(0, 2**63 - 1, dtype=np.int64))  # noqa: NPY002 (the caller's own stream)


class Streams:
    """Sets NumPy's global generator before each task.

    Parameters
    ----------
    root : int
        Number of the map, 0 to 2**63 - 1.
    """

    def __init__(self, root: int) -> None:
        self._philox = np.random.Philox(key=root)
        self._state: dict[str, Any] = {**self._philox.state, "has_gauss": 0, "gauss": 0.0}
        self._key = self._state["state"]["key"]

    def install(self) -> None:
        """Let the functions of ``numpy.random`` draw from these streams."""
        if mtrand.get_bit_generator() is not self._philox:
            mtrand.set_bit_generator(self._philox)

    def begin(self, task: int) -> None:
        """Begin the stream of a task."""
        self._key[1] = task
        np.random.set_state(self._state)  # noqa: NPY002 (tasks draw from the global generator)

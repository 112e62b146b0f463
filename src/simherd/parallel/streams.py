"""Random numbers of tasks: each task has a stream of its own in NumPy's global generator.

The generator is the one that programs expect there, the Mersenne Twister, so ``numpy.random.seed``,
``get_state`` and ``set_state`` give in a task what they give elsewhere. Seeding it takes about two
microseconds, so streams cost next to nothing where no task draws a number. A seed has 32 bits. The seeds of
a map are an arithmetic progression modulo 2**32 with an odd step, so they all differ; its start and step are
hashed from the root.
"""

from __future__ import annotations

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
        self._generator = np.random.MT19937()
        self._start, step = (int(word) for word in np.random.SeedSequence(root).generate_state(2))
        self._step = step | 1

    def install(self) -> None:
        """Let the functions of ``numpy.random`` draw from these streams."""
        if mtrand.get_bit_generator() is not self._generator:
            mtrand.set_bit_generator(self._generator)

    def begin(self, task: int) -> None:
        """Begin the stream of a task."""
        np.random.seed((self._start + task * self._step) & 0xFFFFFFFF)  # noqa: NPY002 (what tasks draw from)

"""Random numbers of simulations: one stream for each simulation and process, whoever runs it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

import numpy as np

__all__ = ["NO_GENERATORS", "Generators", "fresh_seed", "simulation_rng"]


def fresh_seed() -> int:
    """Return a seed from the operating system, to be kept with the results of a run.

    It has 63 bits, which attributes of all file formats can hold.
    """
    entropy = np.random.SeedSequence().entropy
    return int(entropy) >> 65  # type: ignore[arg-type]  # without a seed of ours it is one integer


def simulation_rng(seed: int, number: int, process: str) -> np.random.Generator:
    """Return the random numbers of one process in one simulation.

    They depend on the arguments alone: not on the executor, the block or what ran before.

    Parameters
    ----------
    seed : int
        Seed of the run, 0 or more, of any length.
    number : int
        Position of the simulation in its batch, from 0; 0 outside of a batch.
    process : str
        Name of the process in the model.

    Returns
    -------
    numpy.random.Generator
        At the start of its stream. Streams of other simulations and processes are independent of it.

    Raises
    ------
    ValueError
        If `seed` or `number` is negative.

    Notes
    -----
    The seed is hashed together with number and name by NumPy's SeedSequence [1]_, as `spawn` does with the
    number of a child; PCG64DXSM is the generator that NumPy advises for very many streams [2]_.

    References
    ----------
    .. [1] https://numpy.org/doc/stable/reference/random/parallel.html
    .. [2] https://numpy.org/doc/stable/reference/random/upgrading-pcg64.html
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(number, *_words_of(process)))
    return np.random.Generator(np.random.PCG64DXSM(sequence))


class Generators(dict[str, np.random.Generator]):
    """The generators of the processes of one simulation, each made when it is first asked for.

    Parameters
    ----------
    seed : int, optional
        Seed of the run; a fresh one by default.
    number : int, optional
        Position of the simulation in its batch.
    """

    def __init__(self, seed: int | None = None, number: int = 0) -> None:
        super().__init__()
        self.seed = fresh_seed() if seed is None else seed
        self.number = number

    def __missing__(self, process: str) -> np.random.Generator:
        self[process] = made = simulation_rng(self.seed, self.number, process)
        return made


NO_GENERATORS: Mapping[str, np.random.Generator] = MappingProxyType({})
"""For simulations in which no process asks for random numbers."""


@lru_cache(maxsize=1024)
def _words_of(name: str) -> tuple[int, ...]:
    """Return two integers of 32 bits that are the same for a name on every machine."""
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return tuple(np.frombuffer(digest, "<u4").tolist())

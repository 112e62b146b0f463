"""Everything that is decided before the first stage runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from simherd.model.graph import Key, join_name
from simherd.model.hooks import HookTable
from simherd.model.model import Model
from simherd.model.runtime import RNG

__all__ = ["Array", "Plan", "Tap", "uses_random_numbers"]

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Tap:
    """An output: a variable and when its value is saved."""

    key: Key
    """Names of process and variable."""
    home: Key
    """Key of the variable that owns the value."""
    clock: str | None
    """Clock at whose labels it is saved; None saves it once, at the end."""
    steps: tuple[int, ...]
    """Positions of the clock's labels on the main clock; empty without a clock."""
    dtype: Any = None
    """Type of its values, where it is declared or known."""
    has_found_dtype: bool = False
    """Whether the type was found in another simulation, not declared."""
    shape: tuple[int, ...] | None = None
    """Shape of a value, where it is known."""
    sizes: tuple[tuple[int | None, ...], ...] = ()
    """Sizes that values may have, one per declared combination of dimensions; None may change."""
    fill_value: Any = None
    """What stands where no value was saved; None leaves it to the type."""
    is_concatenated: bool = False
    """Whether values of different sizes are kept without filling them up to one."""
    is_finite: bool = False
    """Whether a value that is not finite fails its simulation."""

    @property
    def name(self) -> str:
        """Name in datasets and stores."""
        return join_name(self.key)

    @property
    def saves(self) -> int:
        """Number of values saved in a simulation."""
        return len(self.steps) if self.clock is not None else 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A model with its clock, inputs and outputs: what the simulations of a batch have in common."""

    model: Model
    """The model; simulations run on clones of it."""
    clock: str | None
    """Name of the main clock."""
    labels: Array = field(default_factory=lambda: np.empty(0))
    """Labels of the main clock, shape (steps + 1,); empty for a model without steps."""
    labelled_clock: Any = None
    """The main clock with its attributes, opaque to the engine, for processes that ask for it."""
    shared: Mapping[Key, Any]
    """Values of inputs that are the same in all simulations."""
    batched: tuple[Key, ...] = ()
    """Inputs that differ between simulations."""
    varying: frozenset[Key] = frozenset()
    """Inputs whose first axis is the main clock."""
    taps: tuple[Tap, ...] = ()
    """The outputs."""
    indexes: tuple[Key, ...] = ()
    """Index variables, saved once."""
    index_values: Mapping[Key, Array] = field(default_factory=dict)
    """Values of index variables that all simulations have, where they are known."""
    batch_size: int = -1
    """Simulations in the batch, -1 outside one."""
    validate: str | None = "inputs"
    """When validators are called: "inputs" where inputs are set, "all" also after each process, which
    checks intents too, or never."""
    hooks: HookTable = field(default_factory=HookTable)
    """Functions of the user that watch the simulations."""
    seed: int | None = None
    """Seed of the random numbers; None only where no process asks for any."""
    checkpoint_every: int | None = None
    """Steps from one checkpoint of a simulation to the next; None keeps none."""

    @property
    def nsteps(self) -> int:
        """Number of steps."""
        return max(len(self.labels) - 1, 0)

    def moment(self, tap: Tap, position: int) -> str:
        """Return in words when the value of an output is saved that has a position on its clock."""
        return "at the end" if tap.clock is None else f"at {tap.clock} = {self.labels[tap.steps[position]]}"


def uses_random_numbers(model: Model) -> bool:
    """Return whether a process of a model asks for random numbers."""
    return any(RNG in args for info in model.graph.infos.values() for args in info.stages.values())

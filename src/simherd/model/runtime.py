"""What a stage method may ask of the run, and what it may answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import IntEnum
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeVar, overload

from simherd.errors import ModelError, UnknownNameError, close_matches
from simherd.model.randomness import Generators

if TYPE_CHECKING:
    import numpy as np

__all__ = ["RNG", "STAGES", "RuntimeContext", "RuntimeSignal", "as_context", "runtime", "signal_of_number"]

STAGES = ("initialize", "run_step", "finalize_step", "finalize")
RUNTIME_ARGS = "__simherd_runtime_args__"
RNG = "rng"
"""Name of the argument that is the random numbers of the process."""

F = TypeVar("F", bound=Callable[..., Any])


class RuntimeSignal(IntEnum):
    """What a stage method or a hook may return to steer the run; the highest one wins.

    Whatever else they return is ignored, a number too.
    """

    NONE = 0
    """Go on."""
    SKIP = 1
    """Skip the stage (or the process, at process level)."""
    CONTINUE = 2
    """Go on with the next step at once."""
    BREAK = 3
    """Leave the step loop (or skip the remaining processes, at process level)."""


def signal_of_number(answer: Any) -> Any:
    """Return the signal that a number stands for, where a model is written so; any other answer as it is."""
    is_number = isinstance(answer, Real) and answer in tuple(RuntimeSignal)
    return RuntimeSignal(answer) if is_number else answer


@dataclass(slots=True, kw_only=True)
class RuntimeContext(Mapping[str, Any]):
    """Where a simulation stands; the engine moves it on.

    Also a mapping of the names of its fields to their values.
    """

    batch_size: int = -1
    """Simulations in the batch, -1 outside one."""
    batch: int = -1
    """Position of this simulation in the batch, -1 outside one."""
    sim_start: Any = None
    """First label of the main clock."""
    sim_end: Any = None
    """Last label of the main clock."""
    nsteps: int = 0
    """Number of steps: labels of the main clock less one."""
    step: int = 0
    """Number of the current step, from 0."""
    step_start: Any = 0
    """Label of the main clock at the start of the step."""
    step_end: Any = 0
    """Label of the main clock at the end of the step."""
    step_delta: Any = 0
    """Length of the step in units of the main clock (timedelta64 where it holds dates)."""
    main_clock_values: Any = None
    """All labels of the main clock: an array, shape (nsteps + 1,)."""
    main_clock_dataarray: Any = None
    """The main clock with its attributes: an xarray DataArray, for who asks for it."""
    rngs: Mapping[str, np.random.Generator] = field(default_factory=Generators)
    """Random numbers of the processes that ask for ``rng``, by their names."""

    def __getitem__(self, label: str) -> Any:
        """Return a field by its name, as hooks that were written for xarray-simlab read them."""
        if label not in LABELS:
            raise KeyError(label)
        return getattr(self, label)

    def __iter__(self) -> Iterator[str]:
        return iter(LABELS)

    def __len__(self) -> int:
        return len(LABELS)


LABELS = tuple(one.name for one in fields(RuntimeContext))
ARGUMENTS = (*(label for label in LABELS if label != "rngs"), RNG)
"""What a stage method may ask for."""


def as_context(given: Mapping[str, Any]) -> RuntimeContext:
    """Return a mapping of names to values as a context.

    Raises
    ------
    UnknownNameError
        If one of the names is no field of a context.
    """
    if isinstance(given, RuntimeContext):
        return given
    for name in given:
        if name not in LABELS:
            raise UnknownNameError(
                f"A run does not have {name!r} for its processes. {close_matches(str(name), LABELS)}"
            )
    return RuntimeContext(**given)


@overload
def runtime(meth: F, args: str | Sequence[str] | None = None) -> F: ...
@overload
def runtime(meth: None = None, args: str | Sequence[str] | None = None) -> Callable[[F], F]: ...
def runtime(meth: Any = None, args: str | Sequence[str] | None = None) -> Any:
    """Mark a stage method as one that takes values of the run as positional arguments.

    Parameters
    ----------
    meth : callable, optional
        The method; without it a decorator is returned.
    args : str or sequence of str
        Names of fields of `RuntimeContext`, as a sequence or in one text separated by commas. ``"rng"`` is
        a ``numpy.random.Generator`` of the process alone: the same one through all stages of a simulation,
        independent of those of other simulations and processes, and reproduced by the seed of the run.

    Raises
    ------
    ModelError
        If `args` is of another type, or names something that a run does not have.
    """
    names = _argument_names(args)

    def mark(method: F) -> F:
        setattr(method, RUNTIME_ARGS, names)
        return method

    return mark if meth is None else mark(meth)


def _argument_names(args: Any) -> tuple[str, ...]:
    if args is None:
        return ()
    if isinstance(args, str):
        args = [name.strip() for name in args.split(",") if name.strip()]
    if not isinstance(args, list | tuple):
        raise ModelError(
            f"runtime(args=...) got {type(args).__name__}: a text, list or tuple of names is allowed."
        )
    for name in args:
        if name not in ARGUMENTS:
            raise ModelError(
                f"runtime(args=...) got {name!r}, which a run does not have. "
                f"{close_matches(str(name), ARGUMENTS)}"
            )
    return tuple(args)

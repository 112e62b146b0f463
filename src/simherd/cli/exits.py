"""Exit codes of the command line."""

from __future__ import annotations

from enum import IntEnum

from simherd.errors import (
    ClusterOptionError,
    ExperimentError,
    ModelError,
    SetupError,
    SimherdError,
    StoreMismatchError,
)

__all__ = ["Exit", "code_of"]


class Exit(IntEnum):
    """What an exit code says."""

    DONE = 0
    """All done."""
    ERROR = 1
    """A thing of the world failed."""
    USAGE = 2
    """An experiment or option is wrong."""
    SOME_FAILED = 3
    """Finished, but some simulations failed."""
    INCOMPLETE = 4
    """Interrupted, or not finished."""


_WRONG = (ExperimentError, SetupError, ModelError, ClusterOptionError, StoreMismatchError)


def code_of(error: SimherdError) -> Exit:
    """Return the exit code for an error."""
    return Exit.USAGE if isinstance(error, _WRONG) else Exit.ERROR

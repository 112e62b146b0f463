"""The whole exception tree.

::

    SimherdError
    ├── ModelError            (ValueError)      a process or model is declared wrongly
    │   ├── AssignmentError   (AttributeError)  a variable that nobody sets was assigned
    │   ├── ProcessClassError (ValueError)      a class is not a process, or not one any more
    │   ├── CycleError        (RuntimeError)    processes wait for each other in a circle
    │   ├── LinkError         (KeyError)        a variable refers to one that the model lacks
    │   └── VectorizeError                      it is not written for many simulations at once
    ├── UnsetVariableError    (AttributeError, KeyError)  read before any process set it
    ├── SetupError            (ValueError)      clocks, inputs or outputs do not fit the model
    │   ├── UnknownNameError  (KeyError)        a name that the model does not have
    │   └── MissingInputError (KeyError)        an input without value and default
    ├── ExperimentError       (ValueError)      an experiment file is wrong
    ├── StoreError            (RuntimeError)    the output store cannot be used
    │   ├── StoreExistsError  (FileExistsError) it holds results already
    │   ├── StoreLockedError                    another run is writing it
    │   └── StoreMismatchError (ValueError)     it holds results of another model, or of other inputs
    ├── OutputError           (ValueError)      a simulation gave values that do not fit its outputs
    ├── SimulationError       (RuntimeError)    a simulation of a batch failed
    │   └── SimulationTimeoutError (TimeoutError) it took longer than it may
    ├── RunInterruptedError   (RuntimeError)    a run was told to stop and can be resumed
    ├── TaskError             (RuntimeError)    a task of a parallel map ended its worker, or this program
    │   └── TaskTimeoutError  (TimeoutError)    it took longer than it may
    ├── ParallelArgumentError (ValueError, TypeError)  arguments of a parallel map do not fit together
    ├── ParallelizerError     (KeyError, ValueError)   there is no such parallelizer
    ├── PicklingError         (TypeError)       something cannot travel to a worker process
    ├── ClusterError          (RuntimeError)    a cluster could not be started or reached
    │   ├── ClusterOptionError (ValueError)     an option of it is wrong
    │   ├── SchedulerError                      a batch scheduler's command failed
    │   │   └── SubmitError                     it refused a job
    │   └── SessionError                        a session could not be started or reached
    ├── AccountingError       (ValueError)      a text is not the accounting of a batch scheduler
    └── MissingDependencyError (ImportError)    an optional package is not installed

Each also derives from the built-in error that a caller would expect. A message says what was being
done, what was found and what is allowed; ``fix`` says what to do about it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

from simherd.control_characters import without_controls

__all__ = [
    "AccountingError",
    "AssignmentError",
    "ClusterError",
    "ClusterOptionError",
    "CycleError",
    "ExperimentError",
    "InputWarning",
    "LinkError",
    "MissingDependencyError",
    "MissingInputError",
    "ModelError",
    "OutputError",
    "ParallelArgumentError",
    "ParallelizerError",
    "PicklingError",
    "ProcessClassError",
    "RunInterruptedError",
    "SchedulerError",
    "SessionError",
    "SetupError",
    "SimherdError",
    "SimulationError",
    "SimulationTimeoutError",
    "StoreError",
    "StoreExistsError",
    "StoreLockedError",
    "StoreMismatchError",
    "SubmitError",
    "TaskError",
    "TaskTimeoutError",
    "UnknownNameError",
    "UnsetVariableError",
    "VectorizeError",
    "close_matches",
    "shown",
]


class SimherdError(Exception):
    """Base of all errors that simherd raises on purpose.

    Parameters
    ----------
    message : str
        What was being done, what was found, what is allowed.
    fix : str, optional
        What the user can do about it.
    cli_fix : str, optional
        The same for the command line, where it is done with other words.
    """

    def __init__(self, message: str, *, fix: str = "", cli_fix: str = "") -> None:
        message = without_controls(message)  # it may quote a store, a log or a job
        super().__init__(message)
        self.message = message
        self.fix = without_controls(fix)
        self.cli_fix = without_controls(cli_fix)

    def __str__(self) -> str:
        return f"{self.message} Fix: {self.fix}" if self.fix else self.message

    def for_cli(self) -> str:
        """Return the text of the error with what the command line offers."""
        fix = self.cli_fix or self.fix
        return f"{self.message} Fix: {fix}" if fix else self.message

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message, self.__dict__)


def _rebuild(cls: type[SimherdError], message: str, state: dict[str, object]) -> SimherdError:
    error = cls(message)
    error.__dict__.update(state)
    return error


class ModelError(SimherdError, ValueError):
    """A process or model is declared wrongly."""


class AssignmentError(ModelError, AttributeError):
    """A process assigned a variable that is computed or gathered whenever it is read."""


class ProcessClassError(ModelError):
    """A class is not decorated as a process, or was derived from one and not decorated."""


class CycleError(ModelError, RuntimeError):
    """Processes of a model wait for each other in a circle."""


class LinkError(ModelError, KeyError):
    """A foreign or global variable refers to something that the model does not have."""


class VectorizeError(ModelError):
    """A model cannot be advanced as arrays: it fails there, or gives other values."""


class UnsetVariableError(SimherdError, AttributeError, KeyError):
    """A variable was read before any process, or the user, gave it a value."""


class SetupError(SimherdError, ValueError):
    """Clocks, inputs, outputs or their values do not fit the model."""


class UnknownNameError(SetupError, KeyError):
    """A name of an input, output or clock is not known."""


class MissingInputError(SetupError, KeyError):
    """A model input has neither a value nor a default."""


class ExperimentError(SimherdError, ValueError):
    """An experiment file is wrong."""


class StoreError(SimherdError, RuntimeError):
    """The output store cannot be read, made or written."""


class StoreExistsError(StoreError, FileExistsError):
    """The output store exists already."""


class StoreLockedError(StoreError):
    """Another run is writing the output store."""


class StoreMismatchError(StoreError, ValueError):
    """A run is to go on in a store that holds results of another one."""


class OutputError(SimherdError, ValueError):
    """A simulation gave values that do not fit the declared or earlier shape of an output."""


class SimulationError(SimherdError, RuntimeError):
    """A simulation of a batch failed; the worker's traceback is in the message."""


class SimulationTimeoutError(SimulationError, TimeoutError):
    """A simulation took longer than it may."""


class RunInterruptedError(SimherdError, RuntimeError):
    """A run was interrupted. What is finished is in its store, and ``resume=True`` goes on from there."""


class TaskError(SimherdError, RuntimeError):
    """A task of a parallel map ended its worker process, or tried to end the program."""


class TaskTimeoutError(TaskError, TimeoutError):
    """A task of a parallel map took longer than it may."""


class ParallelArgumentError(SimherdError, ValueError, TypeError):
    """Arguments of a parallel map do not fit together."""


class ParallelizerError(SimherdError, KeyError, ValueError):
    """A parallel map was asked for a parallelizer that does not exist, or that cannot do what was asked."""


class PicklingError(SimherdError, TypeError):
    """An object cannot be sent to a worker process, or back."""


class ClusterError(SimherdError, RuntimeError):
    """The cluster or its workers could not be started or reached."""


class ClusterOptionError(ClusterError, ValueError):
    """An option of a cluster is wrong."""


class SchedulerError(ClusterError):
    """A command of a batch scheduler failed.

    Parameters
    ----------
    message : str
        What was being done and what came out.
    fix : str, optional
        What to do about it.
    argv : sequence of str, optional
        The command.
    returncode : int, optional
        Its exit code; None if it did not end by itself.
    stderr : str, optional
        What it said.
    """

    def __init__(
        self,
        message: str,
        *,
        fix: str = "",
        argv: Sequence[str] = (),
        returncode: int | None = None,
        stderr: str = "",
    ) -> None:
        super().__init__(message, fix=fix)
        self.argv = tuple(argv)
        self.returncode = returncode
        self.stderr = stderr


class SubmitError(SchedulerError):
    """A batch scheduler refused a job script.

    Parameters
    ----------
    message, fix, argv, returncode, stderr
        As in `SchedulerError`.
    script : str, optional
        Path of the script.
    """

    def __init__(self, message: str, *, script: str = "", **parts: Any) -> None:
        super().__init__(message, **parts)
        self.script = script


class SessionError(ClusterError):
    """A session could not be started, found or reached."""


class AccountingError(SimherdError, ValueError):
    """A text is not the accounting of a batch scheduler, or has no job in it."""


class MissingDependencyError(SimherdError, ImportError):
    """An optional package is needed and not installed."""


class InputWarning(UserWarning):
    """An input is converted, or a part of it is left out."""


def close_matches(name: str, allowed: Iterable[str]) -> str:
    """Return a sentence that names the close matches of `name`, or all that is allowed.

    Parameters
    ----------
    name : str
        What was found.
    allowed : iterable of str
        What is allowed.

    Returns
    -------
    str
        ``"Did you mean 'a' or 'b'?"``, else ``"Allowed: 'a', 'b'."``.
    """
    names = sorted(str(item) for item in allowed)
    close = difflib.get_close_matches(name, names, n=3)
    if close:
        return f"Did you mean {' or '.join(map(repr, close))}?"
    return f"Allowed: {', '.join(map(repr, names))}." if names else "None is allowed here."


def shown(value: object) -> str:
    """Return a value as it stands in a message: its repr, or its type where that is long."""
    text = repr(value)
    return text if len(text) <= 60 and "\n" not in text else f"a {type(value).__name__}"

"""Commands that are printed for the user to run next, in the way in which this one was called."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

__all__ = ["command_again", "command_to_resume", "simherd_command"]

_GOING = ("--resume", "--overwrite", "--accept-changed-model")


def simherd_command(*arguments: str) -> str:
    """Return a command of simherd as it is typed here, quoted for a shell."""
    return shlex.join([*_program(), *arguments])


def command_again() -> str:
    """Return the command that runs now."""
    return simherd_command(*sys.argv[1:])


def command_to_resume() -> str:
    """Return the command that runs now, with ``--resume`` and without what says to run things again."""
    return simherd_command(*_without_going(sys.argv[1:]), "--resume")


def _program() -> list[str]:
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        is_python = shutil.which("python") == sys.executable
        return ["python" if is_python else sys.executable, "-m", "simherd"]
    found = shutil.which("simherd")
    is_elsewhere = called.name == "simherd" and (found is None or not called.samefile(found))
    return [sys.argv[0] if is_elsewhere else "simherd"]


def _without_going(arguments: Sequence[str]) -> Iterator[str]:
    rest = iter(arguments)
    for argument in rest:
        if argument == "--rerun":
            next(rest, None)
        elif argument not in _GOING and not argument.startswith("--rerun="):
            yield argument

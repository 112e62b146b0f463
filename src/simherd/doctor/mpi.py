"""MPI: the launcher, the library that mpi4py finds, and whether they belong together."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator

from simherd.doctor.finding import Finding, Verdict

__all__ = ["family_of", "look", "look_at_pair"]

LAUNCHERS = ("mpirun", "mpiexec")
FAMILIES = {
    "Open MPI": ("open mpi", "open-mpi", "openrte", "prrte"),
    "MPICH": ("mpich", "hydra"),
    "Intel MPI": ("intel",),
    "MVAPICH": ("mvapich",),
}
SAME_ABI = {"MPICH", "Intel MPI", "MVAPICH"}
"""One of these starts programs of another."""
TIMEOUT_S = 20.0
CODE = (
    "import mpi4py; mpi4py.rc.initialize = False; from mpi4py import MPI;"
    " print(MPI.Get_library_version().strip(chr(0)))"
)


def look() -> Iterator[Finding]:
    """Yield what there is of MPI."""
    launcher = next((name for name in LAUNCHERS if shutil.which(name)), None)
    said = None if launcher is None else _run(launcher, "--version")
    has_package, library = _library()
    yield from look_at_pair(launcher, said, has_package, library)


def look_at_pair(
    launcher: str | None, said: str | None, has_package: bool, library: str | None
) -> Iterator[Finding]:
    """Yield what a launcher and a library mean together.

    Parameters
    ----------
    launcher : str, optional
        Command that starts ranks; None if there is none.
    said : str, optional
        What it says of its version.
    has_package : bool
        Whether mpi4py is installed.
    library : str, optional
        What the library says of itself; None if mpi4py finds none.
    """
    data = {"launcher": launcher, "launcher_version": _first(said), "library": _first(library)}
    if launcher is None:
        yield Finding(
            topic="MPI", verdict=Verdict.ABSENT, text="there is no mpirun (a module to load?)", data=data
        )
    if not has_package:
        yield Finding(
            topic="MPI",
            verdict=Verdict.ABSENT,
            text=f"{launcher}: {_first(said)}; mpi4py is not installed"
            if launcher
            else "mpi4py is not installed",
            fix="pip install 'simherd[mpi]'",
            data=data,
        )
    elif library is None:
        yield Finding(
            topic="MPI",
            verdict=Verdict.WRONG if launcher else Verdict.ABSENT,
            text="mpi4py is installed and finds no MPI library",
            fix="load the module of your MPI, or let MPI4PY_LIBMPI name its libmpi.so.",
            data=data,
        )
    elif launcher is not None:
        yield _look_at_both(launcher, said or "", library, data)


def _look_at_both(launcher: str, said: str, library: str, data: dict[str, str | None]) -> Finding:
    theirs, ours = family_of(said), family_of(library)
    text = f"{launcher}: {_first(said)}; mpi4py uses {_first(library)}"
    if theirs == ours or {theirs, ours} <= SAME_ABI:
        return Finding(topic="MPI", text=text, data=data)
    if theirs is None or ours is None:
        return Finding(
            topic="MPI", verdict=Verdict.NOTE, text=f"{text}; whether they fit is unknown", data=data
        )
    return Finding(
        topic="MPI",
        verdict=Verdict.WRONG,
        text=f"{text}: they do not belong together, every rank would take itself for the only one",
        fix="use the mpirun of this library, or set MPI4PY_LIBMPI to the library of your mpirun.",
        data=data,
    )


def family_of(version: str) -> str | None:
    """Return which MPI a version text is of; None if it is not known."""
    lower = version.lower()
    return next((name for name, words in FAMILIES.items() if any(word in lower for word in words)), None)


def _first(text: str | None) -> str | None:
    """Return what counts of a version text: the first line, without what follows the version."""
    line = (text or "").strip().partition("\n")[0].strip()
    return re.sub(r",.*", "", line) or None


def _library() -> tuple[bool, str | None]:
    """Return whether mpi4py is there, and what its library says; in another process, which it may end."""
    from importlib.util import find_spec

    if find_spec("mpi4py") is None:
        return False, None
    return True, _run(sys.executable, "-P", "-c", CODE)


def _run(*argv: str) -> str | None:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None

"""Running the programs of batch schedulers: the one place that starts them."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from simherd.errors import SchedulerError, SubmitError

__all__ = ["Ran", "clean_environment", "run_program", "submit_with"]

TIMEOUT_S = 60.0

_OF_THIS_JOB = ("SLURM_", "SLURMD_", "PMI_", "PMIX_", "OMPI_COMM_WORLD_", "OMPI_UNIVERSE_", "PRTE_", "ORTE_")
_OF_QUERIES = ("SQUEUE_", "SACCT_", "SCANCEL_", "SCONTROL_", "SINFO_")
_OF_GRID_ENGINE_JOB = frozenset(
    {"ARC", "JOB_ID", "JOB_NAME", "JOB_SCRIPT", "NHOSTS", "NQUEUES", "NSLOTS", "PE", "PE_HOSTFILE", "QUEUE"}
    | {"RESTARTED", "SGE_BINDING", "SGE_JOB_SPOOL_DIR", "SGE_STDERR_PATH", "SGE_STDOUT_PATH"}
    | {f"SGE_TASK_{name}" for name in ("FIRST", "ID", "LAST", "STEPSIZE")}
)
_KEPT = frozenset({"SLURM_CONF", "SLURM_CLUSTERS"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Ran:
    """What a program did."""

    argv: tuple[str, ...]
    """The program and its arguments."""
    returncode: int
    """Its exit code."""
    stdout: str
    """What it printed."""
    stderr: str
    """What it complained of."""

    def error(self, doing: str) -> SchedulerError:
        """Return the error that says how the program failed while it was used for `doing`."""
        return SchedulerError(
            _failed(doing, self), argv=self.argv, returncode=self.returncode, stderr=self.stderr
        )


def run_program(
    argv: Sequence[str], *, doing: str, may_fail: bool = False, timeout_s: float = TIMEOUT_S, stdin: str = ""
) -> Ran:
    """Run a program of a batch scheduler and return what it did.

    The variables that describe the job in which this runs are kept from it: a job that submits, or
    asks, must not hand on its own size.

    Parameters
    ----------
    argv : sequence of str
        The program and its arguments.
    doing : str
        What for, to go on from "While": "asking for the state of jobs".
    may_fail : bool, optional
        Whether the caller looks at the exit code itself.
    timeout_s : float, optional
        Longest time that it may take, in s.
    stdin : str, optional
        What it reads from standard input.

    Raises
    ------
    SchedulerError
        If it is not installed, takes too long, or fails and may not.
    """
    try:
        done = subprocess.run(
            list(argv),
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            env=clean_environment(os.environ),
            check=False,
        )
    except FileNotFoundError as error:
        raise SchedulerError(
            f"While {doing}: the program {argv[0]!r} is not on this machine.",
            fix="run this where jobs are submitted, or load the module that has it.",
            argv=argv,
        ) from error
    except subprocess.TimeoutExpired as error:
        raise SchedulerError(
            f"While {doing}: {_shown(argv)} did not answer within {timeout_s:g} s.",
            fix="try it by hand; the scheduler may be down or busy.",
            argv=argv,
        ) from error
    except OSError as error:
        raise SchedulerError(f"While {doing}: cannot start {argv[0]!r}: {error}.", argv=argv) from error
    ran = Ran(argv=tuple(argv), returncode=done.returncode, stdout=done.stdout, stderr=done.stderr)
    if ran.returncode and not may_fail:
        raise ran.error(doing)
    return ran


def submit_with(
    argv: Sequence[str], script: str, read_id: Callable[[str], str | None], stdin: str = ""
) -> str:
    """Run a command that submits a job script, and return the job id.

    Parameters
    ----------
    argv : sequence of str
        The command.
    script : str
        The job script, for messages.
    read_id : callable
        Finds the job id in what the command prints; None if it is not there.
    stdin : str, optional
        What the command reads from standard input.

    Raises
    ------
    SubmitError
        If it fails, with all that it said, or prints no job id.
    """
    doing = f"submitting the job script {script!r}"
    try:
        ran = run_program(argv, doing=doing, may_fail=True, stdin=stdin)
    except SchedulerError as error:
        raise SubmitError(error.message, fix=error.fix, argv=argv, script=script) from error
    job_id = None if ran.returncode else read_id(ran.stdout)
    if job_id is None:
        raise SubmitError(
            f"{_failed(doing, ran)}{'' if ran.returncode else ', which is no job id'}",
            argv=argv,
            returncode=ran.returncode,
            stderr=ran.stderr,
            script=script,
        )
    return job_id


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without what the job in which this runs says of itself.

    ``SLURM_CONF``, ``SGE_ROOT`` and the user's own ``SBATCH_`` variables stay.
    """
    return {
        name: value
        for name, value in environ.items()
        if name in _KEPT
        or not (name.startswith((*_OF_THIS_JOB, *_OF_QUERIES)) or name in _OF_GRID_ENGINE_JOB)
    }


def _failed(doing: str, ran: Ran) -> str:
    said = " ".join((ran.stderr.strip() or ran.stdout.strip()).split())
    return f"While {doing}: {_shown(ran.argv)} ended with exit code {ran.returncode}: {said or 'no message'}"


def _shown(argv: Sequence[str]) -> str:
    """Return a command for people; of an argument of several lines, such as a script, only the first."""
    return " ".join(shlex.quote(word.partition("\n")[0] + " ..." * ("\n" in word)) for word in argv)

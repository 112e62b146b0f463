"""SLURM, reached through sbatch, squeue, sacct, scancel and scontrol."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from simherd.errors import SchedulerError
from simherd.schedulers.base import BatchScheduler, JobState, JobStatus, Site, Words
from simherd.schedulers.commands import run_program, submit_with
from simherd.schedulers.slurm_text import (
    SACCT_FIELDS,
    SQUEUE_FORMAT,
    belongs,
    known_fields,
    parse_array_limit,
    parse_job,
    parse_partitions,
    parse_sacct,
    parse_squeue,
    parse_submitted,
)
from simherd.schedulers.states import summarize

__all__ = ["Slurm"]

_ASKING = "asking SLURM for the state of jobs"
_ACCOUNTING = "asking SLURM what jobs used"
_CANCELLING = "cancelling jobs of SLURM"
_LOOKING = "asking SLURM for its partitions and limits"
_UNKNOWN = "Invalid job id"
_OVER = ("Invalid job id", "already completing or completed", "already finished")


class Slurm(BatchScheduler):
    """SLURM."""

    name = "slurm"
    words = Words(
        scheduler="SLURM",
        queue="partition",
        look="sinfo -s",
        look_limits="scontrol show partition",
        look_nodes="sinfo -N -l",
    )

    def is_installed(self) -> bool:
        """Return whether its commands are on this machine."""
        return shutil.which("sbatch") is not None

    def submit(self, script: Path, arguments: Sequence[str] = (), of_script: Sequence[str] = ()) -> str:
        """Submit a job script and return the job id, of an array job the array's.

        Raises
        ------
        SubmitError
            If it is refused.
        """
        argv = ["sbatch", "--parsable", *arguments, str(script), *of_script]
        return submit_with(argv, str(script), parse_submitted)

    def query(self, job_ids: Iterable[str]) -> Mapping[str, JobStatus]:
        """Return the status of jobs: one call of squeue, and sacct for those that are over.

        Raises
        ------
        SchedulerError
            If SLURM does not answer.
        """
        wanted = list(dict.fromkeys(job_ids))
        if not wanted:
            return {}
        found = _group(wanted, _squeue(wanted))
        unclear = [job_id for job_id, tasks in found.items() if not tasks or _lacks_exit_code(tasks)]
        if unclear:
            over = _group(unclear, [status for status in _sacct(unclear) if status.state.is_over])
            for job_id in unclear:
                known = over[job_id]
                if not any(status.exit_code for status in known):  # accounting lags behind
                    known = _scontrol(job_id) or known
                found[job_id] = _completed(found[job_id], known)
        return {job_id: summarize(job_id, tasks) for job_id, tasks in found.items()}

    def cancel(self, job_ids: Iterable[str]) -> None:
        """End jobs. Those that are over already do not matter.

        Raises
        ------
        SchedulerError
            If SLURM does not answer.
        """
        wanted = list(dict.fromkeys(job_ids))
        if not wanted:
            return
        ran = run_program(["scancel", *wanted], doing=_CANCELLING, may_fail=True)
        refused = [line for line in ran.stderr.splitlines() if not any(text in line for text in _OVER)]
        if ran.returncode and refused:
            raise ran.error(_CANCELLING)

    def accounting(self, job_ids: Iterable[str]) -> str:
        """Return what sacct prints of jobs, their steps and earlier attempts.

        Raises
        ------
        SchedulerError
            If it does not answer, or SLURM keeps no accounting here.
        """
        wanted = ",".join(dict.fromkeys(job_ids))
        if not wanted:
            return ""
        fields = known_fields(run_program(["sacct", "--helpformat"], doing=_ACCOUNTING).stdout)
        argv = ["sacct", "--parsable2", "--duplicates", f"--format={','.join(fields)}", f"--jobs={wanted}"]
        return run_program(argv, doing=_ACCOUNTING).stdout

    def site(self) -> Site:
        """Return the partitions of SLURM and its limit of array jobs.

        Raises
        ------
        SchedulerError
            If SLURM does not answer.
        """
        partitions, nodes, config = (_show(thing) for thing in ("partition", "node", "config"))
        return Site(partitions=parse_partitions(partitions, nodes), max_array_tasks=parse_array_limit(config))


def _show(thing: str) -> str:
    return run_program(["scontrol", "--oneliner", "show", thing], doing=_LOOKING).stdout


def _squeue(job_ids: Sequence[str]) -> list[JobStatus]:
    argv = [
        "squeue",
        "--noheader",
        "--states=all",
        f"--format={SQUEUE_FORMAT}",
        f"--jobs={','.join(job_ids)}",
    ]
    ran = run_program(argv, doing=_ASKING, may_fail=True)
    if ran.returncode and _UNKNOWN not in ran.stderr:
        raise ran.error(_ASKING)
    return parse_squeue(ran.stdout)


def _sacct(job_ids: Sequence[str]) -> list[JobStatus]:
    """Return what accounting says: nothing where there is none."""
    argv = ["sacct", "-n", "-P", "-X", "-o", SACCT_FIELDS, "-j", ",".join(job_ids)]
    try:
        return parse_sacct(run_program(argv, doing=_ASKING).stdout)
    except SchedulerError:
        return []


def _scontrol(job_id: str) -> list[JobStatus]:
    ran = run_program(["scontrol", "--oneliner", "show", "job", job_id], doing=_ASKING, may_fail=True)
    return parse_job(ran.stdout)


def _group(job_ids: Sequence[str], statuses: Sequence[JobStatus]) -> dict[str, list[JobStatus]]:
    return {job_id: [status for status in statuses if belongs(status, job_id)] for job_id in job_ids}


def _completed(listed: list[JobStatus], known: list[JobStatus]) -> list[JobStatus]:
    """Return what squeue lists with the exit codes that others know; what others know if it lists nothing."""
    codes = {status.job_id: status.exit_code for status in known}
    return [replace(status, exit_code=codes.get(status.job_id)) for status in listed] or known


def _lacks_exit_code(tasks: Sequence[JobStatus]) -> bool:
    """Return whether a job is over, badly, and squeue therefore does not say all of it."""
    state = summarize("", tasks).state
    return state.is_over and state is not JobState.DONE

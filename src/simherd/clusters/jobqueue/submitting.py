"""Batch schedulers that simherd knows only by the commands dask-jobqueue has for them."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from simherd.clusters.jobqueue.kinds import Kind
from simherd.schedulers import BatchScheduler, JobState, JobStatus, Site, Words
from simherd.schedulers.commands import run_program, submit_with

__all__ = ["PlainScheduler"]

_OVER = re.compile(
    "already|completed|finished|terminated|couldn't find|invalid job|no matching job|no such job|unknown job",
    re.IGNORECASE,
)
"""What commands say of jobs that are over."""


class PlainScheduler(BatchScheduler):
    """Submits and cancels. What becomes of jobs shows only in their workers.

    Parameters
    ----------
    kind : Kind
        The batch scheduler.
    job_class : type
        dask-jobqueue's job class, which names the commands.
    own : mapping, optional
        Options that only this kind has.
    """

    def __init__(self, kind: Kind, job_class: Any, own: Mapping[str, Any] | None = None) -> None:
        self.name = kind.name
        self.words = Words(scheduler=kind.title, queue="queue", look="", look_limits="", look_nodes="")
        self._kind = kind
        self._own = own or {}
        self._submit = self._command("submit", job_class)
        self._cancel = self._command("cancel", job_class)
        self._cancelled: set[str] = set()

    def _command(self, verb: str, job_class: Any) -> list[str]:
        named = shlex.split(getattr(job_class, f"{verb}_command"))
        return [*named, *self._own.get(f"{verb}_command_extra", ())]

    def is_installed(self) -> bool:
        """Return whether its command is on this machine."""
        return shutil.which(self._submit[0]) is not None

    def submit(self, script: Path, arguments: Sequence[str] = (), of_script: Sequence[str] = ()) -> str:
        """Submit a job script and return the job id.

        Raises
        ------
        SubmitError
            If it is refused.
        """
        handed = self._kind.hand_over(script, self._own)
        argv = [*self._submit, *arguments, *handed.words, *of_script]
        return submit_with(argv, str(script), self._read_id, stdin=handed.stdin)

    def _read_id(self, printed: str) -> str | None:
        found = re.search(self._kind.job_id, printed)
        return found and found[found.lastindex or 0]

    def accounting(self, job_ids: Iterable[str]) -> str:
        """Return nothing: what its accounting prints is not known."""
        return ""

    def query(self, job_ids: Iterable[str]) -> Mapping[str, JobStatus]:
        """Return that the state of jobs is not known, unless they were cancelled here."""
        return {
            job_id: JobStatus(
                job_id=job_id,
                state=JobState.CANCELLED if job_id in self._cancelled else JobState.UNKNOWN,
            )
            for job_id in job_ids
        }

    def cancel(self, job_ids: Iterable[str]) -> None:
        """End jobs; those that are over already do not matter.

        Raises
        ------
        SchedulerError
            If the command is not there, does not answer, or refuses for another reason.
        """
        for job_id in job_ids:
            doing = f"cancelling job {job_id}"
            ran = run_program([*self._cancel, job_id], doing=doing, may_fail=True)
            if ran.returncode and not _OVER.search(ran.stdout + ran.stderr):
                raise ran.error(doing)
            self._cancelled.add(job_id)

    def site(self) -> Site:
        """Return nothing: its limits are not known here."""
        return Site()

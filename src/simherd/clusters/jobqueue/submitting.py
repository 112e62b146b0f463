"""Batch schedulers that simherd knows only by the commands dask-jobqueue has for them."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from simherd.clusters.jobqueue.kinds import Kind
from simherd.errors import SubmitError
from simherd.schedulers import BatchScheduler, JobState, JobStatus, Site, Words
from simherd.schedulers.commands import run_program, submit_with

__all__ = ["PlainScheduler"]


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
        try:
            return submit_with(argv, str(script), self._read_id, stdin=handed.stdin)
        except SubmitError as error:
            error.message = _without_text(error.message, script)
            raise

    def _read_id(self, printed: str) -> str | None:
        found = re.search(self._kind.job_id, printed)
        return found and found[found.lastindex or 0]

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
            If the command is not there, or does not answer.
        """
        for job_id in job_ids:
            run_program([*self._cancel, job_id], doing=f"cancelling job {job_id}", may_fail=True)
            self._cancelled.add(job_id)

    def site(self) -> Site:
        """Return nothing: its limits are not known here."""
        return Site()


def _without_text(message: str, script: Path) -> str:
    """Return a message in which a script that is a word of the command does not stand in full."""
    return message.replace(shlex.quote(script.read_text()), f'"$(cat {shlex.quote(str(script))})"')

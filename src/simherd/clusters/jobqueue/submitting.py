"""Batch schedulers that simherd knows only by the commands dask-jobqueue has for them."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from simherd.clusters.jobqueue.kinds import Kind
from simherd.errors import SchedulerError, SubmitError
from simherd.schedulers import BatchScheduler, JobState, JobStatus, Site, Words

__all__ = ["PlainScheduler"]

TIMEOUT_S = 120


class PlainScheduler(BatchScheduler):
    """Submits and cancels. What becomes of jobs shows only in their workers.

    Parameters
    ----------
    kind : Kind
        The batch scheduler.
    job_class : type
        dask-jobqueue's job class.
    """

    def __init__(self, kind: Kind, job_class: Any) -> None:
        self.name = kind.name
        self.words = Words(scheduler=kind.title, queue="queue", look="", look_limits="", look_nodes="")
        self._reads_stdin = kind.reads_stdin
        self._cancelled: set[str] = set()
        self._submit = shlex.split(job_class.submit_command)
        self._cancel = shlex.split(job_class.cancel_command)
        self._pattern = re.compile(job_class.job_id_regexp)

    def is_installed(self) -> bool:
        """Return whether its command is on this machine."""
        return shutil.which(self._submit[0]) is not None

    def submit(self, script: Path, arguments: Sequence[str] = (), of_script: Sequence[str] = ()) -> str:
        """Submit a job script and return the job id."""
        argv = [*self._submit, *arguments, *([] if self._reads_stdin else [str(script), *of_script])]
        text = script.read_text() if self._reads_stdin else None
        try:
            done = subprocess.run(
                argv, input=text, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SubmitError(f"Cannot submit with {argv[0]!r}: {error}.", argv=argv) from error
        found = self._pattern.search(done.stdout)
        if done.returncode or not found:
            said = (done.stderr or done.stdout).strip()
            raise SubmitError(
                f"{shlex.join(argv)} refused the job: {said or 'it gave no job id'}.",
                argv=argv,
                returncode=done.returncode,
                stderr=done.stderr,
            )
        return found["job_id"]

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
        """End jobs; those that are over already do not matter."""
        for job_id in job_ids:
            argv = [*self._cancel, job_id]
            try:
                subprocess.run(argv, capture_output=True, timeout=TIMEOUT_S, check=False)
            except (OSError, subprocess.TimeoutExpired) as error:
                raise SchedulerError(f"Cannot cancel job {job_id}: {error}.", argv=argv) from error
            self._cancelled.add(job_id)

    def site(self) -> Site:
        """Return nothing: its limits are not known here."""
        return Site()

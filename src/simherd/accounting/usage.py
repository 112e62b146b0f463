"""What one attempt to run a job used and asked for, in the same words for every batch scheduler."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from simherd.schedulers.base import JobState

__all__ = ["JobUsage"]


@dataclass(frozen=True, kw_only=True, slots=True)
class JobUsage:
    """One attempt to run a job or an array task.

    A job that was requeued or rescheduled has several. None means that the accounting does not say.
    """

    scheduler: str
    """Kind of the batch scheduler: "slurm" or "sge"."""
    job_id: str
    """Job id; of an array task ``"12_3"`` in SLURM, ``"12.3"`` in Grid Engine."""
    own_id: str = ""
    """Number that SLURM gives to an array task, too; "" if there is none."""
    state: JobState
    """State of the attempt."""
    attempt: int = 1
    """Number of the attempt among those that the text has, from 1."""
    is_last: bool = True
    """Whether no later attempt follows in the text."""
    name: str = ""
    """Job name."""
    owner: str = ""
    """User who submitted it."""
    queue: str = ""
    """Partition or queue."""
    parallel_environment: str = ""
    """Parallel environment of Grid Engine; "" if none."""
    node: str = ""
    """Node or nodes, as the batch scheduler writes them."""
    node_count: int | None = None
    """Number of nodes."""
    native: str = ""
    """State, or code of failure, in the words of the batch scheduler."""
    reason: str = ""
    """Why it waits, or how it ended."""
    exit_code: int | None = None
    """Exit code of the program; None if it did not exit by itself."""
    signal: int | None = None
    """Signal that ended the job; None if none did."""
    never_ran: bool = False
    """Whether it is known that its program never started."""
    submitted: datetime | None = None
    """When it was submitted."""
    started: datetime | None = None
    """When it started."""
    ended: datetime | None = None
    """When it ended."""
    wall_s: float | None = None
    """Wall time, in s."""
    walltime_s: float | None = None
    """Walltime that it asked for, in s."""
    cores: int | None = None
    """Cores (slots) that were allocated."""
    cores_asked: int | None = None
    """Cores that it asked for; fewer than allocated where whole nodes are given out."""
    cores_per_node: int | None = None
    """Cores of the largest node of its partition or queue."""
    cpu_s: float | None = None
    """CPU time of all its processes, in s."""
    memory_bytes: int | None = None
    """Peak memory of the whole job, in bytes; a lower bound where steps ran at the same time."""
    memory_at_most_bytes: int | None = None
    """Upper bound of the peak memory, in bytes."""
    memory_asked_bytes: int | None = None
    """Memory that was allocated to the whole job, in bytes."""
    memory_resource: str = ""
    """Resource of Grid Engine by which the memory was asked for, such as "h_vmem"."""
    has_whole_nodes: bool = False
    """Whether it was given whole nodes, so that unused memory costs nothing."""
    io_bytes: int | None = None
    """Bytes read and written."""
    io_wait_s: float | None = None
    """Time spent waiting for input and output, in s."""
    is_worker: bool = False
    """Whether a Dask worker ran in it, which its Dask scheduler ends when the work is done."""

    @property
    def core_s(self) -> float | None:
        """Allocation: cores times wall time, in core-seconds."""
        return None if self.wall_s is None or self.cores is None else self.wall_s * self.cores

    @property
    def is_reservation(self) -> bool:
        """Whether a site of Grid Engine reports what was reserved in place of what was used."""
        return self.scheduler == "sge" and self.cpu_s is not None and self.cpu_s == self.core_s

    @property
    def label(self) -> str:
        """Job id, with the number of the attempt where it is not the only one."""
        return (
            self.job_id if self.is_last and self.attempt == 1 else f"{self.job_id} (attempt {self.attempt})"
        )

"""Lines of a job script that ask for something else, in the words of each batch scheduler."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

from simherd.accounting.usage import JobUsage
from simherd.resources import format_walltime
from simherd.schedulers.address_space import LEAST_BYTES

__all__ = ["Directives", "directives_for", "rounded_memory", "rounded_walltime"]

_MEBI, _GIBI = 1024**2, 1024**3
_STEP_S = 300
_SOFT_LIMIT = 10
"""Signal USR1, by which Grid Engine tells that a soft limit is reached: queue_conf(5)."""


class Directives(ABC):
    """How a batch scheduler is asked for resources."""

    @abstractmethod
    def walltime(self, usage: JobUsage, seconds: float) -> str:
        """Return the line that asks for a walltime, in s."""

    @abstractmethod
    def memory(self, usage: JobUsage, nbytes: float, cores: int) -> str:
        """Return the line that asks for memory of a whole job on some cores, in bytes."""

    def least_memory(self, usage: JobUsage) -> int:
        """Return the memory of a core below which programs may not start, in bytes."""
        return LEAST_BYTES if usage.memory_resource.endswith("vmem") else 0

    @abstractmethod
    def cores(self, usage: JobUsage, cores: int) -> str:
        """Return the line that asks for cores."""

    @abstractmethod
    def run_again(self) -> str:
        """Return the line that lets a job run again after its node failed."""

    @abstractmethod
    def look_elsewhere(self, usage: JobUsage) -> str:
        """Return the command that looks further for a job."""


class _Slurm(Directives):
    def walltime(self, usage: JobUsage, seconds: float) -> str:
        return f"#SBATCH --time={format_walltime(seconds)}"

    def memory(self, usage: JobUsage, nbytes: float, cores: int) -> str:
        if usage.node_count == 1 or cores == 1:
            return f"#SBATCH --mem={rounded_memory(nbytes)}"
        return f"#SBATCH --mem-per-cpu={rounded_memory(nbytes / cores)}"

    def cores(self, usage: JobUsage, cores: int) -> str:
        return "#SBATCH --ntasks=1 --cpus-per-task=1" if cores == 1 else f"#SBATCH --ntasks={cores}"

    def run_again(self) -> str:
        return "#SBATCH --requeue"

    def look_elsewhere(self, usage: JobUsage) -> str:
        return f"sacct --allclusters -j {usage.job_id}"


class _GridEngine(Directives):
    def walltime(self, usage: JobUsage, seconds: float) -> str:
        resource = "s_rt" if usage.signal == _SOFT_LIMIT else "h_rt"
        return f"#$ -l {resource}={format_walltime(seconds)}"

    def memory(self, usage: JobUsage, nbytes: float, cores: int) -> str:
        return f"#$ -l {usage.memory_resource or 'h_vmem'}={rounded_memory(nbytes / cores)}"

    def cores(self, usage: JobUsage, cores: int) -> str:
        environment = usage.parallel_environment or "smp"
        return "without the line '#$ -pe'" if cores == 1 else f"#$ -pe {environment} {cores}"

    def run_again(self) -> str:
        return "#$ -r y"

    def look_elsewhere(self, usage: JobUsage) -> str:
        return f"qacct -f $SGE_ROOT/$SGE_CELL/common/accounting.1 -j {usage.job_id}"


_DIRECTIVES: dict[str, Directives] = {"slurm": _Slurm(), "sge": _GridEngine()}


def directives_for(usage: JobUsage) -> Directives:
    """Return how the batch scheduler of a job is asked for resources."""
    return _DIRECTIVES[usage.scheduler]


def rounded_memory(nbytes: float) -> str:
    """Return a size rounded up, as batch schedulers read it: to 64 MiB, from 1 GiB on to whole GiB."""
    if nbytes > _GIBI - 64 * _MEBI:
        return f"{math.ceil(nbytes / _GIBI)}G"
    return f"{max(1, math.ceil(nbytes / (64 * _MEBI))) * 64}M"


def rounded_walltime(seconds: float) -> float:
    """Return a walltime rounded up to 5 minutes, in s."""
    return max(1, math.ceil(seconds / _STEP_S)) * float(_STEP_S)

"""What starts the ranks of a job, and on which cluster the command runs: counts from the plan alone."""

from __future__ import annotations

import shlex

from simherd.errors import ClusterOptionError, close_matches
from simherd.jobs.base import dialect_of
from simherd.jobs.plan import JobPlan, Mode

__all__ = ["LAUNCHERS", "cluster_arguments", "cluster_kind", "launch_words"]

LAUNCHERS = ("mpirun", "srun")


def launch_words(plan: JobPlan) -> list[str]:
    """Return the launcher of a plan with its counts.

    Ranks are not bound to cores: two jobs on a node would otherwise share the same first cores.

    Raises
    ------
    ClusterOptionError
        If it is neither mpirun nor srun.
    """
    first, *more = _launcher(plan)
    dialect = dialect_of(plan.scheduler)
    if first == "srun" and not dialect.has_srun:
        raise ClusterOptionError(
            "The launcher srun is SLURM's: Grid Engine's jobs need mpirun.", fix="set simherd.sge.launcher."
        )
    wanted = plan.resources
    if first == "srun":
        counts = [f"--nodes={wanted.nodes}", f"--ntasks={wanted.ntasks}", f"--cpus-per-task={wanted.cores}"]
        return [first, *more, *counts, "--export=ALL", "--kill-on-bad-exit=1"]
    return [first, *more, "--bind-to", "none", "-np", str(wanted.ntasks)]


def _launcher(plan: JobPlan) -> list[str]:
    words = shlex.split(plan.site.launcher)
    name = words[0].rpartition("/")[2] if words else ""
    if name not in LAUNCHERS:
        raise ClusterOptionError(
            f"The launcher {plan.site.launcher!r} is not known. {close_matches(name, LAUNCHERS)}",
            fix="correct simherd.launcher in jobqueue.yaml.",
        )
    return words


def cluster_kind(plan: JobPlan) -> str:
    """Return the kind of cluster that a job's command opens.

    Under srun without ``--mpi`` the ranks need no MPI.
    """
    if plan.mode is Mode.ARRAY:
        return "local"
    if plan.mode is Mode.JOBQUEUE:
        return plan.scheduler
    words = _launcher(plan)
    is_without_mpi = words[0].rpartition("/")[2] == "srun" and not any("--mpi" in word for word in words)
    return "slurm-runner" if is_without_mpi else "mpi"


def cluster_arguments(plan: JobPlan) -> list[str]:
    """Return the arguments of ``simherd run`` that say where it runs."""
    kind = cluster_kind(plan)
    arguments = ["--cluster", kind]
    if plan.mode is Mode.ARRAY:
        return [*arguments, "--workers", str(max(1, plan.resources.cores // plan.threads))]
    if plan.mode is Mode.MPI:
        per_rank = max(1, plan.resources.cores // plan.threads)
        if per_rank > 1:
            arguments += ["--set", f"cluster.{kind}.threads_per_worker={per_rank}"]
        if plan.threads > 1:
            arguments += ["--set", f"cluster.{kind}.guard_threads={plan.threads}"]
    return arguments

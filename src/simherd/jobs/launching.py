"""What starts the ranks of a job, and on which cluster the command runs: counts from the plan alone."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence

from simherd.errors import ClusterOptionError, close_matches
from simherd.jobs.base import MIB, dialect_of
from simherd.jobs.plan import JobPlan, Mode

__all__ = ["LAUNCHERS", "cluster_arguments", "cluster_kind", "launch_words", "launcher_counts"]

LAUNCHERS = ("mpirun", "srun")
_OF_MPIRUN = dict.fromkeys(("-n", "--n", "-np", "--np", "-c"), "ranks")
_OF_SRUN = {
    "-n": "ranks",
    "--ntasks": "ranks",
    "-N": "nodes",
    "--nodes": "nodes",
    "-c": "cores of a rank",
    "--cpus-per-task": "cores of a rank",
}
COUNTS = {"mpirun": _OF_MPIRUN, "mpiexec": _OF_MPIRUN, "srun": _OF_SRUN}
"""What options of launchers count."""
_COUNT = re.compile(r"(?P<option>--?[A-Za-z][A-Za-z-]*)=?(?P<value>[\d$].*)?")
_BEGINS_COUNT = frozenset("$0123456789")


def launch_words(plan: JobPlan) -> list[str]:
    """Return the launcher of a plan with its counts.

    Ranks are not bound to cores: two jobs on a node would otherwise share the same first cores.

    Raises
    ------
    ClusterOptionError
        If it is neither mpirun nor srun.
    """
    words = _launcher(plan)
    is_srun = _name(words[0]) == "srun"
    if is_srun and not dialect_of(plan.scheduler).has_srun:
        raise ClusterOptionError(
            "The launcher srun is SLURM's: Grid Engine's jobs need mpirun.", fix="set simherd.sge.launcher."
        )
    wanted = plan.resources
    if is_srun:
        counts = [f"--nodes={wanted.nodes}", f"--ntasks={wanted.ntasks}", f"--cpus-per-task={wanted.cores}"]
        return [*words, *counts, "--export=ALL", "--kill-on-bad-exit=1"]
    return [*words, "--bind-to", "none", "-np", str(wanted.ntasks)]


def _launcher(plan: JobPlan) -> list[str]:
    try:
        words = shlex.split(plan.site.launcher)
    except ValueError as error:
        raise ClusterOptionError(
            f"The launcher {plan.site.launcher!r} cannot be read: {error}.",
            fix="correct simherd.launcher in jobqueue.yaml.",
        ) from error
    name = _name(words[0]) if words else ""
    if name not in LAUNCHERS:
        raise ClusterOptionError(
            f"The launcher {plan.site.launcher!r} is not known. {close_matches(name, LAUNCHERS)}",
            fix="correct simherd.launcher in jobqueue.yaml.",
        )
    if counts := [f"{count} {what}" for what, count in launcher_counts(words)]:
        raise ClusterOptionError(
            f"The launcher {plan.site.launcher!r} has counts of its own: {', '.join(counts)}.",
            fix="leave them out of simherd.launcher in jobqueue.yaml: they come from what the job asks for.",
        )
    return words


def _name(program: str) -> str:
    return program.rpartition("/")[2]


def launcher_counts(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Give the counts of a launcher among the words of a command, each with what it counts."""
    names = [_name(word) for word in words]
    at = next((place for place, name in enumerate(names) if name in COUNTS), len(words))
    for word, following in zip(words[at + 1 :], [*words[at + 2 :], ""], strict=False):
        found = _COUNT.fullmatch(word)
        what = COUNTS[names[at]].get(found["option"]) if found else None
        value = (found["value"] if found else None) or following
        if what is not None and value[:1] in _BEGINS_COUNT:
            yield what, value


def cluster_kind(plan: JobPlan) -> str:
    """Return the kind of cluster that a job's command opens.

    Under srun without ``--mpi`` the ranks need no MPI.
    """
    if plan.mode is Mode.ARRAY:
        return "local"
    if plan.mode is Mode.JOBQUEUE:
        return plan.scheduler
    words = _launcher(plan)
    is_without_mpi = _name(words[0]) == "srun" and not any("--mpi" in word for word in words)
    return "slurm-runner" if is_without_mpi else "mpi"


def cluster_arguments(plan: JobPlan) -> list[str]:
    """Return the arguments of ``simherd run`` that say where it runs."""
    kind = cluster_kind(plan)
    at_once = max(1, plan.resources.cores // plan.threads)
    workers = ["--workers", str(at_once)] if plan.mode is Mode.ARRAY else []
    of_workers = {**_threads(plan, at_once), **(_of_local_workers(plan) if plan.mode is Mode.ARRAY else {})}
    settings = [f"cluster.{kind}.{name}={value}" for name, value in of_workers.items()]
    return ["--cluster", kind, *workers, *(word for setting in settings for word in ("--set", setting))]


def _of_local_workers(plan: JobPlan) -> dict[str, str]:
    """Return the memory that the workers of an array task share: its own, whatever the experiment has."""
    memory = plan.resources.memory_bytes
    return {} if memory is None else {"memory": f"{memory // MIB}MiB"}


def _threads(plan: JobPlan, at_once: int) -> dict[str, int]:
    """Return threads of workers and simulations, which the experiment may say otherwise for other clusters.

    Those of worker jobs follow from their cores and processes.
    """
    guard = {"guard_threads": plan.threads}
    if plan.mode is Mode.JOBQUEUE:
        return guard
    return {"threads_per_worker": at_once if plan.mode is Mode.MPI else 1, **guard}

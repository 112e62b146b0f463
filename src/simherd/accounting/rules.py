"""The rules of diagnosis: a condition, one sentence, and the line of the job script to change.

Sentences and lines are templates over `Facts`. Rules stand in groups; of each group the first that applies
counts, so a later rule need not exclude the earlier ones. Thresholds are those in use at computing
centres [1]_.

References
----------
.. [1] Princeton Research Computing, "jobstats" and "Job Defense Shield"; SLURM's seff.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from simherd.accounting.causes import never_ran, waits
from simherd.accounting.facts import KILL, TERMINATE, Facts
from simherd.schedulers.base import JobState

__all__ = ["GROUPS", "Level", "Rule"]

LEAST_S = 30.0
"""Wall time below which CPU time and peaks of memory say little, in s."""
GOOD_CPU = 0.8
POOR_CPU = 0.7
OVERSUBSCRIBED = 1.1
"""CPU efficiency above which threads outnumber cores."""
IO_WAIT = 0.1
"""Share of the wall time that is much to wait for input and output."""
IO_RATE = 20 * 2**20
"""Bytes per s that are much to read and write."""
UNUSED_MEMORY = 0.7
TIGHT_MEMORY = 0.95
EXCEEDED_MEMORY = 1.02
REFUSED_MEMORY = 0.8
"""Share of a limit of address space from which a program that failed was probably refused memory."""
PERHAPS_REFUSED_MEMORY = 0.3
WORTH_MEMORY = 2**30
"""Unused memory that is worth a word, in bytes."""
UNUSED_WALLTIME = 0.2
TIGHT_WALLTIME = 0.9
WORTH_WALLTIME_S = 3600.0
"""Unused walltime that is worth a word, in s."""
FRAGMENTED = 0.8
OUT_OF_CPU_TIME, FILE_TOO_LARGE = 24, 25
CRASHES = {4: "an illegal instruction", 6: "an abort", 7: "a bus error", 8: "an arithmetic error"} | {
    11: "an invalid memory access"
}
NOT_EXECUTABLE, NOT_FOUND = 126, 127
_IF_WORKER = "simherd usage STORE, if Dask workers ran in it: their run ends such jobs when it is done"
_TRACE = "run it with 'python -X faulthandler'"
_SIGNALLED = {number: (f"crashed with {CRASHES[number]}", _TRACE) for number in (6, 11)} | {
    KILL: ("was killed, such as by its node for want of memory", "more memory, if it grew until then"),
    TERMINATE: ("was terminated by somebody", "look at its log"),
}
"""What a small exit code may stand for, and a fix: sacct subtracts the 128 with which shells mark signals."""


class Level(Enum):
    """How much a finding matters."""

    GOOD = "good"
    NOTE = "note"
    WARNING = "warning"
    """It wastes resources, or is close to a limit."""
    PROBLEM = "problem"
    """It did not do its work."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A kind of finding."""

    name: str
    """Its name, for programs."""
    level: Level
    """How much it matters."""
    applies: Callable[[Facts], bool]
    """Condition."""
    sentence: str
    """What is the case; a template over the facts."""
    line: str = ""
    """What to change; a template over the facts, "" if nothing."""
    details: Callable[[Facts], tuple[str, str]] = lambda facts: ("", "")
    """Cause and fix from a table, the templates' ``{cause}`` and ``{fix}``."""


def _ended_by(*signals: int) -> Callable[[Facts], bool]:
    return lambda facts: facts.usage.signal in signals


def _is(*states: JobState) -> Callable[[Facts], bool]:
    return lambda facts: facts.usage.state in states


def _is_over_memory(facts: Facts) -> bool:
    """Return whether it was killed for its memory, which SLURM without control groups calls FAILED."""
    peak, asked = facts.peak, facts.usage.memory_asked_bytes
    if facts.usage.state is JobState.OUT_OF_MEMORY:
        return True
    return facts.usage.signal == KILL and bool(peak and asked and peak >= asked)


def _failed_at_limit(share: float) -> Callable[[Facts], bool]:
    """Return whether a program failed that used at least a share of its limit of address space.

    Memory that is refused is never used, so that a single large piece is refused far from the limit.
    """

    def applies(facts: Facts) -> bool:
        peak, asked = facts.peak, facts.usage.memory_asked_bytes
        is_limit = facts.usage.memory_resource in ("h_vmem", "s_vmem")
        is_failed = facts.usage.state is JobState.FAILED and facts.usage.signal is None
        return is_limit and is_failed and bool(peak and asked and peak >= share * asked)

    return applies


def _is_used_well(facts: Facts) -> bool:
    cpu, at_least = facts.cpu, facts.cpu_at_least
    return cpu is not None and at_least is not None and at_least >= GOOD_CPU and cpu <= OVERSUBSCRIBED


def _is_long(facts: Facts) -> bool:
    return facts.cpu is not None and facts.wall_s >= LEAST_S


def _is_oversubscribed(facts: Facts) -> bool:
    return _is_long(facts) and (facts.cpu_at_least or 0.0) > OVERSUBSCRIBED


def _is_poor(facts: Facts) -> bool:
    return _is_long(facts) and (facts.cpu or 0.0) < POOR_CPU


def _waits_for_io(facts: Facts) -> bool:
    waits_long = (facts.usage.io_wait_s or 0.0) >= IO_WAIT * facts.wall_s
    return _is_poor(facts) and (waits_long or (facts.io_rate or 0.0) >= IO_RATE)


def _is_measured(facts: Facts) -> bool:
    return facts.is_complete and facts.wall_s >= LEAST_S and facts.peak is not None


def _unused_memory(facts: Facts) -> bool:
    peak, asked = facts.peak, facts.asked_bytes_of_needed_cores
    if peak is None or asked is None or not _is_measured(facts):
        return False
    return peak < UNUSED_MEMORY * asked and asked - facts.fitting_bytes >= WORTH_MEMORY


def _is_exceeded(facts: Facts) -> bool:
    peak, asked = facts.peak, facts.usage.memory_asked_bytes
    return facts.is_done and bool(peak and asked and peak > EXCEEDED_MEMORY * asked)


def _is_tight(facts: Facts) -> bool:
    peak, asked = facts.peak, facts.usage.memory_asked_bytes
    return facts.is_done and bool(peak and asked and peak >= TIGHT_MEMORY * asked)


def _unused_walltime(facts: Facts) -> bool:
    limit = facts.usage.walltime_s
    if not facts.is_done or limit is None:
        return False
    return facts.wall_s < UNUSED_WALLTIME * limit and limit - facts.wall_s >= WORTH_WALLTIME_S


def _is_fragmented(facts: Facts) -> bool:
    nodes, cores = facts.usage.node_count or 1, facts.usage.cores_per_node
    needed = -(-facts.cores // cores) if cores else nodes
    return bool(cores) and nodes > needed and facts.cores <= FRAGMENTED * nodes * (cores or 1)


def _may_have_crashed(facts: Facts) -> bool:
    is_failed = facts.usage.scheduler == "slurm" and facts.usage.state is JobState.FAILED
    return is_failed and facts.usage.exit_code in _SIGNALLED


_PROBLEM, _WARNING, _NOTE, _GOOD = Level.PROBLEM, Level.WARNING, Level.NOTE, Level.GOOD

ENDING = (
    Rule(
        "pending", _NOTE, lambda facts: facts.usage.state.is_waiting,
        "It has not started: {cause}.", "{fix}", waits,
    ),
    Rule(
        "running", _NOTE, _is(JobState.RUNNING, JobState.ENDING),
        "It still runs: the accounting knows what it used when it is over.",
    ),
    Rule(
        "unknown", _NOTE, _is(JobState.GONE, JobState.UNKNOWN),
        "The accounting does not know it: it ended a few seconds ago, its id is another one, or its record "
        "was moved elsewhere.",
        "{look_elsewhere}",
    ),
    Rule(
        "ran_again", _NOTE, lambda facts: not facts.usage.is_last or facts.usage.state is JobState.PREEMPTED,
        "This attempt did not end the job, which was preempted, requeued or rescheduled: what it computed is "
        "lost unless it was saved.",
        "let the program go on with what it has saved: simherd run EXPERIMENT --resume",
    ),
    Rule(
        "never_ran", _PROBLEM, lambda facts: facts.usage.never_ran and facts.usage.state is JobState.FAILED,
        "It never ran: {cause}.", "{fix}", never_ran,
    ),
    Rule(
        "cancelled_early", _NOTE,
        lambda facts: facts.usage.never_ran and facts.usage.state is JobState.CANCELLED,
        "It was cancelled before it started.",
    ),
    Rule(
        "never_started", _PROBLEM, lambda facts: facts.usage.never_ran and not facts.is_done,
        "It never ran: its state is {usage.native}.",
    ),
    Rule(
        "walltime_hit", _PROBLEM, _is(JobState.TIMEOUT),
        "It was killed at its walltime{of_walltime}.", "{more_walltime}",
    ),
    Rule(
        "memory_hit", _PROBLEM, _is_over_memory,
        "It was killed because it needed more memory than it has: it used {peak_text} of {asked_text}.",
        "{more_memory}",
    ),
    Rule(
        "worker_ended", _GOOD, lambda facts: facts.is_ended_worker,
        "A Dask worker ran in it, and reached no limit: its own Dask scheduler ends it when the work is "
        "done, which the batch scheduler counts as {usage.native}. It is fine if the results are complete.",
    ),
    Rule(
        "memory_refused", _PROBLEM, _failed_at_limit(REFUSED_MEMORY),
        "It failed with exit code {usage.exit_code} close to its limit of address space, {peak_text} of "
        "{asked_text}: it was probably refused memory.",
        "{more_memory}",
    ),
    Rule(
        "memory_perhaps_refused", _PROBLEM, _failed_at_limit(PERHAPS_REFUSED_MEMORY),
        "It failed with exit code {usage.exit_code}, after {peak_text} of {asked_text}: if its log says "
        "MemoryError or 'cannot allocate', the limit of its address space refused it more.",
        "{more_memory}",
    ),
    Rule(
        "node_failed", _PROBLEM, _is(JobState.NODE_FAIL),
        "Its node failed: the program is not to blame.", "{run_again}",
    ),
    Rule(
        "cpu_time_hit", _PROBLEM, _ended_by(OUT_OF_CPU_TIME),
        "It was ended at a limit of CPU time or address space (signal XCPU).",
        "a higher limit (s_cpu, h_cpu, s_vmem), or none",
    ),
    Rule(
        "file_size_hit", _PROBLEM, _ended_by(FILE_TOO_LARGE),
        "It wrote a file larger than its limit (signal XFSZ).",
        "a higher limit (h_fsize, ulimit -f), or none",
    ),
    Rule(
        "crashed", _PROBLEM, _ended_by(*CRASHES),
        "Its program crashed with {cause}: that is a fault of the program or its libraries.",
        "{fix}",
        lambda facts: (CRASHES[facts.usage.signal or 0], _TRACE),
    ),
    Rule(
        "cancelled", _PROBLEM,
        lambda facts: facts.usage.state is JobState.CANCELLED and facts.usage.scheduler != "sge",
        "It was cancelled after {wall_text}, by a user or an administrator.", _IF_WORKER,
    ),
    Rule(
        "killed", _PROBLEM, lambda facts: facts.usage.signal is not None or _is(JobState.CANCELLED)(facts),
        "It was killed after {wall_text} at none of its limits ({usage.native}): by a user or an "
        "administrator, or by its node for want of memory.",
        _IF_WORKER,
    ),
    Rule(
        "not_found", _PROBLEM, lambda facts: facts.usage.exit_code == NOT_FOUND,
        "A command of the job script was not found (exit code 127).",
        "load the modules or the environment in the job script, or give the full path",
    ),
    Rule(
        "not_executable", _PROBLEM, lambda facts: facts.usage.exit_code == NOT_EXECUTABLE,
        "A command of the job script cannot be executed (exit code 126).", "chmod +x FILE",
    ),
    Rule(
        "perhaps_crashed", _PROBLEM, _may_have_crashed,
        "It failed with exit code {usage.exit_code}, or {cause}: sacct shows both the same.",
        "{fix}", lambda facts: _SIGNALLED[facts.usage.exit_code or 0],
    ),
    Rule(
        "failed", _PROBLEM, lambda facts: facts.has_ended and not facts.is_done,
        "It failed ({usage.native}): its own log says why.",
    ),
)  # fmt: skip
"""How it ended, or why it has not begun."""

CPU = (
    Rule(
        "reserved_usage", _NOTE, lambda facts: facts.usage.is_reservation,
        "Its CPU time is exactly its allocation: this site accounts what is reserved (ACCT_RESERVED_USAGE), "
        "so nothing is known of what was used.",
    ),
    Rule(
        "no_cpu_data", _NOTE, lambda facts: facts.is_complete and facts.cpu is None,
        "It ran for {wall_text}: there is no data of its CPU time.",
    ),
    Rule(
        "used_well", _GOOD, _is_used_well,
        "It used its cores well: CPU efficiency {cpu_text}, {busy_text} busy.",
    ),
    Rule(
        "too_short", _NOTE, lambda facts: facts.is_complete and facts.wall_s < LEAST_S,
        "It ran for {wall_text}, too short to judge: CPU efficiency {cpu_text}, give or take "
        "{uncertainty_text}.",
    ),
    Rule(
        "oversubscribed", _WARNING, _is_oversubscribed,
        "It used more CPU time than its {cores_text} have ({cpu_text}): it ran more threads or processes "
        "than cores, which slows down it and others.",
        "export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1",
    ),
    Rule(
        "serial_code", _WARNING, lambda facts: facts.is_serial and _is_poor(facts),
        "The code ran serially: it kept {busy_text} busy (CPU efficiency {cpu_text}), and the others idled.",
        "{fitting_cores}, or start it on all of them (mpirun -n {cores}, simherd run --workers {cores})",
    ),
    Rule(
        "waiting_for_io", _WARNING, _waits_for_io,
        "It waited for input and output: CPU efficiency {cpu_text}, {io_text}.",
        "read and write fewer, larger pieces, and on a local disk ($TMPDIR) where possible",
    ),
    Rule(
        "too_many_cores", _WARNING, lambda facts: _is_poor(facts) and facts.needed_cores < facts.cores,
        "It kept only {busy_text} busy (CPU efficiency {cpu_text}).", "{fitting_cores}",
    ),
    Rule(
        "idle", _WARNING, _is_poor,
        "Its cores idled most of the time (CPU efficiency {cpu_text}): it waited for files, the network or "
        "work, or other programs had them.",
    ),
    Rule(
        "fairly_used", _NOTE, _is_long,
        "Its CPU efficiency is {cpu_text}: {busy_text} busy.",
    ),
)  # fmt: skip
"""What it made of its cores."""

MEMORY = (
    Rule(
        "whole_nodes", _NOTE, lambda facts: facts.usage.has_whole_nodes and _unused_memory(facts),
        "It used {peak_text} of {asked_text}; whole nodes are given out, so nobody else lacks the rest.",
    ),
    Rule(
        "memory_unused", _WARNING, _unused_memory,
        "It asked for {asked_text} and used {peak_text}.", "{fitting_memory}",
    ),
    Rule(
        "memory_exceeded", _WARNING, _is_exceeded,
        "It used {peak_text}, more than the {asked_text} that it asked for: here nobody ended it, elsewhere "
        "it will be killed.",
        "{fitting_memory}",
    ),
    Rule(
        "memory_tight", _NOTE, _is_tight,
        "It used {peak_text} of {asked_text}: a little more, and it will be killed.", "{fitting_memory}",
    ),
)  # fmt: skip
"""What it made of its memory."""

TIME = (
    Rule(
        "walltime_unused", _NOTE, _unused_walltime,
        "It asked for {walltime_text} and took {wall_text}: shorter jobs start sooner.", "{fitting_walltime}",
    ),
    Rule(
        "walltime_tight", _NOTE,
        lambda facts: facts.is_done and facts.wall_s >= TIGHT_WALLTIME * (facts.usage.walltime_s or 1e18),
        "It took {wall_text} of {walltime_text}: a little longer, and it will be killed.",
        "{fitting_walltime}",
    ),
)  # fmt: skip
"""What it made of its walltime."""

PLACE = (
    Rule(
        "fragmented", _NOTE, _is_fragmented,
        "Its {cores_text} lay on {usage.node_count} nodes of {usage.cores_per_node} cores: fewer would do.",
        "#SBATCH --nodes={fewest_nodes}",
    ),
)  # fmt: skip
"""Where it ran."""

GROUPS = (ENDING, CPU, MEMORY, TIME, PLACE)

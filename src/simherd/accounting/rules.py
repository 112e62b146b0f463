"""The rules of diagnosis: a condition, one sentence, and the line of the job script to change.

Sentences and lines are templates over `Facts`. Rules stand in groups; of each group the first that applies
counts, so a later rule need not exclude the earlier ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from simherd.accounting.causes import CRASHES, crash, crash_or_code, never_ran, waits
from simherd.accounting.conditions import (
    LEAST_S,
    PERHAPS_REFUSED_MEMORY,
    REFUSED_MEMORY,
    ended_by,
    failed_at_limit,
    has_state,
    is_exceeded,
    is_fragmented,
    is_long,
    is_over_memory,
    is_oversubscribed,
    is_poor,
    is_short_of_walltime,
    is_tight,
    is_used_well,
    may_have_crashed,
    unused_memory,
    unused_walltime,
    waits_for_io,
)
from simherd.accounting.facts import Facts
from simherd.schedulers.base import JobState

__all__ = ["GROUPS", "Level", "Rule"]

OUT_OF_CPU_TIME, FILE_TOO_LARGE = 24, 25
"""Signals XCPU and XFSZ."""
NOT_EXECUTABLE, NOT_FOUND = 126, 127
"""Exit codes of shells."""
_IF_WORKER = "simherd usage STORE, if Dask workers ran in it: their run ends such jobs when it is done"


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


_PROBLEM, _WARNING, _NOTE, _GOOD = Level.PROBLEM, Level.WARNING, Level.NOTE, Level.GOOD

ENDING = (
    Rule(
        "pending", _NOTE, lambda facts: facts.usage.state.is_waiting,
        "It has not started: {cause}.", "{fix}", waits,
    ),
    Rule(
        "running", _NOTE, has_state(JobState.RUNNING, JobState.ENDING),
        "It still runs: the accounting knows what it used when it is over.",
    ),
    Rule(
        "unknown", _NOTE, has_state(JobState.GONE, JobState.UNKNOWN),
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
        "walltime_hit", _PROBLEM, has_state(JobState.TIMEOUT),
        "It was killed at its walltime{of_walltime}.", "{more_walltime}",
    ),
    Rule(
        "memory_hit", _PROBLEM, is_over_memory,
        "It was killed because it needed more memory than it has: it used {peak_text} of {asked_text}.",
        "{more_memory}",
    ),
    Rule(
        "worker_ended", _GOOD, lambda facts: facts.is_ended_worker,
        "A Dask worker ran in it, and reached no limit: its own Dask scheduler ends it when the work is "
        "done, which the batch scheduler counts as {usage.native}. It is fine if the results are complete.",
    ),
    Rule(
        "memory_refused", _PROBLEM, failed_at_limit(REFUSED_MEMORY),
        "It failed with exit code {usage.exit_code} close to its limit of address space, {peak_text} of "
        "{asked_text}: it was probably refused memory.",
        "{more_memory}",
    ),
    Rule(
        "memory_perhaps_refused", _PROBLEM, failed_at_limit(PERHAPS_REFUSED_MEMORY),
        "It failed with exit code {usage.exit_code}, after {peak_text} of {asked_text}: if its log says "
        "MemoryError or 'cannot allocate', the limit of its address space refused it more.",
        "{more_memory}",
    ),
    Rule(
        "node_failed", _PROBLEM, has_state(JobState.NODE_FAIL),
        "Its node failed: the program is not to blame.", "{run_again}",
    ),
    Rule(
        "cpu_time_hit", _PROBLEM, ended_by(OUT_OF_CPU_TIME),
        "It was ended at a limit of CPU time or address space (signal XCPU).",
        "a higher limit (s_cpu, h_cpu, s_vmem), or none",
    ),
    Rule(
        "file_size_hit", _PROBLEM, ended_by(FILE_TOO_LARGE),
        "It wrote a file larger than its limit (signal XFSZ).",
        "a higher limit (h_fsize, ulimit -f), or none",
    ),
    Rule(
        "crashed", _PROBLEM, ended_by(*CRASHES),
        "Its program crashed with {cause}: that is a fault of the program or its libraries.",
        "{fix}",
        crash,
    ),
    Rule(
        "cancelled", _PROBLEM,
        lambda facts: facts.usage.state is JobState.CANCELLED and facts.usage.scheduler != "sge",
        "It was cancelled after {wall_text}, by a user or an administrator.", _IF_WORKER,
    ),
    Rule(
        "killed", _PROBLEM,
        lambda facts: facts.usage.signal is not None or facts.usage.state is JobState.CANCELLED,
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
        "perhaps_crashed", _PROBLEM, may_have_crashed,
        "It failed with exit code {usage.exit_code}, or {cause}: sacct shows both the same.",
        "{fix}", crash_or_code,
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
        "used_well", _GOOD, is_used_well,
        "It used its cores well: CPU efficiency {cpu_text}, {busy_text} busy.",
    ),
    Rule(
        "too_short", _NOTE, lambda facts: facts.is_complete and facts.wall_s < LEAST_S,
        "It ran for {wall_text}, too short to judge: CPU efficiency {cpu_text}, give or take "
        "{uncertainty_text}.",
    ),
    Rule(
        "oversubscribed", _WARNING, is_oversubscribed,
        "It used more CPU time than its {cores_text} have ({cpu_text}): it ran more threads or processes "
        "than cores, which slows down it and others.",
        "export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1",
    ),
    Rule(
        "serial_code", _WARNING, lambda facts: facts.is_serial and is_poor(facts),
        "The code ran serially: it kept {busy_text} busy (CPU efficiency {cpu_text}), and the others idled.",
        "{fitting_cores}, or start it on all of them (mpirun -n {cores}, simherd run --workers {cores})",
    ),
    Rule(
        "waiting_for_io", _WARNING, waits_for_io,
        "It waited for input and output: CPU efficiency {cpu_text}, {io_text}.",
        "read and write fewer, larger pieces, and on a local disk ($TMPDIR) where possible",
    ),
    Rule(
        "too_many_cores", _WARNING, lambda facts: is_poor(facts) and facts.needed_cores < facts.cores,
        "It kept only {busy_text} busy (CPU efficiency {cpu_text}).", "{fitting_cores}",
    ),
    Rule(
        "idle", _WARNING, is_poor,
        "Its cores idled most of the time (CPU efficiency {cpu_text}): it waited for files, the network or "
        "work, or other programs had them.",
    ),
    Rule(
        "fairly_used", _NOTE, is_long,
        "Its CPU efficiency is {cpu_text}: {busy_text} busy.",
    ),
)  # fmt: skip
"""What it made of its cores."""

MEMORY = (
    Rule(
        "whole_nodes", _NOTE, lambda facts: facts.usage.has_whole_nodes and unused_memory(facts),
        "It used {peak_text} of {asked_text}; whole nodes are given out, so nobody else lacks the rest.",
    ),
    Rule(
        "memory_unused", _WARNING, unused_memory,
        "It asked for {asked_text} and used {peak_text}.", "{fitting_memory}",
    ),
    Rule(
        "memory_exceeded", _WARNING, is_exceeded,
        "It used {peak_text}, more than the {asked_text} that it asked for: here nobody ended it, elsewhere "
        "it will be killed.",
        "{fitting_memory}",
    ),
    Rule(
        "memory_tight", _NOTE, is_tight,
        "It used {peak_text} of {asked_text}: a little more, and it will be killed.", "{fitting_memory}",
    ),
)  # fmt: skip
"""What it made of its memory."""

TIME = (
    Rule(
        "walltime_unused", _NOTE, unused_walltime,
        "It asked for {walltime_text} and took {wall_text}: shorter jobs start sooner.", "{fitting_walltime}",
    ),
    Rule(
        "walltime_tight", _NOTE,
        is_short_of_walltime,
        "It took {wall_text} of {walltime_text}: a little longer, and it will be killed.",
        "{fitting_walltime}",
    ),
)  # fmt: skip
"""What it made of its walltime."""

PLACE = (
    Rule(
        "fragmented", _NOTE, is_fragmented,
        "Its {cores_text} lay on {usage.node_count} nodes of {usage.cores_per_node} cores: fewer would do.",
        "#SBATCH --nodes={fewest_nodes}",
    ),
)  # fmt: skip
"""Where it ran."""

GROUPS = (ENDING, CPU, MEMORY, TIME, PLACE)

"""Why jobs wait, never run or crash: reasons of SLURM, codes of Grid Engine, signals, and fixes."""

from __future__ import annotations

import re

from simherd.accounting.facts import KILL, TERMINATE, Facts
from simherd.accounting.sacct import NOT_SET_UP
from simherd.schedulers.base import JobState

__all__ = ["CRASHES", "SIGNALLED", "crash", "crash_or_code", "never_ran", "waits"]

CRASHES = {
    4: "an illegal instruction",
    6: "an abort",
    7: "a bus error",
    8: "an arithmetic error",
    11: "an invalid memory access",
}
"""Signals that programs cause themselves."""
_TRACE = "run it with 'python -X faulthandler'"
SIGNALLED = {number: (f"crashed with {CRASHES[number]}", _TRACE) for number in (6, 11)} | {
    KILL: ("was killed, such as by its node for want of memory", "more memory, if it grew until then"),
    TERMINATE: ("was terminated by somebody", "look at its log"),
}
"""What a small exit code may stand for, and a fix: sacct subtracts the 128 with which shells mark signals."""

# squeue(1), JOB REASON CODES.
_REASONS = tuple(
    (re.compile(pattern), cause, fix)
    for pattern, cause, fix in (
        (r"DependencyNeverSatisfied", "a job that it depends on failed, so it never will",
         "scancel {id}, and submit it anew"),
        (r"Dependency", "it waits for another job", ""),
        (r"JobHeldAdmin", "an administrator holds it", "ask the administrators"),
        (r"JobHeldUser|user hold|hold state", "it is held", "{release}"),
        (r"launch failed requeued held|JobHoldMaxRequeue", "it failed to start too often, and is held",
         "look at its log, then {release}"),
        (r"PartitionTimeLimit", "it asks for a longer walltime than its partition allows",
         "a walltime within 'sinfo -s'"),
        (r"PartitionNodeLimit|PartitionConfig|ReqNodeNotAvail|BadConstraints|NodeDown",
         "no node of its partition can take it",
         "fewer cores, less memory or another partition: 'sinfo -N -l'"),
        (r"QOSMax|AssocMax|AssocGrp|QOSGrp|QOSUsage|Assoc.*Limit",
         "a limit of its user or account is reached ({reason})",
         "smaller or fewer jobs at once: 'sacctmgr show assoc user=$USER'"),
        (r"Licenses", "it waits for a licence", ""),
        (r"BeginTime", "it is to start later", ""),
        (r"Reservation", "it waits for its reservation", ""),
        (r"Priority", "jobs of higher priority come first", "a shorter walltime starts sooner"),
        (r"Resources", "it is next, as soon as there are resources", "smaller and shorter jobs start sooner"),
        # qstat -j
        (r"cannot run in PE", "its parallel environment offers fewer slots than it asks for ({reason})",
         "fewer slots, or another parallel environment: 'qconf -spl'"),
    )
)  # fmt: skip
_RELEASE = {"slurm": "scontrol release {id}", "sge": "qrls {id}"}
_EXPLAIN = {"slurm": "squeue --start -j {id}", "sge": "qalter -w v {id}"}
_CLEAR = "mend that, then qmod -cj {id}"

# sge_status(5). What has no entry is the site's to mend.
_EXISTS = "exists on the nodes, where you may write"
_HOST = (
    "the execution host could not start it (code {code})",
    "submit it again; if it recurs, tell the administrators",
)
_CODES = {
    7: ("the site's prolog failed", "tell the administrators"),
    8: ("the site's prolog failed", "tell the administrators"),
    9: ("its parallel environment could not be started", "another parallel environment: 'qconf -spl'"),
    10: ("its parallel environment could not be started", "another parallel environment: 'qconf -spl'"),
    26: ("its output file could not be opened",
         f"-o and -e in a folder that {_EXISTS}"),
    27: ("its shell was not found", "#$ -S /bin/bash"),
    28: ("its working directory is not there on the node", "#$ -wd PATH that the nodes have, or -cwd in one"),
    29: ("AFS could not be set up", "tell the administrators"),
}  # fmt: skip


def waits(facts: Facts) -> tuple[str, str]:
    """Return why a job waits, and what to do about it."""
    usage = facts.usage
    words = {
        "id": usage.job_id,
        "reason": usage.reason,
        "release": _RELEASE[usage.scheduler].format(id=usage.job_id),
    }
    for pattern, cause, fix in _REASONS:
        if pattern.search(usage.reason):
            return cause.format(**words), fix.format(**words)
    if usage.state is JobState.HELD and usage.reason:
        return usage.reason, _CLEAR.format(**words)
    explain = f"see '{_EXPLAIN[usage.scheduler].format(**words)}'"
    return usage.reason or "its batch scheduler says no reason", explain


def never_ran(facts: Facts) -> tuple[str, str]:
    """Return why a job never ran, and what to do about it."""
    if facts.usage.signal == NOT_SET_UP:
        return _CODES[26][0] + ", or the site's prolog failed", f"--output in a folder that {_EXISTS}"
    found = re.search(r"failed (\d+)", facts.usage.native)
    if found is None:
        return f"its state is {facts.usage.native}", "look at its log; submit it again"
    cause, fix = _CODES.get(int(found[1][:6]), _HOST)
    return cause.format(code=found[1]), fix


def crash(facts: Facts) -> tuple[str, str]:
    """Return how a program crashed, and how to find out where."""
    return CRASHES[facts.usage.signal or 0], _TRACE


def crash_or_code(facts: Facts) -> tuple[str, str]:
    """Return what an exit code may stand for, too, and what to do about it."""
    return SIGNALLED[facts.usage.exit_code or 0]

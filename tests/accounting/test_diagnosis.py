"""Each kind of use, waste and failure has its sentence and its remedy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from simherd.accounting import JobUsage, Level, add_up, diagnose, parse_qacct
from simherd.accounting.facts import percent
from simherd.accounting.rules import GROUPS
from simherd.schedulers import JobState

DATA = Path(__file__).parent / "data"
GIB = 2**30
GOOD = JobUsage(
    scheduler="slurm",
    job_id="12",
    state=JobState.DONE,
    native="COMPLETED",
    exit_code=0,
    wall_s=3600.0,
    walltime_s=5400.0,
    cores=4,
    cores_asked=4,
    node_count=1,
    cpu_s=4 * 3600.0 * 0.9,
    memory_bytes=6 * GIB,
    memory_asked_bytes=8 * GIB,
)
SGE = replace(
    GOOD,
    scheduler="sge",
    native="failed 0, exit_status 0",
    memory_resource="h_vmem",
    parallel_environment="smp",
)


def job(usage=GOOD, **changed):
    return replace(usage, **changed)


def rules(usage):
    return [finding.rule for finding in diagnose(usage)]


def found(usage, rule):
    (finding,) = [one for one in diagnose(usage) if one.rule == rule]
    return finding


def of_seeds(name):
    (usage,) = parse_qacct((DATA / f"sge-8.1-{name}.txt").read_text())
    return usage


def test_serial_code_on_eight_slots_is_found():
    usage = of_seeds("serial")
    serial, memory = diagnose(usage)

    assert (serial.rule, memory.rule) == ("serial_code", "memory_unused")
    assert "1.0 of 8 cores busy (CPU efficiency 13 %)" in serial.sentence
    assert serial.line.startswith("without the line '#$ -pe'")
    assert memory.line == "#$ -l h_vmem=17G"  # 1.2 times the peak, on the one slot that is needed


def test_parallel_code_used_its_slots_well():
    (finding,) = diagnose(of_seeds("parallel"))

    assert (finding.rule, finding.level) == ("used_well", Level.GOOD)
    assert "87 %" in finding.sentence


def test_dask_worker_ended_by_its_own_scheduler_is_fine():
    ended, used, memory = diagnose(of_seeds("dask-worker"))

    assert (ended.rule, ended.level) == ("worker_ended", Level.GOOD)
    assert (used.rule, memory.line) == ("used_well", "#$ -l h_vmem=23G")
    assert "95 %" in used.sentence


def test_kill_of_a_worker_needs_evidence_to_be_fine():
    usage = job(SGE, state=JobState.CANCELLED, signal=9, native="failed 100, exit_status 137", exit_code=None)

    assert rules(usage)[0] == "killed"
    assert rules(replace(usage, is_worker=True))[0] == "worker_ended"
    assert rules(replace(usage, is_worker=True, state=JobState.OUT_OF_MEMORY))[0] == "memory_hit"
    assert rules(replace(usage, is_worker=True, state=JobState.TIMEOUT))[0] == "walltime_hit"
    assert rules(replace(usage, is_worker=True, memory_bytes=8 * GIB))[0] == "memory_hit"


@pytest.mark.parametrize(
    ("changed", "first", "line"),
    [
        ({"state": JobState.TIMEOUT, "wall_s": 5470.0}, "walltime_hit", "#SBATCH --time=02:20:00"),
        ({"state": JobState.OUT_OF_MEMORY}, "memory_hit", "#SBATCH --mem=12G"),
        ({"state": JobState.FAILED, "signal": 9, "memory_bytes": 9 * GIB}, "memory_hit", "#SBATCH --mem=14G"),
        ({"state": JobState.FAILED, "signal": 9}, "killed", "usage STORE"),
        ({"state": JobState.CANCELLED}, "cancelled", "usage STORE"),
        ({"state": JobState.CANCELLED, "never_ran": True, "wall_s": None}, "cancelled_early", ""),
        ({"state": JobState.NODE_FAIL}, "node_failed", "#SBATCH --requeue"),
        ({"state": JobState.NODE_FAIL, "never_ran": True, "wall_s": None}, "never_started", ""),
        ({"state": JobState.PREEMPTED}, "ran_again", "--resume"),
        ({"is_last": False, "state": JobState.CANCELLED}, "ran_again", "--resume"),
        ({"state": JobState.FAILED, "exit_code": None, "signal": 11}, "crashed", "faulthandler"),
        ({"state": JobState.FAILED, "exit_code": None, "signal": 24}, "cpu_time_hit", "s_cpu"),
        ({"state": JobState.FAILED, "exit_code": None, "signal": 25}, "file_size_hit", "h_fsize"),
        ({"state": JobState.FAILED, "exit_code": 127}, "not_found", "modules"),
        ({"state": JobState.FAILED, "exit_code": 126}, "not_executable", "chmod"),
        ({"state": JobState.FAILED, "exit_code": 11}, "perhaps_crashed", "faulthandler"),
        ({"state": JobState.FAILED, "exit_code": 9}, "perhaps_crashed", "more memory"),
        ({"state": JobState.FAILED, "exit_code": 3, "native": "FAILED"}, "failed", ""),
        ({"state": JobState.RUNNING, "cpu_s": None}, "running", ""),
        ({"state": JobState.GONE, "never_ran": True}, "unknown", "sacct"),
        ({"state": JobState.UNKNOWN}, "unknown", "sacct"),
    ],
)
def test_ending_is_explained(changed, first, line):
    finding = diagnose(job(**changed))[0]

    assert finding.rule == first
    assert line in finding.line
    assert bool(line) == bool(finding.line)


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({}, "used_well"),
        ({"cpu_s": 4 * 3600 * 0.75}, "fairly_used"),
        ({"cpu_s": None}, "no_cpu_data"),
        ({"cpu_s": 3700.0}, "serial_code"),
        ({"cpu_s": 2 * 3600.0}, "too_many_cores"),
        ({"cpu_s": 100.0}, "idle"),
        ({"cpu_s": 100.0, "cores": 1}, "idle"),
        ({"cpu_s": 3000.0, "cores": 1}, "used_well"),
        ({"cpu_s": 2 * 3600.0, "io_wait_s": 400.0}, "waiting_for_io"),
        ({"cpu_s": 2 * 3600.0, "io_bytes": 3600 * 30 * 2**20}, "waiting_for_io"),
        ({"io_bytes": 3600 * 30 * 2**20}, "used_well"),
        ({"cpu_s": 4 * 3600 * 1.2}, "oversubscribed"),
        ({"cpu_s": 4 * 3600 * 1.05}, "used_well"),
        ({"wall_s": 20.0, "cpu_s": 60.0}, "too_short"),
        ({"wall_s": 1.0, "cpu_s": 5.5}, "too_short"),
        ({"wall_s": 20.0, "cpu_s": 78.0}, "used_well"),
    ],
)
def test_use_of_cores_is_judged(changed, rule):
    assert [name for name in rules(job(**changed)) if not name.startswith(("memory", "walltime"))] == [rule]


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.OUT_OF_MEMORY, JobState.PREEMPTED])
def test_short_job_that_ended_badly_is_told_only_why(state):
    assert len(diagnose(job(state=state, wall_s=5.0, cpu_s=5.0))) == 1


def test_reserved_usage_is_no_use():
    usage = job(SGE, cpu_s=4 * 3600.0)

    assert rules(usage) == ["reserved_usage"]
    assert rules(replace(usage, memory_bytes=8 * GIB)) == ["reserved_usage"]
    assert add_up([usage]).cpu is add_up([usage]).memory is None
    assert rules(replace(usage, scheduler="slurm")) == ["used_well"]


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"memory_bytes": 3 * GIB, "memory_asked_bytes": 64 * GIB}, "#SBATCH --mem=4G"),
        (
            {"memory_bytes": 3 * GIB, "memory_asked_bytes": 64 * GIB, "node_count": 2},
            "#SBATCH --mem-per-cpu=960M",
        ),
        ({"memory_bytes": 100 * 2**20, "memory_asked_bytes": 4 * GIB}, "#SBATCH --mem=128M"),
    ],
)
def test_unused_memory_is_told_with_what_to_ask_for(changed, line):
    assert found(job(**changed), "memory_unused").line == line


@pytest.mark.parametrize(
    "changed",
    [
        {"memory_bytes": 6 * GIB},
        {"memory_bytes": None},
        {"memory_bytes": GIB // 4, "memory_asked_bytes": GIB},
        {"memory_bytes": GIB, "memory_at_most_bytes": 6 * GIB},
        {"memory_bytes": GIB, "wall_s": 20.0},
        {"memory_bytes": GIB, "state": JobState.FAILED},
    ],
)
def test_memory_is_not_unused_without_evidence(changed):
    assert "memory_unused" not in rules(job(**changed))


def test_address_space_is_never_asked_below_what_workers_start_with():
    usage = job(SGE, memory_bytes=100 * 2**20, memory_asked_bytes=32 * GIB)

    assert found(usage, "memory_unused").line == "#$ -l h_vmem=1G"
    assert "memory_unused" not in rules(replace(usage, memory_asked_bytes=4 * GIB))


def test_memory_of_a_slot_that_fits_one_slot_is_not_unused():
    usage = job(SGE, cpu_s=3700.0, memory_asked_bytes=8 * GIB, memory_bytes=int(1.5 * GIB))

    assert rules(usage) == ["serial_code"]
    assert found(replace(usage, memory_asked_bytes=40 * GIB), "memory_unused").line == "#$ -l h_vmem=2G"


def test_memory_of_whole_nodes_has_no_grade():
    usage = job(memory_bytes=GIB, memory_asked_bytes=64 * GIB, has_whole_nodes=True)

    assert (found(usage, "whole_nodes").level, found(usage, "whole_nodes").line) == (Level.NOTE, "")


def test_program_that_fails_near_its_address_space_was_refused_memory():
    usage = job(SGE, state=JobState.FAILED, exit_code=1, memory_bytes=7 * GIB)

    assert found(usage, "memory_refused").line == "#$ -l h_vmem=3G"
    assert rules(replace(usage, memory_bytes=3 * GIB))[0] == "memory_perhaps_refused"
    assert rules(replace(usage, memory_bytes=1 * GIB))[0] == "failed"
    assert rules(replace(usage, memory_resource="mem_free"))[0] == "failed"


@pytest.mark.parametrize(
    ("changed", "rule", "line"),
    [
        ({"walltime_s": 86400.0}, "walltime_unused", "#SBATCH --time=01:30:00"),
        ({"walltime_s": 3700.0}, "walltime_tight", "#SBATCH --time=01:30:00"),
        ({"memory_bytes": int(7.9 * GIB)}, "memory_tight", "#SBATCH --mem=10G"),
        ({"memory_bytes": 9 * GIB}, "memory_exceeded", "#SBATCH --mem=11G"),
        ({"node_count": 4, "cores_per_node": 8}, "fragmented", "#SBATCH --nodes=1"),
    ],
)
def test_what_is_too_much_or_too_little_is_told(changed, rule, line):
    assert found(job(**changed), rule).line == line


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"walltime_s": None},
        {"walltime_s": 7200.0, "wall_s": 600.0, "state": JobState.FAILED},
        {"node_count": 2, "cores_per_node": 2},
        {"node_count": 4},
    ],
)
def test_what_fits_is_not_told(changed):
    assert not {"walltime_unused", "walltime_tight", "memory_tight", "fragmented"} & set(
        rules(job(**changed))
    )


@pytest.mark.parametrize(
    ("scheduler", "reason", "words", "line"),
    [
        ("slurm", "Resources", "resources", "start sooner"),
        ("slurm", "PartitionTimeLimit", "longer walltime", "sinfo -s"),
        ("slurm", "JobHeldUser", "held", "scontrol release 12"),
        ("slurm", "DependencyNeverSatisfied", "never will", "scancel 12"),
        ("slurm", "AssocGrpCpuLimit", "AssocGrpCpuLimit", "sacctmgr"),
        ("slurm", "SomethingNew", "SomethingNew", "squeue --start -j 12"),
        ("slurm", "", "no reason", "squeue --start -j 12"),
        ("sge", "Job is in hold state", "held", "qrls 12"),
        ("sge", 'cannot run in PE "smp" because it only offers 4 slots', "fewer slots", "qconf -spl"),
        ("sge", "can't chdir to /x: No such file", "can't chdir to /x", "qmod -cj 12"),
    ],
)
def test_waiting_job_is_explained(scheduler, reason, words, line):
    state = JobState.HELD if "chdir" in reason else JobState.PENDING
    (finding,) = diagnose(JobUsage(scheduler=scheduler, job_id="12", state=state, reason=reason))

    assert words in finding.sentence
    assert line in finding.line


@pytest.mark.parametrize(
    ("code", "words", "line"),
    [
        (26, "output file", "-o and -e"),
        (27, "shell", "-S /bin/bash"),
        (28, "working directory", "-cwd"),
        (8, "prolog", "administrators"),
        (10, "parallel environment", "qconf -spl"),
        (21, "code 21", "submit it again"),
    ],
)
def test_job_that_grid_engine_could_not_start_is_explained(code, words, line):
    usage = job(
        SGE, state=JobState.FAILED, never_ran=True, wall_s=None, native=f"failed {code} : x, exit_status 0"
    )
    (finding,) = diagnose(usage)

    assert words in finding.sentence
    assert line in finding.line


def test_braces_in_a_reason_are_no_template():
    (finding,) = diagnose(
        JobUsage(scheduler="sge", job_id="1", state=JobState.PENDING, reason="{usage.owner}")
    )

    assert "{usage.owner}" in finding.sentence


def test_names_of_rules_are_unique():
    names = [rule.name for group in GROUPS for rule in group]

    assert len(set(names)) == len(names)


def test_totals_are_weighted_by_core_hours():
    small = job(wall_s=36.0, cores=1, cpu_s=36.0)
    totals = add_up([job(cores=100, cpu_s=0.5 * 360000), small, job(cpu_s=None)])

    assert totals.cpu == pytest.approx(0.5, abs=1e-3)
    assert totals.core_hours == pytest.approx(100 + 0.01 + 4)
    assert (totals.jobs, totals.attempts, totals.unmeasured, totals.lost_core_hours) == (1, 3, 1, 0.0)


def test_lost_core_hours_are_those_of_jobs_that_ended_badly():
    ended = job(state=JobState.CANCELLED, is_worker=True)
    states = (JobState.FAILED, JobState.TIMEOUT, JobState.CANCELLED, JobState.RUNNING)

    assert add_up([ended, *(job(state=state) for state in states)]).lost_core_hours == pytest.approx(12)


def test_totals_without_data_are_no_data():
    totals = add_up([JobUsage(scheduler="sge", job_id="1", state=JobState.PENDING)])

    assert totals.cpu is totals.memory is totals.time is None


@pytest.mark.parametrize(
    ("share", "text"), [(None, "no data"), (0.0, "0 %"), (0.004, "<1 %"), (0.13, "13 %"), (1.5, "150 %")]
)
def test_missing_share_is_not_zero(share, text):
    assert percent(share) == text

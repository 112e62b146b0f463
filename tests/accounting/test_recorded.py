"""Jobs that were run on SLURM 22.05.8 and Grid Engine 8.1.9 are judged as what they were."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from simherd.accounting import JobUsage, diagnose, parse_qacct, parse_sacct
from simherd.schedulers import JobState

DATA = Path(__file__).parent / "data"
MIB = 2**20
DONE, FAILED, CANCELLED, AGAIN = JobState.DONE, JobState.FAILED, JobState.CANCELLED, JobState.PREEMPTED
TIMEOUT, MEMORY = JobState.TIMEOUT, JobState.OUT_OF_MEMORY

# What was run, with what, and what came of it: state, exit code or -signal, first finding.
JOBS = {
    # two loops of 34 s, each in a process that holds 50 MB, on two cores that others used, too
    "slurm-22.05.8-completed": [(DONE, 0, "idle")],
    "slurm-22.05.8-failed": [(FAILED, 3, "failed")],
    "slurm-22.05.8-cancelled": [(CANCELLED, None, "cancelled")],  # scancel after 19 s
    "slurm-22.05.8-cancelled-early": [(CANCELLED, None, "cancelled_early")],  # held, then scancel
    "slurm-22.05.8-timeout": [(TIMEOUT, None, "walltime_hit")],  # sleep 300 in --time=1
    "slurm-22.05.8-crashed": [(FAILED, 11, "perhaps_crashed")],  # SIGSEGV; the shell's 139 is printed as 11
    "slurm-22.05.8-over-memory": [(DONE, 0, "too_short")],  # 300 MB in --mem=60M, not enforced
    "slurm-22.05.8-memory-kill": [(FAILED, -9, "memory_hit")],  # the same with OverMemoryKill
    "slurm-22.05.8-memory-kill-step": [(FAILED, -9, "memory_hit")],  # in a step: the script exits with 137
    "slurm-22.05.8-node-fail": [(JobState.NODE_FAIL, None, "node_failed")],
    "slurm-22.05.8-no-log": [(FAILED, -53, "never_ran")],  # --output=/nonexistent/x
    "slurm-22.05.8-components": [(FAILED, 3, "failed")] * 2,  # --mem=50M : --mem=60M
    "slurm-22.05.8-workers": [(CANCELLED, None, "cancelled")] * 2,  # of a run that is done
    "slurm-22.05.8-requeued": [(AGAIN, None, "ran_again"), (DONE, 0, "too_short")],  # scontrol requeue
    "slurm-22.05.8-array": [(DONE, 0, "too_short"), (FAILED, 4, "failed"), (DONE, 0, "too_short")],
    "slurm-22.05.8-multi-node": [(DONE, 0, "too_short")],
    "slurm-22.05.8-multi-step": [(DONE, 0, "too_short")],
    "slurm-22.05.8-exclusive": [(FAILED, 3, "failed")],  # --exclusive on a node of 8
    "sge-8.1.9-completed": [(DONE, 0, "fairly_used")],  # two such loops, -pe smp 2
    "sge-8.1.9-serial": [(DONE, 0, "serial_code")],  # one of them, -pe ib 2
    "sge-8.1.9-failed": [(FAILED, 3, "failed")],
    "sge-8.1.9-deleted": [(CANCELLED, -9, "killed")],  # qdel after 19 s
    "sge-8.1.9-h_rt": [(TIMEOUT, -9, "walltime_hit")],
    "sge-8.1.9-s_rt": [(TIMEOUT, -10, "walltime_hit")],
    "sge-8.1.9-h_vmem": [(FAILED, 1, "memory_perhaps_refused")],  # holds 300 MB, asks for 900 more, of 700
    "sge-8.1.9-h_vmem-kill": [(MEMORY, -9, "memory_hit")],  # three processes of 300 MB
    "sge-8.1.9-array": [(DONE, 0, "too_short"), (FAILED, 4, "failed"), (DONE, 0, "too_short")],
    "sge-8.1.9-rescheduled": [(AGAIN, None, "ran_again"), (DONE, 0, "too_short")],  # qmod -rj
    "sge-8.1.9-asked-again": [(AGAIN, 99, "ran_again"), (DONE, 0, "no_cpu_data")],  # 0 s  # exit 99
    "sge-8.1.9-slaves": [(CANCELLED, -9, "killed")],  # two by qrsh -inherit; accounting_summary FALSE
    "sge-8.1.9-no-folder": [(FAILED, None, "never_ran")],  # -wd /nonexistent
    "sge-8.1.9-no-log": [(FAILED, None, "never_ran")],  # -o /nonexistent/x
}


def read(name):
    parse = parse_sacct if name.startswith("slurm") else parse_qacct
    return parse((DATA / f"{name}.txt").read_text())


def ending(usage):
    return -usage.signal if usage.signal is not None else usage.exit_code


@pytest.mark.parametrize("name", JOBS)
def test_job_is_judged_as_what_it_was(name):
    usages = read(name)

    assert [(one.state, ending(one), diagnose(one)[0].rule) for one in usages] == JOBS[name]


@pytest.mark.parametrize("name", [name for name in JOBS if name.startswith("sge")])
def test_accounting_file_says_the_same_as_qacct(name):
    from_file = parse_qacct((DATA / f"{name}.line").read_text())
    for printed, raw in zip(read(name), from_file, strict=True):
        for field in fields(JobUsage):
            one, other = getattr(printed, field.name), getattr(raw, field.name)
            if field.name in ("submitted", "started", "ended", "native", "reason"):
                assert (one is None) == (other is None)  # the file has codes without words, and other times
            elif isinstance(one, int | float) and not isinstance(one, bool):
                assert one == pytest.approx(other, rel=2e-3, abs=1e-3)
            else:
                assert one == other


def test_steps_of_a_job_bound_its_memory():
    (usage,) = read("slurm-22.05.8-multi-step")  # 200 MB alone, then twice 100 MB at once; a shell of 21 MB

    assert (usage.memory_bytes / MIB, usage.memory_at_most_bytes / MIB) == pytest.approx((208, 237), abs=1)
    assert (usage.cpu_s, usage.cores, usage.wall_s) == (2.825, 2, 15.0)


def test_tasks_on_two_nodes_are_one_job():
    (usage,) = read("slurm-22.05.8-multi-node")  # 60 MB on each

    assert (usage.node_count, usage.cores) == (2, 2)
    assert usage.memory_bytes / MIB == pytest.approx(136, abs=1)
    assert usage.memory_asked_bytes == 400 * MIB


def test_exclusive_job_has_whole_nodes():
    (usage,) = read("slurm-22.05.8-exclusive")

    assert usage.has_whole_nodes


def test_memory_of_grid_engine_is_that_of_all_processes():
    (usage,) = read("sge-8.1.9-completed")  # two processes of 50 MB; ru_maxrss says 58.215KB

    assert usage.memory_bytes / MIB == pytest.approx(114.9, abs=0.1)


def test_slaves_are_part_of_their_job():
    (usage,) = read("sge-8.1.9-slaves")

    assert (usage.cores, usage.wall_s, usage.cpu_s) == (3, 2.0, pytest.approx(0.66 + 2 * 0.008, abs=1e-3))


def test_array_tasks_have_ids_of_their_own():
    assert [usage.job_id for usage in read("slurm-22.05.8-array")] == ["669_1", "669_2", "669_3"]
    assert [usage.job_id for usage in read("sge-8.1.9-array")] == ["486.1", "486.2", "486.3"]

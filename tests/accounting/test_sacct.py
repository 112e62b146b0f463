"""Accounting of SLURM is read the same way whichever version printed it."""

from __future__ import annotations

import pytest

from simherd.accounting import cpu_efficiency, memory_efficiency, parse_sacct, time_efficiency
from simherd.errors import AccountingError
from simherd.schedulers import JobState

MIB = 2**20
DEFAULTS = {
    "JobID": "12",
    "State": "COMPLETED",
    "ExitCode": "0:0",
    "Elapsed": "00:01:40",
    "Timelimit": "00:10:00",
    "AllocCPUS": "4",
    "NNodes": "1",
    "TotalCPU": "05:00.500",
    "ReqMem": "4G",
    "Start": "2026-11-30T04:00:00",
    "End": "2026-11-30T04:01:40",
}


def table(*rows, **job):
    """Return the table of a job and rows of its steps, each with fields that differ."""
    step = {"ReqMem": "", "Timelimit": "", "TotalCPU": ""}
    full = [{**DEFAULTS, **job}, *({**DEFAULTS, **step, **row} for row in rows)]
    names = list(dict.fromkeys(name for row in full for name in row))
    lines = ["|".join(names), *("|".join(row.get(name, "") for name in names) for row in full)]
    return "\n".join(lines) + "\n"


def one(*rows, **job):
    (usage,) = parse_sacct(table(*rows, **job))
    return usage


def test_efficiency_is_use_of_what_was_allocated():
    usage = one({"JobID": "12.batch", "MaxRSS": "1G", "NTasks": "1"})

    assert cpu_efficiency(usage) == pytest.approx(300.5 / 400)
    assert memory_efficiency(usage) == 0.25
    assert time_efficiency(usage) == pytest.approx(1 / 6)


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("4000Mc", 16000 * MIB),
        ("2Gn", 4096 * MIB),
        ("800M", 800 * MIB),
        ("62.50G", 64000 * MIB),
        ("500", 500 * MIB),
        ("0n", None),
        ("", None),
        ("?", None),
    ],
)
def test_memory_is_asked_for_per_core_node_or_job(text, asked):
    assert one(ReqMem=text, NNodes="2").memory_asked_bytes == asked


def test_allocated_memory_counts_more_than_what_was_asked_for():
    assert one(ReqMem="1Gc", AllocTRES="billing=4,cpu=4,mem=3G,node=1").memory_asked_bytes == 3 * 2**30


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("06:57.815", 417.815), ("00:06:57", 417.0), ("1-02:03:04", 93784.0), ("30:00:00", 108000.0)],
)
def test_cpu_time_has_days_hours_or_fractions(text, seconds):
    assert one(TotalCPU=text).cpu_s == seconds


def test_memory_of_a_step_is_that_of_all_its_tasks():
    batch = {"JobID": "12.batch", "MaxRSS": "10M"}
    step = {"JobID": "12.0", "MaxRSS": "100M", "NTasks": "4"}

    assert one(batch, step).memory_bytes == 400 * MIB
    assert one(batch, {**step, "TRESUsageInTot": "cpu=00:00:05,mem=300M"}).memory_bytes == 300 * MIB


def test_steps_at_the_same_time_bound_the_memory():
    first = {"JobID": "12.0", "MaxRSS": "100M", "End": "2026-11-30T04:00:30"}
    second = {"JobID": "12.1", "MaxRSS": "90M", "Start": "2026-11-30T04:00:10"}
    later = {"JobID": "12.2", "MaxRSS": "80M", "Start": "2026-11-30T04:00:40"}
    extern = {"JobID": "12.extern", "MaxRSS": "900M"}

    usage = one(extern, first, second, later)

    assert (usage.memory_bytes, usage.memory_at_most_bytes) == (100 * MIB, 190 * MIB)
    assert one(first, later).memory_at_most_bytes == 100 * MIB


def test_sampler_knows_cpu_time_of_killed_processes():
    batch = {
        "JobID": "12.batch",
        "State": "CANCELLED",
        "MaxRSS": "9M",
        "TRESUsageInTot": "cpu=00:03:00,mem=9M",
    }

    assert one(batch, State="TIMEOUT", TotalCPU="00:00.002").cpu_s == 180.0


def test_cpu_time_of_killed_job_without_samples_is_no_data():
    batch = {"JobID": "12.batch", "State": "CANCELLED"}

    assert one(batch, State="CANCELLED by 1001", TotalCPU="00:00.002").cpu_s is None
    assert one(batch, State="CANCELLED by 1001", TotalCPU="02:00.000").cpu_s == 120.0


@pytest.mark.parametrize("name", ["TotalCPU", "Elapsed", "AllocCPUS", "ReqMem", "Timelimit", "MaxRSS"])
@pytest.mark.parametrize("value", ["", "?", "UNLIMITED", "Partition_Limit", "18446744073709551615"])
def test_what_is_missing_is_no_data(name, value):
    usage = one(**{name: value, "TotalCPU": "", **({name: value} if name == "TotalCPU" else {})})

    assert cpu_efficiency(usage) is None
    assert memory_efficiency(usage) is None
    if name in ("Elapsed", "Timelimit") and not value.isdigit():
        assert time_efficiency(usage) is None


def test_job_that_runs_has_used_nothing_known():
    batch = {"JobID": "12.batch", "State": "RUNNING", "End": "Unknown"}
    usage = one(batch, State="RUNNING", TotalCPU="00:00:00", End="Unknown")

    assert usage.state is JobState.RUNNING
    assert usage.cpu_s is usage.memory_bytes is usage.ended is None
    assert usage.wall_s == 100.0


def test_job_cancelled_before_it_started_never_ran():
    usage = one(State="CANCELLED by 1001", Elapsed="00:00:00", AllocCPUS="0", TotalCPU="00:00:00")

    assert usage.never_ran
    assert usage.cpu_s is None


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("CANCELLED by 1001", JobState.CANCELLED),
        ("CANCELLED+", JobState.CANCELLED),
        ("OUT_OF_MEMORY", JobState.OUT_OF_MEMORY),
        ("OUT_OF_ME+", JobState.OUT_OF_MEMORY),
        ("NODE_FAIL", JobState.NODE_FAIL),
        ("REQUEUED", JobState.PREEMPTED),
        ("DEADLINE", JobState.TIMEOUT),
    ],
)
def test_state_may_be_cut_or_have_more_words(word, state):
    assert one(State=word).state is state


@pytest.mark.parametrize(
    ("text", "state", "code", "signal"),
    [
        ("3:0", "FAILED", 3, None),
        ("0:11", "FAILED", None, 11),
        ("137:0", "FAILED", None, 9),
        ("0:0", "TIMEOUT", None, None),
        ("0:0", "COMPLETED", 0, None),
        ("?", "FAILED", None, None),
    ],
)
def test_exit_code_and_signal(text, state, code, signal):
    usage = one(ExitCode=text, State=state)

    assert (usage.exit_code, usage.signal) == (code, signal)


@pytest.mark.parametrize("job_id", ["12", "12_4", "12+0", "12_[5-9]", "12_[5,7%2]"])
def test_job_array_task_and_component_have_steps(job_id):
    usage = one({"JobID": f"{job_id}.batch", "MaxRSS": "9M"}, JobID=job_id, JobIDRaw="77")

    assert (usage.job_id, usage.own_id, usage.memory_bytes) == (job_id, "77", 9 * MIB)


def test_requeued_job_has_an_attempt_for_each_time():
    again = {**DEFAULTS, "TotalCPU": "00:10.000"}
    text = table({"JobID": "12.batch", "MaxRSS": "9M"}, again, {"JobID": "12.batch"}, State="REQUEUED")
    first, second = parse_sacct(text)

    assert (first.attempt, first.is_last, first.memory_bytes) == (1, False, 9 * MIB)
    assert (second.attempt, second.is_last, second.cpu_s) == (2, True, 10.0)


def test_job_name_may_have_the_delimiter():
    usage = one(JobName="a|b||c")

    assert (usage.name, usage.state) == ("a|b||c", JobState.DONE)


def test_trailing_delimiter_is_no_field():
    text = "".join(f"{line}|\n" for line in table().splitlines())

    assert parse_sacct(text) == parse_sacct(table())


def test_columns_of_a_fixed_width_are_read():
    text = (
        "JobID           JobName  Partition AllocCPUS      State ExitCode    Elapsed \n"
        "------------ ---------- ---------- --------- ---------- -------- ---------- \n"
        "118            my jo b+      short         2 CANCELLED+      0:0   00:00:10 \n"
        "118.batch         batch                    2  CANCELLED     0:15   00:00:10 \n"
    )
    (usage,) = parse_sacct(text)

    assert (usage.name, usage.state, usage.cores) == ("my jo b+", JobState.CANCELLED, 2)
    assert (usage.wall_s, usage.cpu_s, usage.memory_bytes) == (10.0, None, None)


def test_whole_nodes_have_no_memory_efficiency():
    usage = one({"JobID": "12.batch", "MaxRSS": "1G"}, ReqCPUS="1")

    assert usage.has_whole_nodes
    assert memory_efficiency(usage) is None
    assert not one(ReqCPUS="3").has_whole_nodes


@pytest.mark.parametrize(
    "text", ["", "12|COMPLETED\n", "JobID|State\n", "JobID|State\nx|y\n", "JobID|State\n1\n"]
)
def test_text_without_jobs_is_an_error(text):
    with pytest.raises(AccountingError, match="Cannot read accounting of SLURM") as caught:
        parse_sacct(text)

    assert "sacct" in caught.value.fix


def test_step_that_ran_out_of_memory_is_why_its_job_failed():
    step = {"JobID": "12.0", "State": "OUT_OF_MEMORY", "ExitCode": "0:125"}

    assert one(step, State="FAILED", ExitCode="1:0").state is JobState.OUT_OF_MEMORY
    assert one(step, State="COMPLETED").state is JobState.DONE


def test_signal_that_ended_a_step_is_why_its_job_failed():
    step = {"JobID": "12.0", "State": "FAILED", "ExitCode": "0:11"}
    usage = one(step, State="FAILED", ExitCode="11:0")

    assert (usage.exit_code, usage.signal, usage.native) == (None, 11, "FAILED 11:0")
    assert one(step, State="COMPLETED").signal is None

"""What real schedulers printed, recorded on the test bed, is read rightly."""

from __future__ import annotations

from pathlib import Path

import pytest

from simherd.schedulers import (
    JobState,
    ParallelEnvironment,
    Partition,
    sge_accounting,
    sge_site,
    sge_text,
    slurm_text,
)

DATA = Path(__file__).parent / "data"


def read(name):
    return (DATA / name).read_text()


def states(statuses):
    return {status.job_id: status.state for status in statuses}


def test_squeue_says_where_jobs_and_array_tasks_are_and_why():
    found = {status.job_id: status for status in slurm_text.parse_squeue(read("slurm-22.05.8-squeue.txt"))}

    assert found["12"].state is JobState.CANCELLED
    assert found["8"].state is JobState.DONE
    assert (found["10"].state, found["10"].reason) == (JobState.FAILED, "NonZeroExitCode")
    assert (found["6"].state, found["6"].reason) == (JobState.TIMEOUT, "TimeLimit")
    assert (found["19"].state, found["19"].reason) == (JobState.PENDING, "Dependency")
    assert (found["17"].state, found["17"].reason) == (JobState.HELD, "JobHeldUser")
    assert (found["20_1"].state, found["20_1"].node) == (JobState.RUNNING, "n1")
    assert found["20_[3-4%2]"].state is JobState.PENDING


def test_sacct_says_how_jobs_ended():
    found = {status.job_id: status for status in slurm_text.parse_sacct(read("slurm-22.05.8-sacct.txt"))}

    assert (found["10"].state, found["10"].exit_code) == (JobState.FAILED, 3)
    assert (found["11"].state, found["11"].exit_code) == (JobState.DONE, 0)
    assert (found["12"].state, found["12"].native) == (JobState.CANCELLED, "CANCELLED by 0")
    assert (found["6"].state, found["6"].exit_code) == (JobState.TIMEOUT, None)
    assert found["13_4"].state is JobState.DONE


def test_scontrol_says_how_jobs_ended_where_there_is_no_accounting():
    found = {status.job_id: status for status in slurm_text.parse_job(read("slurm-22.05.8-job.txt"))}

    assert (found["10"].state, found["10"].exit_code) == (JobState.FAILED, 3)
    assert found["6"].state is JobState.TIMEOUT
    assert found["17"].state is JobState.HELD
    assert found["20_1"].state is JobState.RUNNING


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("OUT_OF_MEMORY", JobState.OUT_OF_MEMORY),
        ("NODE_FAIL", JobState.NODE_FAIL),
        ("PREEMPTED", JobState.PREEMPTED),
        ("CANCELLED+", JobState.CANCELLED),
        ("OUT_OF_ME+", JobState.OUT_OF_MEMORY),
        ("C+", None),
        ("CANCELLED by 1000", JobState.CANCELLED),
        ("COMPLETING", JobState.ENDING),
        ("unheard_of", None),
    ],
)
def test_words_of_slurm_are_states(word, state):
    assert slurm_text.read_state(word) is state


def test_scontrol_says_what_partitions_have():
    found = slurm_text.parse_partitions(read("slurm-22.05.8-partition.txt"), read("slurm-22.05.8-node.txt"))

    short = Partition(
        name="short",
        is_default=True,
        max_walltime_s=3600,
        nodes=2,
        cores_per_node=4,
        memory_bytes_per_node=8000 * 1024**2,
    )
    assert found[0] == short
    assert (found[1].name, found[1].max_walltime_s) == ("long", 7 * 86400)


def test_array_jobs_end_before_the_largest_index():
    assert slurm_text.parse_array_limit(read("slurm-22.05.8-config.txt")) == 1000
    assert sge_site.parse_array_limit(read("sge-8.1.9-conf.txt")) == 75000


def test_qstat_says_where_jobs_and_array_tasks_are():
    found = states(sge_text.parse_qstat(read("sge-8.1.9-qstat.xml")))

    assert found == {
        "29": JobState.RUNNING,
        "30": JobState.RUNNING,
        "31": JobState.RUNNING,
        "34": JobState.ENDING,
        "35.1": JobState.RUNNING,
        "35.2-4:1": JobState.PENDING,
        "27": JobState.HELD,
        "28": JobState.HELD,
        "37": JobState.PENDING,
    }


def test_qstat_says_why_jobs_wait():
    reasons = sge_text.parse_reasons(read("sge-8.1.9-qstat-j.txt"))

    assert "can't chdir to /nonexistent" in reasons["27"]
    assert reasons["28"] == "Job is in hold state"
    assert reasons["37"].startswith('cannot run in PE "smp"')


def test_qacct_says_how_jobs_ended():
    found = {status.job_id: status for status in sge_accounting.parse_accounting(read("sge-8.1.9-qacct.txt"))}

    assert (found["33"].state, found["33"].exit_code) == (JobState.DONE, 0)
    assert (found["32"].state, found["32"].exit_code) == (JobState.FAILED, 3)
    assert found["30"].state is JobState.TIMEOUT
    assert found["31"].state is JobState.TIMEOUT
    assert (found["34"].state, found["34"].exit_code) == (JobState.CANCELLED, 137)
    assert {key: status.state for key, status in found.items() if key.startswith("35")} == {
        f"35.{task}": JobState.DONE for task in (1, 2, 3, 4)
    }
    assert "39" not in found  # each of its records says that it runs again


@pytest.mark.parametrize(
    ("code", "state"),
    [
        ("qw", JobState.PENDING),
        ("hqw", JobState.HELD),
        ("hRwq", JobState.HELD),
        ("Rq", JobState.PENDING),
        ("t", JobState.RUNNING),
        ("Rr", JobState.RUNNING),
        ("hr", JobState.RUNNING),
        ("S", JobState.RUNNING),
        ("dr", JobState.ENDING),
        ("dRr", JobState.ENDING),
        ("Eqw", JobState.HELD),
        ("", None),
    ],
)
def test_codes_of_grid_engine_are_states(code, state):
    assert sge_text.read_state(code) is state


def test_qconf_and_qhost_say_what_queues_have():
    hosts = sge_site.parse_hosts(read("sge-8.1.9-hosts.xml"))
    queues = sge_site.parse_queues(read("sge-8.1.9-queue.txt"), hosts)

    assert [host.name for host in hosts] == ["vm"]
    assert queues == (
        Partition(
            name="all.q",
            nodes=1,
            cores_per_node=8,
            memory_bytes_per_node=int(23.5 * 1024**3),
            parallel_environments=("smp", "ib"),
        ),
    )
    assert sge_site.parse_environments(read("sge-8.1.9-environments.txt")) == (
        ParallelEnvironment(name="ib", slots=999, allocation_rule="$fill_up"),
        ParallelEnvironment(name="smp", slots=999, allocation_rule="$pe_slots"),
    )


def test_values_for_single_hosts_count_too():
    text = "qname  big.q\npe_list  smp,[@fast=mpi ib],[@slow=NONE]\nh_rt  01:00:00,[@fast=48:00:00]\n"

    (queue,) = sge_site.parse_queues(text, [])

    assert set(queue.parallel_environments) == {"smp", "mpi", "ib"}
    assert queue.max_walltime_s == 48 * 3600


def test_memory_that_a_site_hands_out_counts_and_not_what_is_built_in():
    (host,) = sge_site.parse_hosts(read("sge-8.1.9-hosts-h_vmem.xml"))

    assert host.books_memory
    assert host.memory_bytes is None
    assert sge_site.parse_capacity(read("sge-8.1.9-host.txt"), "h_vmem") == 64 * 1024**3
    assert sge_site.parse_capacity(read("sge-8.1.9-host.txt"), "mem_free") is None

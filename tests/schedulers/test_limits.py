"""What a site cannot give is named before a job is submitted, with what it can give."""

from __future__ import annotations

import pytest

from simherd.errors import ClusterOptionError
from simherd.schedulers import JobRequest, ParallelEnvironment, Partition, Site, find
from simherd.schedulers.limits import check_request, find_problems

SLURM = Site(
    partitions=(
        Partition(
            name="Short",
            is_default=True,
            max_walltime_s=3600,
            nodes=2,
            cores_per_node=4,
            memory_bytes_per_node=8000 * 1024**2,
        ),
        Partition(name="long", nodes=1, cores_per_node=4),
        Partition(name="closed", is_up=False, nodes=2, cores_per_node=4),
    ),
    max_array_tasks=1000,
)
SGE = Site(
    partitions=(
        Partition(
            name="main.q", max_walltime_s=7200, nodes=2, cores_per_node=8, parallel_environments=("smp", "ib")
        ),
        Partition(name="serial.q", nodes=1, cores_per_node=8, parallel_environments=("smp",)),
    ),
    parallel_environments=(
        ParallelEnvironment(name="smp", slots=64, allocation_rule="$pe_slots"),
        ParallelEnvironment(name="ib", slots=16, allocation_rule="$fill_up"),
        ParallelEnvironment(name="lost", slots=16, allocation_rule="$fill_up"),
    ),
    max_array_tasks=75000,
)

POSSIBLE = [
    ("slurm", JobRequest()),
    ("slurm", JobRequest(queue="Short", nodes=2, ntasks=8, walltime_s=3600, memory_bytes=8000 * 1024**2)),
    ("slurm", JobRequest(queue="Short", nodes=2, ntasks=2, cpus_per_task=4, array_tasks=1000)),
    ("slurm", JobRequest(queue="long", walltime_s=10**6)),
    ("slurm", JobRequest(queue="Short,long", walltime_s=10**6)),
    ("sge", JobRequest()),
    ("sge", JobRequest(ntasks=8, parallel_environment="smp", walltime_s=7200)),
    ("sge", JobRequest(ntasks=16, nodes=2, parallel_environment="ib")),
    ("sge", JobRequest(walltime_s=10**6)),
]

IMPOSSIBLE = {
    "unknown partition": ("slurm", JobRequest(queue="shrt"), ["partition 'shrt' does not exist", "sinfo -s"]),
    "partition down": ("slurm", JobRequest(queue="closed"), ["'closed'", "down or closed"]),
    "walltime": ("slurm", JobRequest(walltime_s=3601), ["1:00:01 h is over the 1:00:00 h", "'Short'"]),
    "nodes": ("slurm", JobRequest(nodes=3, ntasks=3), ["3 nodes are over the 2"]),
    "cores": ("slurm", JobRequest(ntasks=2, cpus_per_task=3), ["need 6 cores of one node, over the 4"]),
    "cores of a task": ("slurm", JobRequest(nodes=2, ntasks=2, cpus_per_task=5), ["need 5 cores"]),
    "memory": ("slurm", JobRequest(memory_bytes=9000 * 1024**2), ["8.8 GiB", "over the 7.8 GiB"]),
    "array": ("slurm", JobRequest(array_tasks=1001), ["1001 tasks is over the site's 1000"]),
    "unknown queue": ("sge", JobRequest(queue="mian.q"), ["Did you mean 'main.q'", "qconf -sql"]),
    "unknown environment": (
        "sge",
        JobRequest(ntasks=2, parallel_environment="mpi"),
        ["parallel environment 'mpi' does not exist", "'ib', 'lost', 'smp'"],
    ),
    "no environment": ("sge", JobRequest(ntasks=2), ["books one slot", "'smp', 'ib'"]),
    "environment of no queue": (
        "sge",
        JobRequest(ntasks=2, parallel_environment="lost"),
        ["'lost' is not for the queue 'main.q', which takes 'smp', 'ib'"],
    ),
    "slots of a host": (
        "sge",
        JobRequest(ntasks=9, parallel_environment="smp"),
        ["need 9 cores of one node"],
    ),
    "slots": ("sge", JobRequest(ntasks=17, parallel_environment="ib"), ["17 slots are over the 16"]),
    "hosts": (
        "sge",
        JobRequest(nodes=2, ntasks=4, parallel_environment="smp"),
        ["keeps a job on one host", "'ib'"],
    ),
    "walltime of a queue": ("sge", JobRequest(queue="main.q", walltime_s=7201), ["over the 2:00:00 h"]),
}


def site_of(name):
    return {"slurm": SLURM, "sge": SGE}[name]


@pytest.mark.parametrize(("name", "request_"), POSSIBLE)
def test_what_is_possible_passes(name, request_):
    assert find_problems(request_, site_of(name), name) == []


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_what_is_impossible_is_one_problem_that_says_what_is_possible(case):
    name, request, texts = IMPOSSIBLE[case]

    problems = find_problems(request, site_of(name), find(name))
    with pytest.raises(ClusterOptionError) as caught:
        check_request(request, site_of(name), name)

    assert len(problems) == 1
    assert all(text in str(caught.value) for text in texts), str(caught.value)
    is_unknown = "does not exist" in problems[0]
    assert str(caught.value.fix).startswith("choose one that exists;" if is_unknown else "ask for less;")


def test_all_problems_stand_in_one_error():
    request = JobRequest(queue="Short", nodes=3, ntasks=30, walltime_s=10**6, array_tasks=10**6)

    assert len(find_problems(request, SLURM, "slurm")) == 4


def test_a_site_that_tells_nothing_forbids_nothing():
    assert find_problems(JobRequest(queue="any", ntasks=10**6), Site(), "slurm") == []


def test_an_unknown_batch_scheduler_is_an_error_with_those_there_are():
    with pytest.raises(ClusterOptionError, match=r"'slrum' is not known\. Did you mean 'slurm'"):
        find("slrum")

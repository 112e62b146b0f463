"""What is found on a machine, judged by functions of plain data."""

from __future__ import annotations

import pytest

from simherd.doctor import Verdict, examine_machine
from simherd.doctor.hosting import kills_at_logout
from simherd.doctor.mpi import family_of, look_at_pair
from simherd.doctor.network import Interface, look_at_address, look_at_interfaces
from simherd.doctor.resources import look_at_cores, look_at_memory, look_at_scratch, look_at_threads
from simherd.doctor.schedulers import describe_partition, look_at_site
from simherd.doctor.software import look_at_versions
from simherd.schedulers import ParallelEnvironment, Partition, Site, find

GIB = 2**30
LO = Interface(name="lo", addresses=("127.0.0.1",), speed_mbit=0)
IB = Interface(name="ib0", addresses=("10.0.0.2",), speed_mbit=100_000)
OPEN_MPI = "mpirun (Open MPI) 4.1.4\n\nReport bugs to http://www.open-mpi.org/community/help/"
HYDRA = "HYDRA build details:\n    Version:                                 4.2.1"
INTEL = "Intel(R) MPI Library for Linux* OS, Version 2021.11 Build 20231005"
OPEN_MPI_LIBRARY = "Open MPI v4.1.4, package: Debian OpenMPI, ident: 4.1.4, repo rev: v4.1.4, May 26, 2022"
MPICH_LIBRARY = "MPICH Version:      5.0.2\nMPICH Release date: ..."


def test_every_thing_on_this_machine_has_a_topic_a_text_and_plain_data():
    import json

    found = list(examine_machine())

    assert {"Python", "packages", "cores", "memory", "threads", "scratch", "MPI", "network", "tmux"} <= {
        one.topic for one in found
    }
    assert all(one.text for one in found)
    assert json.dumps([dict(one.data) for one in found])


def test_what_keeps_cores_from_being_used_is_named():
    all_of_them = look_at_cores(8, {"affinity": 8})
    few = look_at_cores(8, {"affinity": 8, "control group": 2, "SLURM_CPUS_PER_TASK": 2})

    assert (all_of_them.verdict, all_of_them.text) == (Verdict.FINE, "8 usable: all of this machine")
    assert few.verdict is Verdict.NOTE
    assert few.text == "2 usable of 8 that the machine has: limited by control group, SLURM_CPUS_PER_TASK"
    assert few.data["usable"] == 2


def test_what_keeps_memory_from_being_used_is_named():
    assert look_at_memory({"machine": 8 * GIB}).verdict is Verdict.FINE
    found = look_at_memory({"machine": 8 * GIB, "control group": 2 * GIB})
    assert (found.verdict, found.text) == (
        Verdict.NOTE,
        "2.0 GiB usable of 8.0 GiB: limited by control group",
    )


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        ({}, Verdict.FINE),
        ({"OMP_NUM_THREADS": "4"}, Verdict.FINE),
        ({"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "5"}, Verdict.NOTE),
        ({"OMP_NUM_THREADS": "4,2"}, Verdict.NOTE),
    ],
)
def test_more_threads_than_cores_are_noted(given, verdict):
    found = look_at_threads(given, 4)

    assert found.verdict is verdict
    assert ("MKL_NUM_THREADS" in found.fix) == ("MKL_NUM_THREADS" in given)


@pytest.mark.parametrize(
    ("free", "file_system", "verdict", "words"),
    [
        (9 * GIB, "ext4", Verdict.FINE, "/tmp: 9.0 GiB free on ext4"),
        (9 * GIB, "tmpfs", Verdict.NOTE, "what is put there takes memory"),
        (9 * GIB, "nfs4", Verdict.NOTE, "it is shared with other machines"),
        (1000, "ext4", Verdict.WRONG, "which is little"),
    ],
)
def test_scratch_that_is_small_shared_or_memory_is_told(free, file_system, verdict, words):
    found = look_at_scratch("/tmp", free, file_system)

    assert found.verdict is verdict
    assert words in found.text


def test_versions_that_do_not_fit_are_wrong_and_what_is_missing_says_how_to_get_it():
    same = {"dask": "2026.8.0", "distributed": "2026.8.0"}
    (fine,) = look_at_versions(same)
    _, wrong = look_at_versions({**same, "dask": "2026.7.0"})
    _, absent = look_at_versions({**same, "bokeh": None, "mpi4py": None, "cryptography": None})

    assert fine.verdict is Verdict.FINE
    assert (wrong.verdict, wrong.fix) == (Verdict.WRONG, "pip install --upgrade dask distributed")
    assert (absent.verdict, absent.fix) == (Verdict.ABSENT, "pip install 'simherd[mpi,plot]' cryptography")


@pytest.mark.parametrize(
    ("text", "family"),
    [
        (OPEN_MPI, "Open MPI"),
        (OPEN_MPI_LIBRARY, "Open MPI"),
        (HYDRA, "MPICH"),
        (MPICH_LIBRARY, "MPICH"),
        (INTEL, "Intel MPI"),
        ("something else", None),
        ("", None),
    ],
)
def test_versions_tell_which_mpi_they_are_of(text, family):
    assert family_of(text) == family


@pytest.mark.parametrize(
    ("launcher", "said", "has_package", "library", "verdicts"),
    [
        ("mpirun", OPEN_MPI, True, OPEN_MPI_LIBRARY, [Verdict.FINE]),
        ("mpirun", INTEL, True, MPICH_LIBRARY, [Verdict.FINE]),
        ("mpirun", OPEN_MPI, True, MPICH_LIBRARY, [Verdict.WRONG]),
        ("mpirun", HYDRA, True, OPEN_MPI_LIBRARY, [Verdict.WRONG]),
        ("mpirun", "strange", True, OPEN_MPI_LIBRARY, [Verdict.NOTE]),
        ("mpirun", OPEN_MPI, True, None, [Verdict.WRONG]),
        ("mpirun", OPEN_MPI, False, None, [Verdict.ABSENT]),
        (None, None, True, OPEN_MPI_LIBRARY, [Verdict.ABSENT]),
        (None, None, True, None, [Verdict.ABSENT, Verdict.ABSENT]),
        (None, None, False, None, [Verdict.ABSENT, Verdict.ABSENT]),
    ],
)
def test_a_launcher_must_be_of_the_library(launcher, said, has_package, library, verdicts):
    found = list(look_at_pair(launcher, said, has_package, library))

    assert [one.verdict for one in found] == verdicts
    assert all(one.fix for one in found if one.verdict is Verdict.WRONG)


def test_without_mpi4py_one_reads_how_to_install_it():
    (found,) = look_at_pair("mpirun", OPEN_MPI, False, None)

    assert found.fix == "pip install 'simherd[mpi]'"


def test_a_machine_that_others_cannot_reach_is_noted():
    assert look_at_interfaces([LO, IB]).verdict is Verdict.FINE
    assert look_at_interfaces([LO, IB]).text == "lo (127.0.0.1), ib0 (10.0.0.2, 100 Gbit/s)"
    assert look_at_interfaces([LO]).verdict is look_at_interfaces([]).verdict is Verdict.NOTE
    assert look_at_address("10.0.0.2", [LO, IB]).text.endswith("connect to 10.0.0.2 (ib0)")
    assert look_at_address("127.0.0.1", [LO]).verdict is Verdict.NOTE


def test_what_a_batch_scheduler_has_is_described():
    short = Partition(
        name="short",
        is_default=True,
        max_walltime_s=3600,
        nodes=2,
        cores_per_node=4,
        memory_bytes_per_node=GIB,
    )
    assert describe_partition(short) == "short (default, 2 nodes, 4 cores, 1.0 GiB, up to 01:00:00)"
    environment = ParallelEnvironment(name="smp", slots=8, allocation_rule="$pe_slots")
    site = Site(partitions=(short,), parallel_environments=(environment,))

    answers, environments = look_at_site(find("sge"), site)
    *_, wrong = look_at_site(find("slurm"), Site(partitions=(Partition(name="a", is_up=False),)))

    assert answers.text.startswith("answers; queues: short (")
    assert environments.text == "parallel environments: smp ($pe_slots)"
    assert (wrong.verdict, wrong.text) == (Verdict.WRONG, "there is no partition whose jobs start")


@pytest.mark.parametrize(
    ("texts", "kills"),
    [
        ([], False),
        (["#KillUserProcesses=yes\n"], False),
        (["[Login]\nKillUserProcesses=yes\n"], True),
        (["KillUserProcesses = true\n", "KillUserProcesses=no\n"], False),
    ],
)
def test_the_last_setting_of_logind_counts(texts, kills):
    assert kills_at_logout(texts) is kills

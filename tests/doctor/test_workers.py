"""What the workers of a cluster say of themselves, and what is wrong with it."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import pytest

from simherd.doctor import Verdict
from simherd.doctor.workers import (
    Worker,
    examine_workers,
    look_at_host,
    look_at_threads_of,
    look_at_versions_of,
    look_at_worker,
)
from simherd.thread_use import ThreadUse

GOOD = Worker(
    name="w",
    address="tcp://10.0.0.2:1",
    host="n1",
    threads=2,
    cores=2,
    limited_by="affinity",
    memory_limit=2**30,
    memory_held=2**28,
    is_paused=False,
    versions={"python": "3.11.7", "numpy": "2.4.6"},
    guards={"OMP_NUM_THREADS": "1"},
    use=ThreadUse(worker="w", place="n1 x", tasks=2, cores=2, shared_cores=2, libraries={"openblas": 1}),
)


def with_libraries(**libraries: int) -> Worker:
    return replace(GOOD, use=replace(GOOD.use, libraries=libraries))


def test_a_worker_with_guards_is_fine():
    (found,) = look_at_worker(GOOD)

    assert found.verdict is Verdict.FINE
    assert found.text == "w on n1 (tcp://10.0.0.2:1): 2 threads, 2 usable cores (affinity), 1.0 GiB"


def test_libraries_with_more_threads_than_cores_are_named():
    (found,) = look_at_threads_of([with_libraries(openblas=1, openmp=2)])

    assert found.verdict is Verdict.WRONG
    assert found.text.startswith(
        "Worker w on n1: openmp runs 2 threads in each of 2 simulations at once, on 2"
    )


def test_threads_that_fill_the_cores_are_fine():
    assert list(look_at_threads_of([with_libraries(openblas=1)])) == []


def test_paused_worker_is_named():
    _, found = look_at_worker(replace(GOOD, is_paused=True, memory_held=900 * 2**20))

    assert found.verdict is Verdict.WRONG
    assert found.text == "w is paused and begins no simulation: it holds 900.0 MiB of 1.0 GiB"


@pytest.mark.cluster
def test_hanging_worker_does_not_keep_others_from_answering(two_workers, monkeypatch):
    monkeypatch.setattr("simherd.doctor.workers.ANSWER_S", 1.0)
    hanging, process = next(iter(two_workers.run(os.getpid).items()))
    os.kill(process, signal.SIGSTOP)
    try:
        found = list(examine_workers(two_workers))
    finally:
        os.kill(process, signal.SIGCONT)

    (silent,) = (one for one in found if one.verdict is Verdict.WRONG)
    assert silent.text == f"{hanging} cannot say what it is: TimeoutError: no answer within 1 s"
    assert sum(one.topic == "worker" for one in found) == 2


def test_a_worker_without_guard_is_noted():
    _, found = look_at_worker(replace(GOOD, guards={}))

    assert found.verdict is Verdict.NOTE


def test_other_versions_on_workers_are_named():
    workers = [GOOD, replace(GOOD, name="x", versions={"python": "3.11.7", "numpy": None})]

    (found,) = look_at_versions_of(workers, {"python": "3.11.7", "numpy": "2.4.6"})

    assert (found.verdict, found.text) == (Verdict.WRONG, "numpy is 2.4.6 here and None on 1 worker")
    assert "'activation' in section simherd of jobqueue.yaml" in found.fix
    assert "'python: python'" in found.fix
    assert "a prologue alone does not change the Python of workers" in found.fix


def test_more_threads_than_the_cores_of_a_machine_are_noted():
    assert look_at_host("n1", [GOOD]).verdict is Verdict.FINE
    assert look_at_host("n1", [GOOD, GOOD]).verdict is Verdict.NOTE
    by_job = replace(GOOD, limited_by="SLURM_CPUS_PER_TASK")
    assert look_at_host("n1", [by_job, by_job]).verdict is Verdict.FINE


@pytest.mark.cluster
def test_the_workers_of_a_local_cluster_are_fine(two_workers):
    found = list(examine_workers(two_workers))

    assert [one.topic for one in found] == ["worker", "worker", "machine"]
    assert {one.verdict for one in found} == {Verdict.FINE}
    assert found[0].data["guards"]["OMP_NUM_THREADS"] == "1"


@pytest.mark.cluster
def test_a_cluster_without_workers_is_wrong():
    from distributed import LocalCluster

    with LocalCluster(n_workers=0, dashboard_address=":0") as cluster, cluster.get_client() as client:
        (found,) = examine_workers(client)

    assert (found.verdict, found.text) == (Verdict.WRONG, "the cluster has none")

"""Thread guards: what they set, what they hold, and what is said where libraries have more threads."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import cloudpickle
import numpy as np
import pytest

import simherd as sh
from simherd.thread_use import ThreadUse, overused, thread_use
from simherd.threads import (
    ASKED,
    GUARD_VARIABLES,
    guard_environment,
    guard_task,
    guard_threads,
    guarded_here,
    guarding,
)

# Worker processes cannot import this file: its classes travel by value.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def blas_threads() -> int:
    """Return the threads of NumPy's BLAS as this thread sees them."""
    from threadpoolctl import threadpool_info

    return max(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")


@pytest.fixture
def two_blas_threads(monkeypatch):
    """Give NumPy two threads, and no guard, as in a worker that others started."""
    from threadpoolctl import threadpool_limits

    monkeypatch.delenv(ASKED, raising=False)
    np.ones((2, 2)) @ np.ones((2, 2))
    with threadpool_limits(2, user_api="blas"):
        if blas_threads() != 2:
            pytest.skip("NumPy's BLAS has one thread only")
        yield


def test_all_guards_have_the_value_that_was_asked():
    found = guard_environment(3)

    assert set(GUARD_VARIABLES) < set(found)
    assert set(found.values()) == {"3"}


def test_one_thread_is_what_simulations_have_unless_more_are_asked():
    assert guard_environment()["OMP_NUM_THREADS"] == "1"
    with guarding(2):
        assert guard_threads() == 2
        assert guard_environment()["OMP_NUM_THREADS"] == "2"
    assert guard_threads() == 1


def test_a_worker_knows_from_its_environment_what_was_asked(monkeypatch):
    monkeypatch.setattr("simherd.threads._asked", [])  # clusters of other tests may be open
    monkeypatch.setenv(ASKED, "4")

    assert guard_threads() == 4


def test_the_guards_hold_for_libraries_that_are_loaded_after_them():
    code = "import numpy, threadpoolctl; print([p['num_threads'] for p in threadpoolctl.threadpool_info()])"
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **guard_environment()},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert set(found.stdout.strip().strip("[]").split(", ")) == {"1"}


def test_simulations_here_have_as_many_threads_as_those_in_workers(two_blas_threads):
    with guarded_here():
        assert blas_threads() == 1
    assert blas_threads() == 2


def test_tasks_hold_libraries_that_were_loaded_without_guards(two_blas_threads):
    guard_task()

    assert blas_threads() == 1


def test_a_worker_with_guards_is_left_alone(monkeypatch, two_blas_threads):
    monkeypatch.setenv(ASKED, "2")

    guard_task()

    assert blas_threads() == 2


def test_what_a_task_may_use_is_seen_from_inside(two_blas_threads):
    use = thread_use("w", 3)

    assert use.tasks == 3
    assert use.cores == use.shared_cores == len(os.sched_getaffinity(0))
    assert max(use.libraries.values()) == 2
    assert ThreadUse.from_message(use.as_message()) == use


def use(worker: str, *, cores: int = 8, shared: int = 8, place: str = "n1 a", **others: object) -> ThreadUse:
    given = {"tasks": 1, "libraries": {"openblas": 1}, **others}
    return ThreadUse(worker=worker, place=place, cores=cores, shared_cores=shared, **given)


@pytest.mark.parametrize(
    ("uses", "over"),
    [
        ([use("a"), use("b")], set()),
        ([use("a", libraries={"openblas": 8})], set()),
        ([use("a", libraries={"openblas": 8}, tasks=2)], {"a"}),
        ([use(name, libraries={"openblas": 4}) for name in "ab"], set()),
        ([use(name, libraries={"openblas": 4}) for name in "abc"], {"a", "b", "c"}),
        ([use(name, libraries={"openblas": 8}, place=f"n{name} x") for name in "ab"], set()),
        ([use(name, cores=2, libraries={"openblas": 2}) for name in "abcd"], set()),
        ([use("a", cores=2, libraries={"openblas": 4})], {"a"}),
        ([use(name, cores=1, shared=1) for name in "abcd"], set()),
    ],
)
def test_only_libraries_with_more_threads_than_cores_are_named(uses, over):
    assert {worker for worker, _ in overused(uses)} == over


def test_worker_library_and_threads_are_named():
    (sentence,) = overused([use("rank 3", libraries={"openblas (lib.so)": 16}, tasks=2)]).values()

    assert sentence.startswith(
        "Worker rank 3 on n1: openblas (lib.so) runs 16 threads in each of 2 simulations at once, on 8 cores"
    )


@sh.process
class LoadsLate:
    """Loads a numerical library in the middle of a simulation."""

    seed = sh.variable(default=1.0)
    norm = sh.variable(intent="out")

    def initialize(self):
        import scipy.linalg

        self.norm = float(scipy.linalg.norm(np.eye(3)) * self.seed)

    def run_step(self):
        pass


@sh.process
class CountsThreads:
    """Says how many threads a simulation has."""

    seed = sh.variable(default=1.0)
    threads = sh.variable(intent="out")

    def initialize(self):
        self.threads = blas_threads()

    def run_step(self):
        pass


@pytest.mark.cluster
def test_a_library_that_no_guard_reached_is_a_warning_that_names_it():
    from distributed import Client, LocalCluster

    model = sh.Model({"late": LoadsLate})
    setup = sh.create_setup(
        model,
        clocks={"time": [0, 1]},
        input_vars={"late__seed": ("member", [1.0, 2.0])},
        output_vars={"late__norm": None},
    )
    free = dict.fromkeys(GUARD_VARIABLES, "64")
    options = {"n_workers": 1, "threads_per_worker": 2, "env": free, "dashboard_address": "127.0.0.1:0"}
    said = r"Worker 0 on .*: openblas .* runs \d+ threads in each of 2 simulations"
    with LocalCluster(**options) as cluster, Client(cluster) as client, pytest.warns(RuntimeWarning) as seen:
        sh.run(setup, model, batch_dim="member", parallel=True, scheduler=client)

    assert [1 for warning in seen if re.match(said, str(warning.message))] == [1]


@pytest.mark.cluster
def test_provenance_says_how_many_threads_simulations_had(walk):
    setup = walk.setup([1.0, 2.0])
    one = sh.run(setup, walk.model, batch_dim="member", parallel=False)
    with guarding(2):
        two = sh.run(setup, walk.model, batch_dim="member", parallel=False)

    assert one.attrs["threads_per_simulation"] == 1
    assert two.attrs["threads_per_simulation"] == 2


@pytest.mark.cluster
def test_workers_that_are_threads_are_guarded_and_give_the_threads_back(two_blas_threads):
    model = sh.Model({"counts": CountsThreads})
    setup = sh.create_setup(
        model,
        clocks={"time": [0, 1]},
        input_vars={"counts__seed": ("member", [1.0, 2.0])},
        output_vars={"counts__threads": None},
    )
    with sh.open_client("local", workers=1, threads_per_worker=2, processes=0) as client:
        found = sh.run(setup, model, batch_dim="member", parallel=True, scheduler=client)

    assert found.counts__threads.values.tolist() == [1, 1]
    assert blas_threads() == 2

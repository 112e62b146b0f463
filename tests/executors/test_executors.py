"""One contract that every executor keeps, and what each has of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent import futures
from contextlib import ExitStack, nullcontext

import cloudpickle
import pytest
from distributed.comm.core import CommClosedError

from simherd.clusters import open_client
from simherd.errors import ClusterError, SetupError
from simherd.executors.choose import choose_executor
from simherd.executors.client import ClientExecutor
from simherd.executors.deferred import DeferredExecutor
from simherd.executors.payload import pack
from simherd.executors.pool import PoolExecutor, thread_pool
from simherd.executors.processes import ProcessExecutor
from simherd.executors.serial import SerialExecutor

FACTORIES = {
    "serial": lambda request: SerialExecutor(),
    "threads": lambda request: request.getfixturevalue("threads"),
    "processes": lambda request: request.getfixturevalue("processes"),
    "client": lambda request: ClientExecutor(request.getfixturevalue("two_workers")),
}
PARALLEL = ["threads", "processes", pytest.param("client", marks=pytest.mark.cluster)]

# Worker processes cannot import this file, as they can the modules of simherd: it travels by value.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.fixture(scope="module")
def threads():
    with thread_pool(2) as executor:
        yield executor


@pytest.fixture(scope="module")
def processes():
    with ProcessExecutor(2) as executor:
        yield executor


@pytest.fixture(params=["serial", *PARALLEL])
def executor(request):
    return FACTORIES[request.param](request)


@pytest.fixture(params=PARALLEL)
def parallel_executor(request):
    return FACTORIES[request.param](request)


@pytest.fixture
def calling():
    """Return a task function from an importable module that calls what is shared: ``shared(item)``."""
    from operator import call as builtin_call

    return builtin_call


def test_every_item_gives_one_result(executor, calling):
    assert sorted(executor.map(calling, lambda item: item * 10, range(20))) == list(range(0, 200, 10))


def test_no_items_give_no_results(executor, calling):
    assert list(executor.map(calling, abs, [])) == []


def test_an_executor_maps_again_and_again(executor, calling):
    assert [sorted(executor.map(calling, abs, [-1, 2])) for _ in range(3)] == [[1, 2]] * 3


def test_an_error_reaches_the_caller_as_it_is(executor, calling):
    def fail(item):
        raise KeyError("three")

    with pytest.raises(KeyError, match="three"):
        list(executor.map(calling, fail, range(5)))

    assert list(executor.map(calling, abs, [-7])) == [7]


def test_a_payload_is_unpacked_on_arrival(parallel_executor, calling):
    if not parallel_executor.crosses_processes:
        pytest.skip("threads share the object itself")

    assert list(parallel_executor.map(calling, pack(abs), [-3])) == [3]


def test_items_are_drawn_as_workers_take_them(parallel_executor, calling):
    drawn = []

    def items():
        for item in range(40):
            drawn.append(item)
            yield item

    results = parallel_executor.map(calling, abs, items())
    for number, _ in enumerate(results, start=1):
        assert len(drawn) <= number + 3 * parallel_executor.workers


def test_closing_the_iterator_drops_what_has_not_started(parallel_executor, calling, tmp_path):
    def leave_a_file(item):
        time.sleep(0.05)
        (tmp_path / str(item)).touch()

    results = parallel_executor.map(calling, leave_a_file, range(100))
    next(results)
    results.close()
    time.sleep(0.5)

    assert len(list(tmp_path.iterdir())) <= 3 * parallel_executor.workers


def test_two_items_run_at_the_same_time(parallel_executor, calling, tmp_path):
    def meet(item):
        (tmp_path / str(item)).touch()
        deadline = time.monotonic() + 10
        while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        return len(list(tmp_path.iterdir()))

    assert list(parallel_executor.map(calling, meet, range(2))) == [2, 2]


def test_programs_of_a_task_do_not_ignore_signals(executor, calling):
    def end_a_program(number):
        with subprocess.Popen(["sleep", "60"]) as program:
            program.send_signal(number)
            return program.wait(10)

    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2]
    assert sorted(executor.map(calling, end_a_program, numbers)) == sorted(-number for number in numbers)


def test_worker_processes_are_others_than_this(processes, calling):
    pids = set(processes.map(calling, lambda item: os.getpid(), range(8)))

    assert os.getpid() not in pids
    assert len(pids) <= 2


@pytest.mark.parametrize(
    ("name", "description"),
    [
        ("threads", "2 threads"),
        ("threading", "2 threads"),
        ("processes", "2 worker processes"),
        ("multiprocessing", "2 worker processes"),
        ("sync", "this process, one after another"),
        ("synchronous", "this process, one after another"),
        ("single-threaded", "this process, one after another"),
        ("Threads", "2 threads"),
    ],
)
def test_dask_s_names_are_accepted(name, description):
    with choose_executor(True, name, workers=2) as executor:
        assert executor.description == description


def test_not_parallel_is_serial_whatever_the_scheduler():
    assert isinstance(choose_executor(False, "processes"), SerialExecutor)


def test_an_unknown_scheduler_comes_with_the_close_match():
    with pytest.raises(SetupError, match=r"Did you mean .*'threads'"):
        choose_executor(True, "thread")


def test_what_is_no_scheduler_is_an_error():
    with pytest.raises(SetupError, match="scheduler=3 is not a scheduler"):
        choose_executor(True, 3)


def test_a_given_pool_is_used_and_stays_open(calling):
    with futures.ThreadPoolExecutor(3) as pool:
        with choose_executor(True, pool) as executor:
            assert list(executor.map(calling, abs, [-1])) == [1]
            assert executor.workers == 3
            assert not executor.crosses_processes

        assert pool.submit(abs, -1).result() == 1


def test_a_given_process_pool_gets_pickled_calls(calling):
    with futures.ProcessPoolExecutor(1) as pool, choose_executor(True, pool) as executor:
        assert executor.crosses_processes
        assert list(executor.map(calling, lambda item: item + 1, [1])) == [2]


@pytest.mark.cluster
def test_a_client_is_used_and_stays_open(two_workers, calling):
    with choose_executor(True, two_workers) as executor:
        assert isinstance(executor, ClientExecutor)
        assert executor.workers == 2

    assert two_workers.submit(abs, -1).result() == 1


@pytest.mark.cluster
def test_the_active_client_comes_before_the_configuration(two_workers):
    import dask

    with two_workers.as_current(), dask.config.set(scheduler="threads"):
        assert choose_executor(True).client is two_workers


def test_an_active_client_that_is_asked_for_and_not_there_is_an_error(script):
    done = script("""
from simherd.errors import SetupError
from simherd.executors.choose import choose_executor
try:
    choose_executor(True, "distributed")
except SetupError as error:
    print(error)
""")

    assert "there is no active client" in done.stdout, done.stderr


def test_without_a_client_the_configuration_decides_and_else_processes(script):
    done = script("""
import dask
from simherd.executors.choose import choose_executor
import distributed
with choose_executor(True, workers=2) as executor:
    print(executor.description)
with dask.config.set(scheduler="threads"), choose_executor(True, workers=2) as executor:
    print(executor.description)
""")

    assert done.stdout.splitlines() == ["2 worker processes", "2 threads"], done.stderr


@pytest.mark.cluster
def test_a_client_without_workers_is_an_error_in_the_end(tmp_path, monkeypatch):
    import dask
    from distributed import LocalCluster

    monkeypatch.setattr("simherd.executors.client.WORKER_TIMEOUT_S", 0.2)
    with (
        dask.config.set({"temporary-directory": str(tmp_path)}),
        LocalCluster(n_workers=0, dashboard_address=":0") as cluster,
        cluster.get_client() as client,
        pytest.raises(ClusterError, match=r"No worker connected to .* within 0\.2 s"),
    ):
        ClientExecutor(client)


def test_an_interrupt_does_not_wait_for_what_runs(calling):
    started = time.monotonic()

    def interrupted():
        with ProcessExecutor(1) as executor:
            next(executor.map(calling, time.sleep, [0.0, 60.0]))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert time.monotonic() - started < 20


def test_pools_are_described_in_words():
    assert PoolExecutor(None, 1, "1 thread", False).description == "1 thread"
    with thread_pool(1) as one, thread_pool(2) as two:
        assert (one.description, two.description) == ("1 thread", "2 threads")


@pytest.mark.parametrize("kind", ["processes", pytest.param("client", marks=pytest.mark.cluster)])
def test_workers_that_die_are_one_clear_error(kind, calling):
    def die(item):
        os._exit(3)

    with ExitStack() as stack:
        if kind == "processes":
            executor = stack.enter_context(ProcessExecutor(1))
        else:
            executor = ClientExecutor(stack.enter_context(open_client("local", workers=1)))
        with pytest.raises(ClusterError, match="A worker process ended while it ran"):
            list(executor.map(calling, die, [0]))


@pytest.mark.cluster
def test_a_scheduler_that_goes_away_while_a_result_is_fetched_is_named(two_workers, calling, monkeypatch):
    async def gather(keys):
        raise CommClosedError("in <TCP>: Stream is closed")

    monkeypatch.setattr(two_workers.scheduler, "gather", gather, raising=False)

    with pytest.raises(ClusterError, match=r"connection to the Dask scheduler at .* was lost: .*closed"):
        list(ClientExecutor(two_workers).map(calling, abs, [-1]))


def test_thread_guards_reach_worker_processes_and_stay_out_of_this_one(monkeypatch, calling):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)

    with ProcessExecutor(2) as executor:
        found = list(executor.map(calling, os.getenv, ["OMP_NUM_THREADS", "MKL_NUM_THREADS"]))

    assert found == ["1", "1"]
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ


def test_workers_are_started_as_far_as_the_work_pays_for_them(calling):
    with ProcessExecutor(4, is_most=True) as executor:
        assert list(executor.map(calling, abs, [-1])) == [1]
        executor.expect(2.5)
        assert executor.description == "2 worker processes"
        first, second = (worker.is_started for worker in executor._workers)
        assert (first, second) == (True, False)

        executor.expect(0.1)
        assert executor.workers == 1
        assert list(executor.map(calling, abs, [-1, -2])) == [1, 2]


def test_workers_that_were_asked_for_stay():
    executor = ProcessExecutor(4)

    executor.expect(0.1)

    assert executor.workers == 4


@pytest.mark.parametrize(("seconds", "opened"), [(0.5, 0), (100.0, 1), (None, 1)])
@pytest.mark.cluster
def test_a_cluster_is_opened_only_for_work_that_is_worth_it(two_workers, calling, seconds, opened):
    clients = []

    def open_client():
        clients.append(two_workers)
        return nullcontext(two_workers)

    with DeferredExecutor(open_client) as executor:
        assert list(executor.map(calling, abs, [-1])) == [1]
        executor.expect(seconds)
        assert sorted(executor.map(calling, abs, [-1, -2])) == [1, 2]
        assert (executor.workers, len(clients)) == (1 + opened, opened)
        assert ("too little work" in executor.description) is not bool(opened)


def written_bytes():
    with open("/proc/self/io") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("wchar"))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts bytes as Linux tells them")
def test_what_is_shared_travels_once_to_each_worker_process(calling):
    size, data = 20 * 2**20, os.urandom(20 * 2**20)

    def shared(item):
        return len(data) + item

    with ProcessExecutor(2) as executor:
        before = written_bytes()
        results = sorted(executor.map(calling, shared, range(20)))
        written = written_bytes() - before

    assert results == list(range(size, size + 20))
    assert written < 2.1 * size


def test_a_payload_whose_item_was_dropped_travels_again(calling, tmp_path):
    def waits(item):
        while item == 0 and not (tmp_path / "go").exists():
            time.sleep(0.01)
        return item

    other = pack(lambda item: -item)
    with ProcessExecutor(1) as executor, executor.tasks(calling, pack(waits)) as tasks:
        for item in (0, 1, 2, 3):
            tasks.submit(item)
        with executor.tasks(calling, other) as dropped:
            dropped.submit(5)
        (tmp_path / "go").touch()
        while tasks.running:
            tasks.finished()

        assert list(executor.map(calling, other, [7])) == [-7]


@pytest.mark.cluster
def test_what_is_shared_travels_once_to_each_worker_of_a_cluster(two_workers, calling):
    size, data = 20 * 2**20, os.urandom(20 * 2**20)

    def shared(item):
        return len(data) + item

    def received():
        return two_workers.run(
            lambda dask_worker: sum(one["total"] for one in dask_worker.transfer_incoming_log)
        )

    before = received()
    results = sorted(ClientExecutor(two_workers).map(calling, shared, range(40)))
    between_workers = sum(received().values()) - sum(before.values())

    assert results == list(range(size, size + 40))
    assert between_workers < 1.1 * size


def test_a_thread_that_a_task_leaves_behind_keeps_no_pool(calling):
    def leave_a_thread(item):
        threading.Thread(target=time.sleep, args=[600]).start()
        return item

    started = time.monotonic()
    with ProcessExecutor(2) as executor:
        assert sorted(executor.map(calling, leave_a_thread, range(2))) == [0, 1]

    assert time.monotonic() - started < 60

"""The contract: what tasks are called with, what comes back, and what is shared."""

from __future__ import annotations

import functools
import inspect
import multiprocessing
import os
import subprocess
import sys
import threading
import time

import numpy as np
import psutil
import pytest

import simherd as sh
from simherd.errors import ParallelArgumentError, ParallelizerError


def add(x, y=0, *rest, **named):
    return (x, y, rest, named)


def test_results_are_in_the_order_of_arguments(anywhere):
    def task(number):
        time.sleep(0.002 * (number % 3))
        return number, "a"

    assert sh.parallelize(task, range(40), **anywhere) == [(number, "a") for number in range(40)]


def test_arguments_reach_tasks_as_written(anywhere):
    results = sh.parallelize(
        add, [(1, 2), 3, [4]], {"z": "abc"}, args=["last"], kwargs={"k": 1, "z": "lost"}, m=2, **anywhere
    )

    assert results == [
        (1, 2, ("last",), {"k": 1, "m": 2, "z": "a"}),
        (3, "last", (), {"k": 1, "m": 2, "z": "b"}),
        ([4], "last", (), {"k": 1, "m": 2, "z": "c"}),
    ]


def test_number_of_tasks_passes_nothing(anywhere):
    assert sh.parallelize(lambda: "x", 3, **anywhere) == ["x", "x", "x"]


@pytest.mark.parametrize(
    "name",
    [
        "serial", "serial-copy", "thread", "threadpool", "thread-copy", "default", "robust", "multiprocess",
        "multiprocessing", "fast", "concurrent", "concurrent.futures", "futures", "async", "robust-async",
        "multiprocessing-async",
    ],
)  # fmt: skip
def test_names_of_sciris_are_known(name):
    assert sh.parallelize(lambda x: 2 * x, [1, 2], parallelizer=name, ncpus=2) == [2, 4]


@pytest.mark.parametrize("name", ["", "copy", "Serial", "slrm", 3, "fast-copy"])
def test_unknown_parallelizer_is_a_key_error_that_lists_what_there_is(name):
    with pytest.raises(ParallelizerError, match=r"choose one of serial|leave out") as caught:
        sh.Parallel(abs, [1], parallelizer=name)

    assert isinstance(caught.value, KeyError)


def test_any_map_is_a_parallelizer():
    import multiprocessing

    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert sh.parallelize(abs, [-1, -2], parallelizer=pool.map) == [1, 2]
        assert sh.parallelize(abs, [-1, -2], parallelizer=pool.imap) == [1, 2]
    assert sh.parallelize(abs, [-1, -2], parallelizer=map) == [1, 2]
    with pytest.raises(TypeError, match="it must return the results"):
        sh.parallelize(abs, [1], parallelizer=lambda task, arguments: None)
    with pytest.raises(TypeError, match="returned 0 results for 1 tasks"):
        sh.parallelize(abs, [1], parallelizer=lambda task, arguments: [])


def test_map_that_returns_something_else_is_an_error():
    with pytest.raises(
        ParallelArgumentError, match=r"returned int for a task\. Fix: return what the function"
    ):
        sh.parallelize(abs, [-1], parallelizer=lambda task, arguments: [1])


def test_progress_is_shown_for_any_map(capsys):
    assert sh.parallelize(abs, [-1, -2], parallelizer=map, progress=True) == [1, 2]

    assert "2/2 (100%)" in capsys.readouterr().err


def test_dask_is_a_parallelizer_through_a_function_of_the_user():
    def dask_map(task, arguments):
        import dask

        return list(dask.compute(*[dask.delayed(task)(one) for one in arguments]))

    results = sh.parallelize(
        lambda x, y: [x] * y, iterkwargs={"x": [1, 2], "y": [2, 1]}, parallelizer=dask_map
    )

    assert results == [[1, 1], [2]]


def test_executor_of_python_is_a_parallelizer():
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:
        assert sh.parallelize(lambda x: -x, [1, 2], parallelizer=pool) == [-1, -2]


def test_joblib_is_a_parallelizer():
    pytest.importorskip("joblib")

    assert sh.parallelize(lambda x: -x, range(10), parallelizer="joblib", ncpus=2) == [-x for x in range(10)]


def test_serial_wins():
    names = sh.parallelize(threading.current_thread, 2, serial=True, parallelizer="robust-async")

    assert names == [threading.current_thread()] * 2


@pytest.mark.parametrize(("ncpus", "expected"), [(1, 1), (2.9, 2), (100, 3), (0.01, 1)])
def test_count_of_workers_may_be_a_fraction(ncpus, expected):
    assert sh.Parallel(abs, [1, 2, 3], ncpus=ncpus).ncpus == expected


@pytest.mark.parametrize("ncpus", [-1, "two", float("nan")])
def test_wrong_count_of_workers_is_an_error(ncpus):
    with pytest.raises(ParallelArgumentError, match="No CPUs to run on"):
        sh.Parallel(abs, [1], ncpus=ncpus)


# What is shared


def change(number, values):
    values.append(number)
    return len(values)


@pytest.mark.parametrize("ncpus", [1, 2])
@pytest.mark.parametrize("tasks", [3, 30])
def test_processes_give_each_task_shared_arguments_as_they_were(tasks, ncpus):
    shared = []

    assert sh.parallelize(change, range(tasks), values=shared, ncpus=ncpus) == [1] * tasks
    assert shared == []


def test_large_arrays_are_as_they_were_for_each_task(elsewhere):
    def task(number, values):
        values[number] += 1
        return values.sum()

    assert set(sh.parallelize(task, range(9), values=np.zeros(200_000), **elsewhere)) == {1.0}


@pytest.mark.parametrize("place", ["serial", "thread"])
def test_tasks_of_this_process_share_objects(place):
    shared = []
    sh.parallelize(change, range(3), values=shared, parallelizer=place)

    assert len(shared) == 3
    sh.parallelize(change, range(3), values=shared, parallelizer=f"{place}-copy")
    assert len(shared) == 3


def test_bound_methods_have_their_object_as_it_was():
    class Counter:
        def __init__(self):
            self.count = 0

        def add(self, number):
            self.count += number
            return self.count

    assert sh.parallelize(Counter().add, [1, 2, 3], ncpus=2) == [1, 2, 3]


def test_functions_with_a_cache_travel(elsewhere):
    @functools.lru_cache(maxsize=64)
    def fibonacci(number):
        return number if number < 2 else fibonacci(number - 1) + fibonacci(number - 2)

    def task(number):
        return fibonacci(number), fibonacci.cache_parameters()["maxsize"]

    assert sh.parallelize(fibonacci, [40, 50], **elsewhere) == [102334155, 12586269025]
    assert sh.parallelize(task, [40], **elsewhere) == [(102334155, 64)]


# Random numbers


def draw():
    return np.random.random(), np.random.randn()


def test_random_numbers_depend_on_the_task_alone(elsewhere):
    np.random.seed(3)
    first = sh.parallelize(draw, 20, **elsewhere)
    np.random.seed(3)
    again = sh.parallelize(draw, 20, ncpus=1)

    assert first == again
    assert len(set(first)) == 20
    assert sh.parallelize(draw, 20, **elsewhere) != first


def test_task_that_seeds_draws_what_it_draws_elsewhere(elsewhere):
    def seeded(seed, state):
        np.random.seed(seed)
        drawn = np.random.random()
        np.random.set_state(state)
        return drawn, np.random.randn(), np.random.get_state()[0]

    state = np.random.get_state()
    expected = sh.parallelize(seeded, [1, 2, 3], state=state, serial=True)

    assert sh.parallelize(seeded, [1, 2, 3], state=state, **elsewhere) == expected


def test_seed_is_an_argument_of_the_function(anywhere):
    assert sh.parallelize(lambda x, seed=0: x + seed, [1, 2], seed=5, **anywhere) == [6, 7]


def test_random_numbers_of_this_process_stay_its_own():
    np.random.seed(5)
    expected = [np.random.random() for _ in range(3)]
    np.random.seed(5)

    assert sh.parallelize(np.random.random, 3, serial=True) == expected


# Callback, dictionary, output


def test_callback_gets_what_sciris_gives(anywhere):
    def note(data):
        data["globaldict"][data["index"]] = (
            data["njobs"],
            data["args"],
            data["kwargs"]["k"],
            data["outdict"]["result"],
        )

    done = sh.Parallel(
        lambda x, k, globaldict: x * k, [5, 6], {"k": [1, 2]}, globaldict={}, callback=note, **anywhere
    ).run()

    assert done.globaldict == {0: (2, (5,), 1, 5), 1: (2, (6,), 2, 12)}


def test_callback_may_stop_the_map(anywhere):
    def stop(data):
        data["stop"] = True

    done = sh.Parallel(lambda x: x, range(1000), callback=stop, **anywhere).run()

    assert 1 <= sum(done.success) < 1000
    assert [skipped != success for skipped, success in zip(done.skipped, done.success, strict=True)] == [
        True
    ] * 1000
    assert done.exceptions == [None] * 1000


def test_error_of_a_callback_fails_its_task(anywhere):
    def fail(data):
        if data["index"] == 1:
            raise KeyError("callback")

    with pytest.warns(RuntimeWarning, match="Only 2 of 3"):
        results = sh.parallelize(lambda x: x, range(3), callback=fail, die=False, **anywhere)

    assert isinstance(results[1], KeyError)


def test_dictionary_is_shared_and_leaves_that_of_the_caller_alone(anywhere):
    given = {"a": 1, "gone": 2}

    def task(number, globaldict):
        globaldict[number] = globaldict["a"]
        globaldict.update(last=number)
        globaldict.pop("gone", None)
        return "a" in globaldict and len(globaldict) >= 2

    done = sh.Parallel(task, range(4), globaldict=given, **anywhere).run()

    assert done.results == [True] * 4
    assert {**done.globaldict, "last": 0} == {"a": 1, 0: 1, 1: 1, 2: 1, 3: 1, "last": 0}
    assert given == {"a": 1, "gone": 2}


def test_output_of_tasks_is_kept(elsewhere, capfd):
    def task(number):
        sys.stdout.write(f"task {number}\n")
        return 1 // number

    with pytest.warns(RuntimeWarning, match="Only 2 of 3"):
        done = sh.Parallel(task, range(3), capture=True, die=False, **elsewhere).run()

    assert done.stdout == ["task 0\n", "task 1\n", "task 2\n"]
    assert capfd.readouterr().out == ""


def test_output_of_threads_cannot_be_kept():
    with pytest.raises(ValueError, match="does not work with threads"):
        sh.Parallel(abs, [1], capture=True, parallelizer="thread")


# The class


def test_map_in_the_background_has_a_status():
    done = sh.Parallel(time.sleep, [0.2, 0.2], parallelizer="thread", ncpus=2, label="naps")
    assert (done.status, done.running, done.ready) == ("not run", False, False)
    assert repr(done) == "Parallel(naps; jobs=2; cpus=2; method=thread; status=not run)"

    done.run_async()
    assert (done.status, done.running, done.ready) == ("running", True, False)
    done.monitor(0.01)
    done.finalize()

    assert (done.status, done.running, done.ready) == ("done", False, True)
    assert done.results == [None, None]
    assert done.success == [True, True]
    assert done.times.elapsed >= 0.2
    assert min(done.times.jobs) >= 0.2
    assert done.times.finished > done.times.started


def test_stop_skips_the_rest():
    done = sh.Parallel(time.sleep, [0.05] * 200, parallelizer="thread", ncpus=2).run_async()
    time.sleep(0.2)
    done.stop()
    done.finalize()

    assert 1 <= sum(done.success) < 200
    assert sum(done.skipped) == 200 - sum(done.success)


def test_map_that_has_not_run_has_no_results():
    done = sh.Parallel(abs, [-1], serial=True)

    assert [one["elapsed"] for one in done.rawresults] == [None]
    for wait in (done.finalize, done.monitor):
        with pytest.raises(ValueError, match=r"has no results. Fix: call run\(\)"):
            wait()


def test_pool_is_no_parallelizer_but_its_map():
    class Pool:
        map = map

    with pytest.raises(ParallelizerError, match="pass its method 'map'"):
        sh.Parallel(abs, [1], parallelizer=Pool())


def test_map_runs_again():
    done = sh.Parallel(abs, [-1], serial=True)

    assert done.run().results == [1]
    assert done.run().results == [1]


def test_function_and_class_take_the_same_arguments():
    of_function = inspect.signature(sh.parallelize).parameters
    of_class = dict(inspect.signature(sh.Parallel).parameters)
    assert of_class.pop("label").default is None

    assert list(of_function.values()) == list(of_class.values())


def test_old_name_of_maxcpu_is_known():
    with pytest.warns(FutureWarning, match="maxcpu"):
        assert sh.parallelize(abs, [-1], maxload=0.99, serial=True) == [1]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"start_method": "magic"}, "start_method must be one of"),
        ({"timeout_s": 0}, "timeout_s must be a positive number"),
        ({"maxmem": "much"}, "maxmem must be a non-negative number"),
        ({"interval": -1}, "interval must be a non-negative number"),
        ({"globaldict": [1]}, "globaldict must be a mapping"),
        ({"callback": 3}, "callback must be callable"),
        ({"kwargs": [1]}, "kwargs must be a dict"),
        ({"lbkwargs": {"maxcup": 1}}, "lbkwargs may hold maxcpu, maxmem, interval, got 'maxcup'"),
    ],
    ids=str,
)
def test_wrong_options_are_said_before_anything_runs(wrong, message):
    with pytest.raises(ParallelArgumentError, match=message):
        sh.Parallel(abs, [1], **wrong)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_way_to_start_processes_is_a_choice(method):
    assert sh.parallelize(abs, [-1, -2], start_method=method, ncpus=2) == [1, 2]


SCRIPT = """
import matplotlib
import simherd as sh

print("once")

def task(number):
    import matplotlib.pyplot
    return number, matplotlib.get_backend().lower()

print(sh.parallelize(task, [1, 2], ncpus=2))
"""


def test_script_needs_no_guard_and_draws_nowhere(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)

    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120, check=True)

    assert done.stdout == "once\n[(1, 'agg'), (2, 'agg')]\n"


def test_maps_inside_tasks_work():
    def outer(number):
        return sum(sh.parallelize(lambda x: x + number, range(3)))

    assert sh.parallelize(outer, range(3), ncpus=2) == [3, 6, 9]


def test_lists_may_change_after_the_map_is_set_up():
    positional, keywords = [-1, -2], [{}, {}]
    map_ = sh.Parallel(abs, positional, keywords, serial=True)
    positional.clear()
    keywords.clear()

    assert map_.run().results == [1, 2]


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
def test_maps_that_are_over_hold_no_files():
    before = len(os.listdir("/proc/self/fd"))
    maps = [sh.Parallel(abs, [1], serial=True).run() for _ in range(20)]

    assert len(os.listdir("/proc/self/fd")) < before + len(maps)


def gained(number, values):
    values.append(number)
    return len(values)


def test_maps_of_the_user_give_each_task_shared_arguments_as_they_were():
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert sh.parallelize(gained, range(4), parallelizer=pool.map, values=[]) == [1] * 4


@pytest.mark.slow
def test_no_process_outlives_a_program_that_is_killed(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import time\nimport simherd as sh\n"
        "def task(number, globaldict):\n    print(number, flush=True)\n    time.sleep(60)\n"
        "sh.parallelize(task, range(2), ncpus=1, globaldict={})\n"
    )
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE) as program:
        program.stdout.readline()
        processes = psutil.Process(program.pid).children(recursive=True)
        program.kill()

    assert len(processes) >= 2
    assert not psutil.wait_procs(processes, timeout=20)[1]

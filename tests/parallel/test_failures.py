"""Ways in which a task may fail, wherever it runs: it costs one task, which is named, and nothing hangs."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

import pytest

import simherd as sh
from simherd.errors import PicklingError, TaskError, TaskTimeoutError

BAD, TASKS = 5, 12


class Panic(BaseException):
    """What is no Exception, as of a library in Rust."""


class Odd(Exception):
    """Cannot be made again from what it pickles as."""

    def __init__(self, one, two):
        super().__init__(one)


def harmed(harm):
    """Return a function of which one task does harm."""

    def task(number):
        if number == BAD:
            harm()
        return number

    return task


def check_only_bad_failed(results, kind, text):
    assert [results[n] for n in range(TASKS) if n != BAD] == [n for n in range(TASKS) if n != BAD]
    assert isinstance(results[BAD], kind)
    assert text in str(results[BAD])


def raise_(error):
    raise error


RAISED = {
    "ValueError": (lambda: raise_(ValueError("no")), ValueError, "no"),
    "sys.exit": (lambda: sys.exit("left"), SystemExit, "left"),
    "BaseException": (lambda: raise_(Panic("panic")), Panic, "panic"),
    "KeyError of a class": (lambda: raise_(KeyError(Odd)), KeyError, "Odd"),
}


@pytest.mark.parametrize("name", RAISED)
def test_task_that_raises_keeps_others(anywhere, name):
    harm, kind, text = RAISED[name]

    with pytest.warns(RuntimeWarning, match="Only 11 of 12 tasks succeeded"):
        results = sh.parallelize(harmed(harm), range(TASKS), die=False, **anywhere)

    check_only_bad_failed(results, kind, text)


def test_first_failure_raises_the_error_of_the_task_with_its_name(anywhere):
    with pytest.raises(ValueError, match="no") as caught:
        sh.parallelize(harmed(lambda: raise_(ValueError("no"))), range(TASKS), **anywhere)

    assert any("Task 5 failed" in note for note in caught.value.__notes__)
    assert any(frame.name == "harm" or "raise_" in frame.name for frame in caught.traceback) or any(
        "raise_" in note for note in caught.value.__notes__
    )


@pytest.mark.parametrize("error", [SystemExit(0), GeneratorExit()], ids=repr)
def test_task_that_would_end_the_program_is_an_error(anywhere, error):
    with pytest.raises(TaskError, match=f"Task 5 raised {type(error).__name__}"):
        sh.parallelize(harmed(lambda: raise_(error)), range(TASKS), **anywhere)


KILLS = {"SIGKILL": lambda: os.kill(os.getpid(), signal.SIGKILL), "exit": lambda: os._exit(3)}


@pytest.mark.parametrize("name", KILLS)
def test_task_that_ends_its_worker_keeps_others(elsewhere, name):
    with pytest.warns(RuntimeWarning, match="Only 11 of 12"):
        results = sh.parallelize(harmed(KILLS[name]), range(TASKS), die=False, **elsewhere)

    check_only_bad_failed(results, TaskError, "Task 5 ended its worker process")


def test_task_that_ends_its_worker_ends_the_map(elsewhere):
    with pytest.raises(TaskError, match="Task 5 ended its worker process") as caught:
        sh.parallelize(harmed(KILLS["exit"]), range(TASKS), **elsewhere)

    assert len(caught.value.__notes__) == 1, "an error that nobody raised has no traceback to note"


HANGS = {
    "sleep": lambda: time.sleep(100),
    "spin": lambda: [None for _ in iter(int, 1)],
    "stop": lambda: (os.kill(os.getpid(), signal.SIGSTOP), time.sleep(100)),  # it may arrive a moment later
}


@pytest.mark.parametrize("name", HANGS)
def test_task_that_never_ends_keeps_others(elsewhere, name):
    with pytest.warns(RuntimeWarning, match="Only 11 of 12"):
        results = sh.parallelize(harmed(HANGS[name]), range(TASKS), die=False, timeout_s=1, **elsewhere)

    check_only_bad_failed(results, TaskTimeoutError, "Task 5 took longer than timeout_s=1")


def test_python_code_of_this_process_ends_with_its_time():
    with pytest.warns(RuntimeWarning, match="Only 11 of 12"):
        results = sh.parallelize(harmed(HANGS["spin"]), range(TASKS), die=False, timeout_s=0.5, serial=True)

    check_only_bad_failed(results, TaskTimeoutError, "Task 5 took longer")


def test_task_without_memory_keeps_others(elsewhere):
    with pytest.warns(RuntimeWarning, match="Only 11 of 12"):
        results = sh.parallelize(harmed(lambda: bytearray(2**60)), range(TASKS), die=False, **elsewhere)

    check_only_bad_failed(results, MemoryError, "")


class Unpicklable:
    def __reduce__(self):
        raise TypeError("never")


def test_result_that_does_not_pickle_costs_its_task(elsewhere):
    def task(number):
        return Unpicklable() if number == BAD else number

    with pytest.warns(RuntimeWarning, match="Only 11 of 12"):
        results = sh.parallelize(task, range(TASKS), die=False, **elsewhere)

    check_only_bad_failed(
        results, PicklingError, "The result of task 5 cannot be sent back: TypeError: never"
    )


class OnlyThere:
    def __reduce__(self):
        return loaded_in, (os.getpid(),)


def loaded_in(process):
    if os.getpid() != process:
        raise OSError("not here")


def test_result_that_cannot_be_loaded_costs_its_task(elsewhere):
    def task(number):
        return OnlyThere() if number == BAD else number

    with pytest.warns(RuntimeWarning, match="Only 11 of 12"):
        results = sh.parallelize(task, range(TASKS), die=False, **elsewhere)

    check_only_bad_failed(
        results, PicklingError, "The result of task 5 cannot be loaded here: OSError: not here"
    )


def test_argument_that_does_not_pickle_costs_its_task(elsewhere):
    arguments = [Unpicklable() if number == BAD else number for number in range(TASKS)]

    with pytest.warns(RuntimeWarning, match="Only 11 of 12"):
        results = sh.parallelize(lambda x: x, arguments, die=False, **elsewhere)

    check_only_bad_failed(results, PicklingError, "The arguments of task 5 cannot be sent: TypeError: never")


def test_error_that_does_not_pickle_travels_as_text(elsewhere):
    def harm():
        error = ValueError("text")
        error.lock = threading.Lock()
        raise error

    with pytest.warns(RuntimeWarning, match="Only 11 of 12"):
        results = sh.parallelize(harmed(harm), range(TASKS), die=False, **elsewhere)

    check_only_bad_failed(results, TaskError, "ValueError('text')")


def test_error_of_any_class_travels(elsewhere):
    with pytest.warns(RuntimeWarning, match="Only 11 of 12"):
        results = sh.parallelize(harmed(lambda: raise_(Odd("text", 2))), range(TASKS), die=False, **elsewhere)

    check_only_bad_failed(results, Odd | TaskError, "text")  # tblib before 3.1 cannot make it again


def test_function_that_does_not_pickle_is_one_error(elsewhere):
    lock = Unpicklable()

    with pytest.raises(PicklingError, match="Cannot send the function"):
        sh.parallelize(lambda x: lock, range(2), **elsewhere)


def test_attribute_of_a_bound_method_that_does_not_pickle_is_named():
    class Model:
        def __init__(self):
            self.handle = Unpicklable()

        def run(self, number):
            return number

    with pytest.raises(PicklingError, match="Cannot send the function, attribute 'handle'"):
        sh.parallelize(Model().run, range(2), ncpus=2)


def test_several_tasks_that_end_their_workers_are_all_named():
    def task(number):
        if number % 4 == 1:
            os._exit(1)
        return number

    with pytest.warns(RuntimeWarning, match="Only 9 of 12"):
        results = sh.parallelize(task, range(TASKS), die=False, ncpus=2)

    assert [n for n in range(TASKS) if isinstance(results[n], TaskError)] == [1, 5, 9]


def test_map_after_a_failure_has_workers_again():
    with pytest.raises(TaskError):
        sh.parallelize(harmed(KILLS["exit"]), range(TASKS), ncpus=2)

    assert sh.parallelize(abs, [-1, -2], ncpus=2) == [1, 2]


def test_failure_ends_what_runs_beside_it():
    begun = time.monotonic()

    with pytest.raises(ValueError, match="no"):
        sh.parallelize(lambda n: raise_(ValueError("no")) if n else time.sleep(60), [0, 1], ncpus=2)

    assert time.monotonic() - begun < 30


@pytest.mark.parametrize("name", RAISED)
@pytest.mark.parametrize("parallelizer", ["joblib", map], ids=["joblib", "map"])
def test_task_that_raises_keeps_others_in_maps_of_others(parallelizer, name):
    pytest.importorskip("joblib")
    harm, kind, text = RAISED[name]

    with pytest.warns(RuntimeWarning, match="Only 11 of 12 tasks succeeded"):
        results = sh.parallelize(harmed(harm), range(TASKS), die=False, parallelizer=parallelizer, ncpus=2)

    check_only_bad_failed(results, kind, text)

"""Worker processes that are kept from one map to the next."""

from __future__ import annotations

import importlib
import os
import random
import sys
import time
import warnings

import numpy as np
import pytest

import simherd as sh


def worker(number):
    time.sleep(0.01)  # or the first worker does all
    return os.getpid()


def workers(**options):
    return set(sh.parallelize(worker, range(20), ncpus=2, **options))


def test_next_map_has_the_same_workers():
    assert workers() == workers()


def test_fewer_workers_are_some_of_those_that_are_there():
    both = workers()

    assert set(sh.parallelize(worker, range(20), ncpus=1)) < both
    assert workers() == both


def test_another_folder_has_workers_of_its_own(tmp_path, monkeypatch):
    before = workers()
    monkeypatch.chdir(tmp_path)

    assert set(sh.parallelize(lambda _: os.getcwd(), range(4), ncpus=2)) == {str(tmp_path)}
    assert not workers() & before


def test_another_environment_has_workers_of_its_own(monkeypatch):
    workers()
    monkeypatch.setenv("OF_A_TEST", "new")

    assert sh.parallelize(os.getenv, ["OF_A_TEST"] * 2, ncpus=2) == ["new", "new"]


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Return a module of the user's own, which is written anew and loaded again by calling it."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(text):
        (tmp_path / "ownmodule.py").write_text(text)
        importlib.invalidate_caches()
        found = sys.modules.get("ownmodule")
        return importlib.import_module("ownmodule") if found is None else importlib.reload(found)

    yield write
    sys.modules.pop("ownmodule", None)


def test_module_that_is_loaded_again_is_new_in_workers(module):
    old = module("def task(number):\n    return 'old'\n")
    assert sh.parallelize(old.task, range(2), ncpus=2) == ["old", "old"]

    new = module("def task(number):\n    return 'newer'\n")

    assert sh.parallelize(new.task, range(2), ncpus=2) == ["newer", "newer"]


def test_constants_that_a_program_sets_reach_workers(module):
    found = module("RATE = 1\n\ndef task(number):\n    return RATE\n")
    found.RATE = 7

    assert sh.parallelize(found.task, range(2), ncpus=2) == [7, 7]
    found.RATE = 1
    assert sh.parallelize(found.task, range(2), ncpus=2) == [1, 1]


def test_module_that_is_loaded_again_twice_is_new_in_workers(module):
    for first in range(0, 20, 2):  # of several specs, some have the address of an earlier one
        for text in (first, first + 1):
            code = f"def task(number):\n    return {text}\n"
            found = module(code + "#" * text)  # bytecode is told apart by the size of the file
        assert sh.parallelize(found.task, range(1), ncpus=1) == [first + 1]


def changed_process(number):
    os.chdir("/")
    os.environ["OF_A_TASK"] = "set"
    sys.path.insert(0, "of a task")
    sys.stdout = None
    np.seterr(all="raise")
    warnings.simplefilter("error")
    random.seed(1)


def state_of_process(number):
    return (
        *(os.getcwd(), os.environ.get("OF_A_TASK"), "of a task" in sys.path, sys.stdout is None),
        *(np.geterr()["over"], warnings.filters[0][0] == "error", random.random() == 0.13436424411240122),
    )


def test_what_tasks_change_in_a_worker_ends_with_the_map(elsewhere):
    before = sh.parallelize(state_of_process, [0], **elsewhere)
    sh.parallelize(changed_process, range(4), **elsewhere)

    assert sh.parallelize(state_of_process, range(4), **elsewhere) == before * 4


def test_what_tasks_keep_in_a_module_ends_with_the_map(module):
    found = module(
        "RATE = 1\nkept = None\nmore = {}\n\ndef task(number):\n    global kept\n"
        "    kept = kept or RATE\n    return kept, more.setdefault('rate', RATE)\n"
    )
    assert sh.parallelize(found.task, range(2), ncpus=2) == [(1, 1)] * 2
    found.RATE = 3

    assert sh.parallelize(found.task, range(2), ncpus=2) == [(3, 3)] * 2


MODEL = """
RATE = 1

def task(number):
    return RATE

class Model:
    scale = 1

    def __call__(self, number):
        return RATE * self.scale
"""


@pytest.mark.parametrize("place", ["method", "callable", "shared", "own", "keyword"])
def test_constants_reach_whatever_a_task_calls(module, place):
    found = module(MODEL)
    sh.parallelize(found.task, range(2), ncpus=2)
    model = found.Model()
    calls = {
        "method": lambda: sh.parallelize(model.__call__, [0, 1], ncpus=2),
        "callable": lambda: sh.parallelize(model, [0, 1], ncpus=2),
        "shared": lambda: sh.parallelize(lambda n, call: call(n), [0, 1], ncpus=2, call=model),
        "own": lambda: sh.parallelize(lambda call: call(0), [model, model], ncpus=2),
        "keyword": lambda: sh.parallelize(lambda call: call(0), iterkwargs={"call": [model] * 2}, ncpus=2),
    }
    found.RATE, found.Model.scale = 7, 2

    assert calls[place]() == [14, 14]


def test_workers_with_much_shared_memory_are_not_kept():
    def task(number, values):
        return os.getpid()

    large = set(sh.parallelize(task, range(4), ncpus=2, values=np.zeros(2**24)))

    assert not large & workers()


def test_maps_at_the_same_time_have_workers_of_their_own():
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:
        maps = [pool.submit(sh.parallelize, lambda x: x + 1, range(50), ncpus=2) for _ in range(4)]

        assert [one.result() for one in maps] == [list(range(1, 51))] * 4
